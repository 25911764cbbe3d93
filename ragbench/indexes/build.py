"""Recipe + corpus -> index folder, the parts of the recipe first, as indexes of their own."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from ragbench.base import home
from ragbench.base.checksums import sums_of, verify, write_manifest
from ragbench.base.devices import Device
from ragbench.base.errors import DataError, UsageError, needing
from ragbench.base.files import atomic_folder, check_replaceable, locked, private
from ragbench.base.progress import say
from ragbench.base.provenance import now, versions
from ragbench.corpora.check import check_card
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.corpora.terms import is_restricted
from ragbench.indexes import retrievers
from ragbench.indexes.built import (
    COMMITS,
    MANIFEST,
    BuiltOver,
    BuiltPart,
    IndexManifest,
    folder_of,
    hub_commits,
    index_digest,
    is_built,
    listed,
    read_manifest,
)
from ragbench.indexes.embed import check_embedded
from ragbench.indexes.estimate import check_fits, estimate
from ragbench.indexes.loading import load_recipe
from ragbench.indexes.reach import check_corpus
from ragbench.indexes.recipe import Part, Recipe, index_name


def build_index(
    recipe_name: str,
    corpus_name: str,
    *,
    name: str | None = None,
    replace: bool = False,
    device: Device = "auto",
    anyway: bool = False,
    embedded: bool = False,
) -> IndexManifest:
    """Build an index and those of its parts that are missing, or return the manifest of the same.

    Args:
        recipe_name: The recipe.
        corpus_name: A built corpus.
        name: The index; ``RECIPE-CORPUS`` by default.
        replace: Whether to build it in the place of any index of its name. A part is replaced
            only if its digest is another one, or its files have changed.
        device: Where an encoder computes.
        anyway: Whether to build it where there seems to be too little room.
        embedded: Whether to refuse a build that would have to encode passages, instead of encoding
            those that ``ragbench embed`` did not.

    Returns:
        The manifest.

    Raises:
        DataError: An index of this name and another digest exists and ``replace`` is false, or
            the folder is not an index, or the corpus's card has changed since its build, or
            vectors are missing with ``embedded``.
        UsageError: Two indexes of different options would have one name, or a restricted corpus
            would go where it may not.
    """
    recipe = load_recipe(recipe_name)
    name = home.check_name(name or index_name(recipe_name, corpus_name), what="an index")
    corpus = open_corpus(corpus_name)
    check_card(corpus)
    _check_names(name, recipe, corpus)
    if not replace and (manifest := _kept(name, recipe, corpus, replace=False)):
        return manifest
    check_replaceable(folder_of(name), MANIFEST, what="index")
    if embedded:
        check_embedded(recipe_name, recipe, corpus, device)
    parts = estimate(recipe_name, recipe, corpus, measure=False)
    if not anyway:
        check_fits(recipe_name, corpus, parts)
    need = needing(sum(part.build_disk for part in parts))
    with need, private(is_restricted(corpus), folder_of(name)):
        return _build(name, recipe, corpus, replace, device)


def _kept(name: str, recipe: Recipe, corpus: Corpus, *, replace: bool) -> IndexManifest | None:
    """Return the manifest of an index that need not be built again; None if it, or a part, must.

    Raises:
        DataError: The index is another one, which ``replace`` would replace.
    """
    if not is_built(name):
        return None
    try:
        manifest = read_manifest(name)
        if manifest.digest != index_digest(recipe, corpus):
            raise DataError(
                f"the index {name!r} is built already, from "
                f"{_difference(manifest, recipe, corpus)}",
                where=str(folder_of(name)),
                fix="add --replace, or give the new one another --name",
            )
        if replace:
            verify(folder_of(name), manifest.sums, what=f"the index {name!r}", fix="")
    except DataError:
        if replace:
            return None
        raise
    inner = recipe.inner()
    if [part.name for part in manifest.parts] != [part.index(corpus) for part in inner]:
        return None
    parts = [_kept(part.index(corpus), part.recipe, corpus, replace=replace) for part in inner]
    return None if None in parts else manifest


def _build(
    name: str, recipe: Recipe, corpus: Corpus, replace: bool, device: Device
) -> IndexManifest:
    """Build an index in a staging folder, which a build that was killed resumes from."""
    check_corpus(recipe, corpus, name)
    folder, digest = folder_of(name), index_digest(recipe, corpus)
    check_replaceable(folder, MANIFEST, what="index")
    staging = folder.parent / f".{name}.{digest[:12]}.building"
    started = time.monotonic()
    with locked(folder, what=f"the index {name!r}"), _unless_refused(staging):
        with atomic_folder(folder, staging=staging) as work:
            facts = retrievers.get(recipe.kind).build(recipe, corpus, work, device)
            parts = [_built_part(part, corpus, replace, device) for part in recipe.inner()]
            if commits := hub_commits(recipe):
                facts = {**facts, COMMITS: commits}
                say(f"commits of the hub's models in {name}: {listed(commits)}")
            manifest = IndexManifest(
                name=name,
                kind=recipe.kind,
                digest=digest,
                recipe=recipe.model_dump(mode="json"),
                corpus=BuiltOver(corpus.name, corpus.digest, len(corpus)),
                encoder_digest=recipe.encoder_digest(),
                facts=facts,
                size_bytes=sum(p.stat().st_size for p in work.rglob("*") if p.is_file()),
                elapsed_s=round(time.monotonic() - started, 3),
                built_at=now(),
                versions=versions(),
                sums=sums_of(work),
                parts=parts,
            )
            write_manifest(work / MANIFEST, asdict(manifest))
        # The digest's digits are spelt out: ``.*.`` would match the index NAME.OTHER too.
        for stale in folder.parent.glob(f".{name}.{'[0-9a-f]' * 12}.building"):
            shutil.rmtree(stale, ignore_errors=True)
    return manifest


def _built_part(part: Part, corpus: Corpus, replace: bool, device: Device) -> BuiltPart:
    """Return a part, built unless it is there."""
    name = part.index(corpus)
    manifest = _kept(name, part.recipe, corpus, replace=replace)
    if manifest is None:
        manifest = _build(name, part.recipe, corpus, replace, device)
    return BuiltPart(part.role, name, manifest.digest)


def _check_names(name: str, recipe: Recipe, corpus: Corpus) -> None:
    """Refuse an index and parts, of whatever depth, of which two have one name but not one digest.

    Raises:
        UsageError: The second of them would replace the first.
    """
    seen: dict[str, str] = {}
    pending = [(name, recipe)]
    while pending:
        index, one = pending.pop()
        digest = index_digest(one, corpus)
        if seen.setdefault(home.check_name(index, what="an index"), digest) != digest:
            raise UsageError(
                f"two different indexes would have the name {index!r}: the index {name!r} or its "
                "parts",
                where="recipe of the index",
                fix="give the index another --name, or the inline recipe another `name`",
            )
        pending += [(part.index(corpus), part.recipe) for part in one.inner()]


@contextmanager
def _unless_refused(staging: Path) -> Iterator[None]:
    """Remove the staging folder of a build that cannot succeed; one that was stopped may resume."""
    try:
        yield
    except DataError:  # a missing device or package can be had later
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _difference(manifest: IndexManifest, recipe: Recipe, corpus: Corpus) -> str:
    if manifest.corpus.digest != corpus.digest:
        return f"another corpus ({manifest.corpus.name}, {manifest.corpus.n:,} passages)"
    if manifest.encoder_digest != recipe.encoder_digest():
        return "another encoder"
    return "another recipe"
