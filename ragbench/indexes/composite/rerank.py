"""The first hits of another index, put in the order of a cross-encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from ragbench.base.devices import Device
from ragbench.base.errors import UsageError
from ragbench.base.files import sha256_json
from ragbench.base.records import Hit
from ragbench.corpora.corpus import Corpus
from ragbench.indexes import retrievers
from ragbench.indexes.check import Examined, Finding
from ragbench.indexes.composite.cross_encoder import CrossEncoder, RerankerCard
from ragbench.indexes.composite.hybrid import written_recipe
from ragbench.indexes.retriever import IndexKind, Recipe, passage_text

FIRST = "first"


class RerankRecipe(Recipe):
    """The options of a reranking index; each is part of the index's identity.

    Attributes:
        first: The name of a recipe, or one written out; the manifest has it written out.
        depth: How many of its hits are scored anew, and so the most that a query can ask for.
        reranker: What scores them.
    """

    first: str | dict[str, Any]
    depth: int = Field(100, gt=0)
    reranker: RerankerCard

    def resolved(self, load: Callable[[str], Recipe]) -> RerankRecipe:
        """Return the recipe with the first one written out.

        Args:
            load: Reads a recipe by its name.

        Returns:
            The same recipe.

        Raises:
            UsageError: The first stage ranks fewer hits than are to be scored.
        """
        first = load(self.first) if isinstance(self.first, str) else self.recipe().resolved(load)
        limit = getattr(first, "depth", None)
        if isinstance(limit, int) and limit < self.depth:
            raise UsageError(
                f"{self.depth:,} hits are to be scored of a first stage that ranks {limit:,}",
                where="depth",
                fix="raise the `depth` of the first stage, or lower this one",
            )
        return self.model_copy(update={FIRST: first.model_dump(mode="json")})

    def recipe(self) -> Recipe:
        """Return the first recipe, once it is written out."""
        return written_recipe(self.first if isinstance(self.first, dict) else {}, where=FIRST)

    def identity(self) -> dict[str, Any]:
        """Return the options that can change a hit, those of the first stage among them."""
        own = {FIRST: self.recipe().identity(), "reranker": self.reranker.identity()}
        return {**super().identity(), **own}

    def encoder_digest(self) -> str | None:
        """Return the digest of the first stage's encoder and of the reranker."""
        return sha256_json([self.recipe().encoder_digest(), self.reranker.digest()])

    def require(self) -> None:
        """Refuse a machine that lacks what is needed inside."""
        self.recipe().require()
        super().require()


class RerankIndex:
    """An open index whose first hits are scored anew."""

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
        """Build the first stage in a folder of its own, once the reranker is known to load.

        Args:
            recipe: A RerankRecipe whose first recipe is written out.
            corpus: What is indexed.
            work: The folder to fill.
            device: Where encoders compute.

        Returns:
            The facts of the first stage, and the reranker's number format.
        """
        options = RerankRecipe.model_validate(recipe.model_dump())
        dtype = CrossEncoder(options.reranker, device).dtype
        (work / FIRST).mkdir(exist_ok=True)
        inner = options.recipe()
        facts = retrievers.get(inner.kind).build(inner, corpus, work / FIRST, device)
        return {FIRST: facts, "reranker_dtype": dtype}

    @classmethod
    def open(
        cls, folder: Path, recipe: Recipe, facts: dict[str, Any], corpus: Corpus, device: Device
    ) -> RerankIndex:
        """Open the first stage and load the reranker.

        Args:
            folder: The built index.
            recipe: A RerankRecipe whose first recipe is written out.
            facts: What ``build`` returned.
            corpus: What was indexed.
            device: Where queries are encoded, searched and scored.

        Returns:
            The open index.
        """
        options = RerankRecipe.model_validate(recipe.model_dump())
        inner = options.recipe()
        kind = retrievers.get(inner.kind)
        index = kind.open(folder / FIRST, inner, facts[FIRST], corpus, device)
        return cls(index, CrossEncoder(options.reranker, device), options, corpus)

    @property
    def depth(self) -> int:
        """The most hits that a query can ask for."""
        return self._recipe.depth

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Return up to k passages a query.

        Args:
            queries: The texts.
            k: How many hits are wanted; no more than the recipe's depth.

        Returns:
            One list a query: the reranker's score descending, ties by passage id ascending.

        Raises:
            UsageError: More are wanted than are scored.
        """
        if k > self.depth:
            raise UsageError(
                f"{k:,} hits are wanted of an index that scores the first {self.depth:,} anew",
                fix="ask for fewer, or raise `depth` in its recipe and build again with --replace",
            )
        if not queries:
            return []
        found = self.index.search(queries, self.depth)
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

    def examine(self) -> list[Finding]:
        """Return what the first stage looks at."""
        if not isinstance(self.index, Examined):
            return []
        return [
            Finding(f"first stage: {finding.what}", finding.is_ok, finding.value)
            for finding in self.index.examine()
        ]
