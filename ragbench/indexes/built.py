"""Built indexes: their manifests, and opening one, which checks what it was built from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragbench.base import checksums, home
from ragbench.base.checksums import verify
from ragbench.base.devices import Device
from ragbench.base.errors import DataError, first_line
from ragbench.base.files import sha256_json
from ragbench.base.weights import hub_commit
from ragbench.base.yamlfile import Document, check
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.indexes import retrievers
from ragbench.indexes.reach import check_corpus
from ragbench.indexes.recipe import Recipe, index_name
from ragbench.indexes.retriever import IndexKind

FORMAT = 3
MANIFEST = "manifest.json"
COMMITS = "hub_commits"


@dataclass(frozen=True, slots=True)
class BuiltPart:
    """An index that another one searches: its role there, its name and its digest."""

    role: str
    name: str
    digest: str


@dataclass(frozen=True)
class BuiltOver:
    """The corpus that an index was built over: its name, digest and number of passages."""

    name: str
    digest: str
    n: int


@dataclass(frozen=True)
class IndexManifest:
    """What ``manifest.json`` of a built index says."""

    name: str
    kind: str
    digest: str
    recipe: dict[str, Any]
    corpus: BuiltOver
    encoder_digest: str | None
    facts: dict[str, Any]
    size_bytes: int
    elapsed_s: float
    built_at: str
    versions: dict[str, str]
    sums: dict[str, dict[str, Any]]
    parts: list[BuiltPart] = field(default_factory=list)
    format: int = FORMAT


def index_digest(recipe: Recipe, corpus: Corpus) -> str:
    """Return the identity of an index: corpus, resolved recipe with its parts, and encoders."""
    return sha256_json(
        {
            "format": FORMAT,
            "corpus": corpus.digest,
            "recipe": recipe.identity(),
            "encoder": recipe.encoder_digest(),
        }
    )


def folder_of(name: str) -> Path:
    """Return the folder of a built index."""
    return home.home() / "indexes" / home.check_name(name, what="an index")


def is_built(name: str) -> bool:
    """Say whether an index has been built in the home folder."""
    return (folder_of(name) / MANIFEST).is_file()


def read_manifest(name: str) -> IndexManifest:
    """Return the manifest of a built index.

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
    return checksums.read_manifest(path, IndexManifest, FORMAT, what="the index", fix=again)


def recipe_of(manifest: IndexManifest) -> Recipe:
    """Return the recipe that a manifest holds."""
    document = Document(manifest.recipe, folder_of(manifest.name) / MANIFEST, {})
    return check(retrievers.get(manifest.kind).Options, document)


def open_index(name: str, *, device: Device = "auto", corpus: Corpus | None = None) -> IndexKind:
    """Return a built index, open over its own corpus (by default) and encoder.

    Raises:
        DataError: The corpus, the encoder or a part is not the one that the index was built from.
        UsageError: The corpus is restricted, and the index may send it elsewhere.
    """
    manifest = read_manifest(name)
    recipe = recipe_of(manifest)
    corpus = corpus or open_corpus(manifest.corpus.name)
    if corpus.digest != manifest.corpus.digest:
        raise DataError(
            f"the index {name!r} was built over {manifest.corpus.name!r} as it was "
            f"({manifest.corpus.n:,} passages, {manifest.corpus.digest[:12]}), not over "
            f"{corpus.name!r} ({len(corpus):,} passages, {corpus.digest[:12]})",
            where=str(folder_of(name)),
            fix="build the index again with --replace, or give the corpus that it was built over",
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
    check_corpus(recipe, corpus, name)
    try:
        index = retrievers.get(manifest.kind).open(
            folder_of(name), recipe, manifest.facts, corpus, device
        )
    except (ValueError, LookupError, TypeError, EOFError) as error:
        raise DataError(
            f"the index {name!r} cannot be opened: {first_line(error)}",
            where=str(folder_of(name)),
            fix="build it again with `ragbench index build ... --replace`",
        ) from None
    _check_commits(manifest, recipe)
    return index


def open_parts(folder: Path, corpus: Corpus, device: Device) -> list[IndexKind]:
    """Return the parts of the index in a folder, open over its corpus, in the recipe's order.

    Raises:
        DataError: A part is not built, or is no longer the one that the index was built with.
    """
    manifest = read_manifest(folder.name)
    for part in manifest.parts:
        if not is_built(part.name):
            raise DataError(
                f"the index {part.name!r}, a part of {manifest.name!r}, is not built",
                where=str(folder_of(part.name)),
                fix=f"build {manifest.name!r} again, which builds what is missing: "
                f"{_command(manifest)}",
            )
        digest = read_manifest(part.name).digest
        if digest != part.digest:
            raise DataError(
                f"the index {part.name!r} is not the one that {manifest.name!r} was built with",
                where=f"{folder_of(part.name)}: digest {digest[:16]}, not {part.digest[:16]}",
                fix=f"build {manifest.name!r} again with its part: {_command(manifest)} --replace",
            )
    return [open_index(part.name, device=device, corpus=corpus) for part in manifest.parts]


def _command(manifest: IndexManifest) -> str:
    """Return the command that builds an index again, as far as its name says the recipe."""
    corpus = manifest.corpus.name
    recipe = manifest.name.removesuffix(index_name("", corpus))
    is_known = recipe != manifest.name and recipe in dict(home.yaml_names("indexes"))
    return f"ragbench index build {recipe if is_known else 'RECIPE'} --corpus {corpus}"


def hub_commits(recipe: Recipe) -> dict[str, str]:
    """Return the commits of a recipe's hub models in the cache of this machine."""
    every = recipe.hub_models().items()
    found = ((model, hub_commit(model, revision)) for model, revision in every)
    return {model: commit for model, commit in found if commit}


def _check_commits(manifest: IndexManifest, recipe: Recipe) -> None:
    """Refuse models of the hub that have moved on under the same name since the build."""
    here = hub_commits(recipe)
    before = manifest.facts.get(COMMITS, {})
    moved = {model: was for model, was in before.items() if here.get(model, was) != was}
    if moved:
        raise DataError(
            f"the index {manifest.name!r} was built with other weights than the hub's newest, "
            f"which are here: {listed(moved)}",
            where=str(folder_of(manifest.name)),
            fix="write the commit as `revision` (or `query_revision`) into the recipe and build "
            "with --replace, or build again with --replace to take the newest",
        )


def listed(commits: Mapping[str, str]) -> str:
    """Return models with their commits, as a message shows them."""
    return ", ".join(f"{model} at {commit}" for model, commit in commits.items())
