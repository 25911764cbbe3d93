"""The vectors that a recipe needs of a corpus, made in parts on any number of machines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ragbench.base.devices import Device
from ragbench.base.errors import DataError, UsageError, needing
from ragbench.base.files import private
from ragbench.corpora.check import check_card
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.corpora.terms import is_restricted
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.loading import load_recipe
from ragbench.indexes.reach import check_corpus
from ragbench.indexes.recipe import Recipe

SHOWN = 20  # shards that an error names


@runtime_checkable
class Embeds(Protocol):
    """A recipe whose build encodes the passages."""

    def embeddings(self, corpus: Corpus, device: Device) -> Embeddings:
        """Return the vectors of the corpus, which may not be made yet."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """What one shard of one encoder has: its passages, and those that were encoded now."""

    encoder: str
    n_passages: int
    n_encoded: int
    folder: str


def embed(
    recipe_name: str, corpus_name: str, *, shard: int = 1, shards: int = 1, device: Device = "auto"
) -> list[Embedded]:
    """Make the vectors of one of several shards; return what each encoder of the recipe has.

    A shard's vectors are those that ``index build`` would make, whatever the number of shards:
    each shard has every ``shards``-th file of the vectors.

    Raises:
        DataError: Another process makes the same shard, or the corpus's card has changed.
        UsageError: The recipe encodes no passages, or may not send this corpus away.
    """
    recipe, corpus = load_recipe(recipe_name), open_corpus(corpus_name)
    check_card(corpus)
    check_corpus(recipe, corpus, recipe_name)
    found = []
    for stored in all_embeddings(recipe, corpus, device):
        need = needing(stored.missing_bytes() / shards)
        with private(is_restricted(corpus), stored.folder), need:
            n_encoded = stored.make_shard(shard, shards)
        n_passages = sum(stored.n_rows(start) for start in stored.starts(shard, shards))
        found.append(Embedded(stored.card.model, n_passages, n_encoded, str(stored.folder)))
    if not found:
        raise UsageError(
            f"the recipe {recipe_name!r} encodes no passages",
            where=f"recipe: kind {recipe.kind}",
            fix="give a recipe that has an `encoder` without `vectors`; others need no embedding",
        )
    return found


def check_embedded(recipe_name: str, recipe: Recipe, corpus: Corpus, device: Device) -> None:
    """Refuse a recipe of which a vector is missing.

    Raises:
        DataError: Some shards are missing or were changed.
    """
    for stored in all_embeddings(recipe, corpus, device):
        missing, count = stored.verify(), stored.planned_shards
        if missing:
            shards = sorted({stored.shard_of(start, count) for start in missing})
            names = ", ".join(f"{shard}/{count}" for shard in shards[:SHOWN])
            more = f" and {len(shards) - SHOWN:,} more" if len(shards) > SHOWN else ""
            passages = sum(map(stored.n_rows, missing))
            raise DataError(
                f"the vectors of {passages:,} of {len(corpus):,} passages are missing or were "
                f"changed: shards {names}{more}",
                where=str(stored.folder),
                fix=f"ragbench embed {recipe_name} --corpus {corpus.name} --shard "
                f"{shards[0]}/{count}, or leave out --embedded to encode them here",
            )


def all_embeddings(recipe: Recipe, corpus: Corpus, device: Device) -> Iterator[Embeddings]:
    """Yield the vectors that a recipe and its parts encode, each once."""
    seen: set[str] = set()
    pending = [recipe]
    while pending:
        one = pending.pop(0)
        pending += [part.recipe for part in one.inner()]
        if isinstance(one, Embeds):
            stored = one.embeddings(corpus, device)
            if not stored.is_given and stored.digest not in seen:
                seen.add(stored.digest)
                yield stored
