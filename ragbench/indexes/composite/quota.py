"""One index over a union whose hits are taken by quotas: so many of each of its corpora.

All corpora are ranked by the one index, so that their scores are on one scale. The first hits, as
many as the quotas together, hold at most its quota of each corpus, and exactly that where it has
so many hits; a corpus without a quota gives none. The next hits are made up in the same way, and so
on, until a corpus has too few hits left: there the ranking ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ragbench.base.devices import Device
from ragbench.base.endpoint import Reach
from ragbench.base.errors import DataError, UsageError
from ragbench.base.records import Hit
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.union import Union
from ragbench.indexes.built import open_parts
from ragbench.indexes.loading import part_of, resolved_part
from ragbench.indexes.recipe import Part, Recipe
from ragbench.indexes.retriever import IndexKind
from ragbench.indexes.within import hits_within

OF = "of"


class QuotaRecipe(Recipe):
    """The options of an index with quotas; each is part of the index's identity.

    Attributes:
        of: The name of a recipe, or an inline recipe; the manifest has it written out.
        quotas: Number of hits of each corpus of the union, by its name.
        order: ``score`` puts the hits of all corpora in one order; ``round-robin`` takes one of
            each in turn, in the union's order of corpora.
    """

    of: str | dict[str, Any]
    quotas: dict[str, Annotated[int, Field(gt=0)]] = Field(min_length=1)
    order: Literal["score", "round-robin"] = "score"

    def resolved(self, load: Callable[[str], Recipe]) -> QuotaRecipe:
        """Return the recipe with the other one written out.

        Raises:
            UsageError: The other one has quotas itself.
        """
        found = resolved_part(OF, self.of, load)
        if found["kind"] == self.kind:
            raise UsageError("quotas cannot be of an index with quotas", where=f"of: {self.of}")
        return self.model_copy(update={OF: found})

    def inner(self) -> tuple[Part]:
        """Return the other recipe, once it is written out."""
        return (part_of(OF, self.of),)

    def identity(self) -> dict[str, Any]:
        """Return the options that can change a hit, those of the other recipe among them."""
        return {**super().identity(), OF: self.inner()[0].recipe.identity()}

    def sends_to(self) -> Reach:
        """Return no endpoint: quotas are filled in this process."""
        return ()

    def encoder_digest(self) -> str | None:
        """Return the other recipe's digest."""
        return self.inner()[0].recipe.encoder_digest()

    def max_hits(self) -> int | None:
        """Return the most hits that the other index ranks."""
        return self.inner()[0].recipe.max_hits()


class QuotaIndex:
    """An open index with quotas."""

    Options: ClassVar[type[Recipe]] = QuotaRecipe

    def __init__(self, index: IndexKind, recipe: QuotaRecipe, corpus: Corpus) -> None:
        self.corpus = corpus
        self.metric = f"{index.metric}, by quotas"
        self.index = index
        self._order = recipe.order
        ranges = _ranges(recipe, corpus)
        self._quotas = {ranges[name]: recipe.quotas[name] for name in ranges}

    @classmethod
    def build(cls, recipe: Recipe, corpus: Corpus, work: Path, device: Device) -> dict[str, Any]:
        """Return no facts: the index of the whole union is one of its own.

        Raises:
            DataError: The corpus is not a union, or a quota is of none of its corpora.
        """
        _ranges(QuotaRecipe.model_validate(recipe.model_dump()), corpus)
        return {}

    @classmethod
    def open(
        cls, folder: Path, recipe: Recipe, facts: dict[str, Any], corpus: Corpus, device: Device
    ) -> QuotaIndex:
        """Open the index of the whole union."""
        options = QuotaRecipe.model_validate(recipe.model_dump())
        (index,) = open_parts(folder, corpus, device)
        return cls(index, options, corpus)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Return up to k passages per query in the recipe's order, with the scores of the index.

        Hits beyond all quotas are taken by quotas again.

        Raises:
            UsageError: A quota cannot be met within the depth of the index.
        """
        if not queries:
            return []
        rounds = -(-k // sum(self._quotas.values()))
        needs = {rows: quota * rounds for rows, quota in self._quotas.items()}
        found = hits_within(self.index, queries, needs)
        return [self._ranking(hits, rounds)[:k] for hits in found]

    def _ranking(self, hits: dict[range, list[Hit]], rounds: int) -> list[Hit]:
        ranking: list[Hit] = []
        for turn in range(rounds):
            parts = [
                hits[rows][turn * quota : (turn + 1) * quota]
                for rows, quota in self._quotas.items()
            ]
            ranking += _joined(parts, self._order)
            if sum(map(len, parts)) < sum(self._quotas.values()):
                break  # or a later hit would replace one that its corpus does not have
        return ranking


def _joined(parts: list[list[Hit]], order: str) -> list[Hit]:
    if order == "score":
        return sorted(chain(*parts), key=lambda hit: (-hit.score, hit.id))
    return [hit for turn in zip_longest(*parts) for hit in turn if hit is not None]


def _ranges(recipe: QuotaRecipe, corpus: Corpus) -> dict[str, range]:
    """Return the rows of the corpora that have a quota, in the union's order."""
    if not isinstance(corpus, Union):
        raise DataError(
            f"the corpus {corpus.name!r} is not a union, so it has no corpora to give quotas to",
            where=str(corpus.folder),
            fix="give a corpus whose card has `reader: union`",
        )
    unknown = [name for name in recipe.quotas if name not in corpus.ranges]
    if unknown:
        raise DataError(
            f"the recipe has a quota of {unknown[0]!r}, which is not a corpus of the union "
            f"{corpus.name!r}",
            where=str(corpus.folder),
            fix=f"its corpora are {', '.join(corpus.ranges)}",
        )
    return {name: rows for name, rows in corpus.ranges.items() if name in recipe.quotas}
