"""Recipe + corpus -> index folder; and opening one, which checks what it was built from."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ragbench.base import checksums, home
from ragbench.base.checksums import sums_of, verify, write_manifest
from ragbench.base.devices import Device
from ragbench.base.errors import DataError, UsageError
from ragbench.base.files import (
    atomic_folder,
    check_replaceable,
    locked,
    sha256_json,
)
from ragbench.base.progress import say
from ragbench.base.provenance import now, versions
from ragbench.base.weights import hub_commit, locate
from ragbench.base.yamlfile import Document, check, load
from ragbench.corpora.check import check_card
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.indexes import retrievers
from ragbench.indexes.retriever import IndexKind, Recipe

FORMAT = 2
MANIFEST = "manifest.json"
COMMITS = "hub_commits"


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` of a built index says."""

    name: str
    kind: str
    digest: str
    recipe: dict[str, Any]
    corpus: dict[str, Any]
    encoder_digest: str | None
    facts: dict[str, Any]
    size_bytes: int
    elapsed_s: float
    built_at: str
    versions: dict[str, str]
    sums: dict[str, dict[str, Any]]
    format: int = FORMAT


def load_recipe(name: str) -> Recipe:
    """Read a recipe from ``indexes/NAME.yaml``.

    Args:
        name: The recipe.

    Returns:
        The recipe of the kind that the file names, with the recipes that it names in place.

    Raises:
        UsageError: The file has no kind, or a recipe is named inside itself.
    """
    return _load(name, ())


def _load(name: str, above: tuple[str, ...]) -> Recipe:
    """Read a recipe that stands inside others."""
    document = load(home.find_yaml("indexes", name, what="index recipe"))
    if name in above:
        raise UsageError(
            f"the index recipe {name!r} is named inside itself: {' -> '.join((*above, name))}",
            where=document.where(()),
            fix="name another recipe there, or write one out",
        )
    kind = document.value.get("kind")
    if not isinstance(kind, str):
        raise UsageError(
            "the recipe does not say its kind",
            where=document.where(()),
            fix=f"add `kind: {' | '.join(retrievers.names())}`",
        )
    return check(retrievers.get(kind).Options, document).resolved(
        lambda inner: _load(inner, (*above, name))
    )


def index_digest(recipe: Recipe, corpus: Corpus) -> str:
    """Return the identity of an index: corpus, resolved recipe and encoder."""
    return sha256_json(
        {
            "format": FORMAT,
            "corpus": corpus.digest,
            "recipe": recipe.identity(),
            "encoder": recipe.encoder_digest(),
        }
    )


def folder_of(name: str) -> Path:
    """Return where a built index lies."""
    return home.home() / "indexes" / home.check_name(name, what="an index")


def is_built(name: str) -> bool:
    """Say whether an index has been built in the home folder."""
    return (folder_of(name) / MANIFEST).is_file()


def read_manifest(name: str) -> Manifest:
    """Read the manifest of a built index.

    Args:
        name: The index.

    Returns:
        The manifest.

    Raises:
        DataError: The index is not built, or its manifest is of another format.
    """
    path = folder_of(name) / MANIFEST
    if not path.is_file():
        built = sorted(p.parent.name for p in (home.home() / "indexes").glob(f"*/{MANIFEST}"))
        raise DataError(
            f"the index {name!r} is not built",
            where=str(path.parent),
            fix="ragbench index build RECIPE --corpus NAME; built here: "
            + (", ".join(built) or "(none)"),
        )
    again = "build it again with `ragbench index build ... --replace`"
    manifest = checksums.read_manifest(path, Manifest, FORMAT, what="the index", fix=again)
    kinds = {"name": str, "digest": str, "n": int}
    if any(not isinstance(manifest.corpus.get(key), kind) for key, kind in kinds.items()):
        raise DataError("the manifest is not whole: corpus", where=str(path), fix=again)
    return manifest


def recipe_of(manifest: Manifest) -> Recipe:
    """Return the recipe that a manifest holds."""
    document = Document(manifest.recipe, folder_of(manifest.name) / MANIFEST, {})
    return check(retrievers.get(manifest.kind).Options, document)


def build_index(
    recipe_name: str,
    corpus_name: str,
    *,
    name: str | None = None,
    replace: bool = False,
    device: Device = "auto",
    anyway: bool = False,
) -> Manifest:
    """Build an index, or return the manifest of one that is the same.

    Args:
        recipe_name: The recipe.
        corpus_name: A built corpus.
        name: The index; ``RECIPE-CORPUS`` by default.
        replace: Whether an index of this name and another digest may be replaced.
        device: Where an encoder computes.
        anyway: Whether it is built where there seems to be too little room.

    Returns:
        The manifest.

    Raises:
        DataError: An index of this name and another digest is there and ``replace`` is false,
            or what is there is no index, or the corpus's card has changed since its build.
    """
    recipe = load_recipe(recipe_name)
    name = home.check_name(name or f"{recipe_name}-{corpus_name}", what="an index")
    corpus = open_corpus(corpus_name)
    check_card(corpus)
    digest = index_digest(recipe, corpus)
    if is_built(name) and not replace:
        manifest = read_manifest(name)
        if manifest.digest == digest:
            return manifest
        raise DataError(
            f"the index {name!r} is built already, from {_difference(manifest, recipe, corpus)}",
            where=str(folder_of(name)),
            fix="add --replace, or give the new one another --name",
        )
    folder = folder_of(name)
    check_replaceable(folder, MANIFEST, what="index")
    if not anyway:
        from ragbench.indexes.estimate import check_fits

        check_fits(recipe_name, recipe, corpus)
    staging = folder.parent / f".{name}.{digest[:12]}.building"
    started = time.monotonic()
    with locked(folder, what=f"the index {name!r}"), _unless_refused(staging):
        with atomic_folder(folder, staging=staging) as work:
            facts = retrievers.get(recipe.kind).build(recipe, corpus, work, device)
            if commits := _hub_commits(recipe.model_dump()):
                facts = {**facts, COMMITS: commits}
                say(f"the hub's models as they were read: {_said(commits)}")
            manifest = Manifest(
                name=name,
                kind=recipe.kind,
                digest=digest,
                recipe=recipe.model_dump(mode="json"),
                corpus={"name": corpus.name, "digest": corpus.digest, "n": len(corpus)},
                encoder_digest=recipe.encoder_digest(),
                facts=facts,
                size_bytes=sum(p.stat().st_size for p in work.rglob("*") if p.is_file()),
                elapsed_s=round(time.monotonic() - started, 3),
                built_at=now(),
                versions=versions(),
                sums=sums_of(work),
            )
            write_manifest(work / MANIFEST, asdict(manifest))
        # The digest's digits are spelt out: ``.*.`` would match the index NAME.OTHER too.
        for stale in folder.parent.glob(f".{name}.{'[0-9a-f]' * 12}.building"):
            shutil.rmtree(stale, ignore_errors=True)
    return manifest


@contextmanager
def _unless_refused(staging: Path) -> Iterator[None]:
    """Remove what a build that cannot succeed has left; one that was stopped may resume."""
    try:
        yield
    except DataError:  # a device or package that is missing can be had
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _difference(manifest: Manifest, recipe: Recipe, corpus: Corpus) -> str:
    if manifest.corpus["digest"] != corpus.digest:
        return f"another corpus ({manifest.corpus['name']}, {manifest.corpus['n']:,} passages)"
    if manifest.encoder_digest != recipe.encoder_digest():
        return "another encoder"
    return "another recipe"


def open_index(name: str, *, device: Device = "auto", corpus: Corpus | None = None) -> IndexKind:
    """Open a built index against its own corpus and encoder.

    Args:
        name: The index.
        device: Where queries are encoded and searched.
        corpus: The corpus to use; by default the one that the manifest names.

    Returns:
        The open index.

    Raises:
        DataError: The corpus or the encoder is not the one that the index was built from.
    """
    manifest = read_manifest(name)
    recipe = recipe_of(manifest)
    corpus = corpus or open_corpus(manifest.corpus["name"])
    if corpus.digest != manifest.corpus["digest"]:
        raise DataError(
            f"the index {name!r} was built over {manifest.corpus['name']!r} as it was "
            f"({manifest.corpus['n']:,} passages, {manifest.corpus['digest'][:12]}), not over "
            f"{corpus.name!r} ({len(corpus):,} passages, {corpus.digest[:12]})",
            where=str(folder_of(name)),
            fix="build the index again with --replace, or give the corpus that it belongs to",
        )
    if recipe.encoder_digest() != manifest.encoder_digest:
        raise DataError(
            f"the index {name!r} was built with another encoder than the one installed here",
            where=f"{manifest.encoder_digest} in the manifest, {recipe.encoder_digest()} here",
            fix="install the encoder of the manifest's versions, or build again with --replace",
        )
    verify(
        *(folder_of(name), manifest.sums),
        what=f"the index {name!r}",
        fix="build it again with `ragbench index build ... --replace`",
    )
    index = retrievers.get(manifest.kind).open(
        folder_of(name), recipe, manifest.facts, corpus, device
    )
    _check_commits(manifest)
    return index


def hub_models(written: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the models of the hub that a written recipe names, with their revisions."""
    found: dict[str, str | None] = {}
    parts = [*written.get("parts", ()), written.get("first"), written.get("of")]
    for part in parts:
        found |= hub_models(part) if isinstance(part, dict) else {}
    for card in (written.get("encoder") or {}, written.get("reranker") or {}):
        for prefix in ("", "query_"):
            model = card.get(f"{prefix}model")
            if model and locate(model) is None:
                found[model] = card.get(f"{prefix}revision")
    return found


def _hub_commits(written: Mapping[str, Any]) -> dict[str, str]:
    """Return the commits of these models as they lie here."""
    every = hub_models(written).items()
    found = ((model, hub_commit(model, revision)) for model, revision in every)
    return {model: commit for model, commit in found if commit}


def _check_commits(manifest: Manifest) -> None:
    """Refuse models of the hub that have moved on under the same name since the build."""
    here = _hub_commits(manifest.recipe)
    before = manifest.facts.get(COMMITS, {})
    moved = {model: was for model, was in before.items() if here.get(model, was) != was}
    if moved:
        raise DataError(
            f"the index {manifest.name!r} was built with other weights than the hub's newest, "
            f"which are here: {_said(moved)}",
            where=str(folder_of(manifest.name)),
            fix="write the commit as `revision` (or `query_revision`) into the recipe and build "
            "with --replace, or build again with --replace to take the newest",
        )


def _said(commits: dict[str, str]) -> str:
    return ", ".join(f"{model} at {commit}" for model, commit in commits.items())
