"""Several indexes over one corpus, joined by reciprocal rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, model_validator

from ragbench.base.devices import Device
from ragbench.base.endpoint import Reach
from ragbench.base.errors import UsageError
from ragbench.base.files import sha256_json
from ragbench.base.records import Hit
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.built import open_parts
from ragbench.indexes.composite.fusion import K0, rrf
from ragbench.indexes.loading import part_of, resolved_part
from ragbench.indexes.recipe import Part, Recipe
from ragbench.indexes.retriever import IndexKind


class HybridRecipe(Recipe):
    """The options of a hybrid index; each is part of the index's identity.

    Attributes:
        parts: Names of recipes, or inline recipes; the manifest has them written out.
        depth: Number of hits of each part that are joined, and the maximum k of a query.
        k0: Constant of reciprocal rank fusion.
        weights: One weight per part; all 1 by default.
    """

    parts: tuple[str | dict[str, Any], ...] = Field(min_length=2)
    depth: int = Field(100, gt=0)
    k0: int = Field(K0, ge=0)
    weights: tuple[float, ...] | None = None

    @model_validator(mode="after")
    def _check_weights(self) -> HybridRecipe:
        try:
            rrf([[]] * len(self.parts), k0=self.k0, weights=self.weights)
        except UsageError as error:
            raise ValueError(error.what) from None
        return self

    def resolved(self, load: Callable[[str], Recipe]) -> HybridRecipe:
        """Return the recipe with its parts written out.

        Raises:
            UsageError: A part is a hybrid itself.
        """
        parts = tuple(resolved_part("parts", part, load) for part in self.parts)
        for given, part in zip(self.parts, parts, strict=True):
            if part["kind"] == self.kind:
                raise UsageError("a hybrid index cannot be a part of one", where=f"parts: {given}")
        return self.model_copy(update={"parts": parts})

    def inner(self) -> tuple[Part, ...]:
        """Return the parts of a resolved recipe."""
        return tuple(part_of(f"part {n}", part) for n, part in enumerate(self.parts))

    def identity(self) -> dict[str, Any]:
        """Return the options that can change a hit, those of the parts among them."""
        return {**super().identity(), "parts": [part.recipe.identity() for part in self.inner()]}

    def sends_to(self) -> Reach:
        """Return no endpoint: rankings are fused in this process."""
        return ()

    def encoder_digest(self) -> str | None:
        """Return the digest of the parts' own digests."""
        return sha256_json([part.recipe.encoder_digest() for part in self.inner()])

    def max_hits(self) -> int:
        """Return the depth."""
        return self.depth


class HybridIndex:
    """An open hybrid index."""

    Options: ClassVar[type[Recipe]] = HybridRecipe

    def __init__(self, parts: Sequence[IndexKind], recipe: HybridRecipe, corpus: Corpus) -> None:
        self.corpus = corpus
        self.parts = list(parts)
        self.metric = f"reciprocal rank fusion of {', '.join(part.metric for part in parts)}"
        self._recipe = recipe

    @classmethod
    def build(cls, recipe: Recipe, corpus: Corpus, work: Path, device: Device) -> dict[str, Any]:
        """Return no facts: the parts are indexes of their own."""
        return {}

    @classmethod
    def open(
        cls, folder: Path, recipe: Recipe, facts: dict[str, Any], corpus: Corpus, device: Device
    ) -> HybridIndex:
        """Open each part."""
        options = HybridRecipe.model_validate(recipe.model_dump())
        return cls(open_parts(folder, corpus, device), options, corpus)

    @property
    def max_hits(self) -> int:
        """The most hits that a query can ask for."""
        return self._recipe.depth

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Return up to k passages per query: fused score descending, ties by passage id ascending.

        Raises:
            UsageError: More than the depth are wanted.
        """
        depth = self._recipe.depth
        if k > depth:
            raise UsageError(
                f"{k:,} hits are wanted from a hybrid index that joins the first {depth:,}",
                fix="ask for fewer, or raise `depth` in its recipe and build again with --replace",
            )
        found = [part.search(queries, depth) for part in self.parts]
        return [self._fuse([lists[query] for lists in found], k) for query in range(len(queries))]

    def _fuse(self, rankings: list[list[Hit]], k: int) -> list[Hit]:
        known = {hit.id: hit for ranking in rankings for hit in ranking}
        ids = [[hit.id for hit in ranking] for ranking in rankings]
        fused = rrf(ids, k0=self._recipe.k0, weights=self._recipe.weights)[:k]
        return [Hit(i, known[i].doc_id, known[i].row, score) for i, score in fused]
