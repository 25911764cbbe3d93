"""The first hits of another index, put in the order of a cross-encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from ragbench.base.devices import Device
from ragbench.base.endpoint import Reach
from ragbench.base.errors import UsageError
from ragbench.base.files import sha256_json
from ragbench.base.records import Hit
from ragbench.corpora.cleaned import clean_query
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.built import open_parts
from ragbench.indexes.composite.cross_encoder import CrossEncoder, RerankerCard
from ragbench.indexes.loading import part_of, resolved_part
from ragbench.indexes.recipe import HubModels, Part, Recipe
from ragbench.indexes.retriever import IndexKind, passage_text

FIRST = "first"


class RerankRecipe(Recipe):
    """The options of a reranking index; each is part of the index's identity.

    Attributes:
        first: The name of a recipe, or an inline recipe; the manifest has it written out.
        depth: Number of its hits that are scored again, and the maximum k of a query.
        reranker: The cross-encoder that scores them.
    """

    first: str | dict[str, Any]
    depth: int = Field(100, gt=0)
    reranker: RerankerCard

    def resolved(self, load: Callable[[str], Recipe]) -> RerankRecipe:
        """Return the recipe with the first one written out.

        Raises:
            UsageError: The first stage ranks fewer hits than are to be scored.
        """
        found = self.model_copy(update={FIRST: resolved_part(FIRST, self.first, load)})
        limit = found.inner()[0].recipe.max_hits()
        if limit is not None and limit < self.depth:
            raise UsageError(
                f"{self.depth:,} hits are to be scored of a first stage that ranks {limit:,}",
                where="depth",
                fix="raise the `depth` of the first stage, or lower this one",
            )
        return found

    def inner(self) -> tuple[Part]:
        """Return the first recipe, once it is written out."""
        return (part_of(FIRST, self.first),)

    def identity(self) -> dict[str, Any]:
        """Return the options that can change a hit, those of the first stage among them."""
        first = self.inner()[0].recipe.identity()
        return {**super().identity(), FIRST: first, "reranker": self.reranker.identity()}

    def sends_to(self) -> Reach:
        """Return no endpoint: the reranker runs in this process."""
        return ()

    def encoder_digest(self) -> str | None:
        """Return the digest of the first stage's encoder and of the reranker."""
        return sha256_json([self.inner()[0].recipe.encoder_digest(), self.reranker.digest()])

    def hub_models(self) -> HubModels:
        """Return the models of both stages that come from the hub, with their revisions."""
        return {**super().hub_models(), **self.reranker.hub_models()}

    def max_hits(self) -> int:
        """Return the depth."""
        return self.depth


class RerankIndex:
    """An open index whose first hits are scored again."""

    Options: ClassVar[type[Recipe]] = RerankRecipe

    def __init__(
        self, index: IndexKind, reranker: CrossEncoder, recipe: RerankRecipe, corpus: Corpus
    ) -> None:
        self.corpus = corpus
        self.index = index
        self.metric = (
            f"{recipe.reranker.model} on the first {recipe.depth:,} hits by {index.metric}"
        )
        self._reranker = reranker
        self._recipe = recipe

    @classmethod
    def build(cls, recipe: Recipe, corpus: Corpus, work: Path, device: Device) -> dict[str, Any]:
        """Load the reranker, and return its number format."""
        options = RerankRecipe.model_validate(recipe.model_dump())
        return {"reranker_dtype": CrossEncoder(options.reranker, device).dtype}

    @classmethod
    def open(
        cls, folder: Path, recipe: Recipe, facts: dict[str, Any], corpus: Corpus, device: Device
    ) -> RerankIndex:
        """Open the first stage and load the reranker."""
        options = RerankRecipe.model_validate(recipe.model_dump())
        (index,) = open_parts(folder, corpus, device)
        return cls(index, CrossEncoder(options.reranker, device), options, corpus)

    @property
    def max_hits(self) -> int:
        """The most hits that a query can ask for."""
        return self._recipe.depth

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Return up to k passages per query: reranker's score descending, ties by passage id.

        Raises:
            UsageError: More are wanted than are scored.
        """
        depth = self._recipe.depth
        if k > depth:
            raise UsageError(
                f"{k:,} hits are wanted from an index that scores the first {depth:,} again",
                fix="ask for fewer, or raise `depth` in its recipe and build again with --replace",
            )
        if not queries:
            return []
        queries = [clean_query(query) for query in queries]
        found = self.index.search(queries, depth)
        texts = self._texts({hit.row for hits in found for hit in hits})
        pairs = [
            (query, texts[hit.row])
            for query, hits in zip(queries, found, strict=True)
            for hit in hits
        ]
        scores = iter(self._reranker.scores(pairs).tolist())
        return [
            sorted(
                (Hit(hit.id, hit.doc_id, hit.row, next(scores)) for hit in hits),
                key=lambda hit: (-hit.score, hit.id),
            )[:k]
            for hits in found
        ]

    def _texts(self, rows: set[int]) -> dict[int, str]:
        template = self._recipe.reranker.template
        passages = {row: self.corpus[row] for row in rows}
        return {row: passage_text(template, p.title, p.text) for row, p in passages.items()}
