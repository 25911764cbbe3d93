"""Several indexes over one corpus, built inside one folder and joined by reciprocal rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, model_validator

from ragbench.base.devices import Device
from ragbench.base.errors import UsageError
from ragbench.base.files import sha256_json
from ragbench.base.records import Hit
from ragbench.base.yamlfile import Document, check
from ragbench.corpora.corpus import Corpus
from ragbench.indexes import retrievers
from ragbench.indexes.check import Examined, Finding
from ragbench.indexes.composite.fusion import K0, rrf
from ragbench.indexes.retriever import IndexKind, Recipe


class HybridRecipe(Recipe):
    """The options of a hybrid index; each is part of the index's identity.

    Attributes:
        parts: Names of recipes, or recipes written out; the manifest has them written out.
        depth: How many hits of each part are joined, and so the most that a query can ask for.
        k0: Of reciprocal rank fusion.
        weights: One a part; all 1 by default.
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
        """Return the recipe with its parts written out."""
        parts: list[dict[str, Any]] = []
        for part in self.parts:
            recipe = load(part) if isinstance(part, str) else _part(part).resolved(load)
            if recipe.kind == self.kind:
                raise UsageError("a hybrid index cannot be a part of one", where=f"parts: {part}")
            parts.append(recipe.model_dump(mode="json"))
        return self.model_copy(update={"parts": tuple(parts)})

    def recipes(self) -> list[Recipe]:
        """Return the recipes of the parts, once they are written out."""
        return [_part(part) for part in self.parts if not isinstance(part, str)]

    def identity(self) -> dict[str, Any]:
        """Return the options that can change a hit, those of the parts among them."""
        parts = [recipe.identity() for recipe in self.recipes()]
        return {**super().identity(), "parts": parts}

    def encoder_digest(self) -> str | None:
        """Return the digest of the parts' own digests."""
        return sha256_json([recipe.encoder_digest() for recipe in self.recipes()])

    def require(self) -> None:
        """Refuse a machine that lacks what is needed inside."""
        for part in self.recipes():
            part.require()


def _part(written: dict[str, Any]) -> Recipe:
    return written_recipe(written, where="parts")


def written_recipe(written: dict[str, Any], *, where: str) -> Recipe:
    """Return a recipe that is written out inside another.

    Args:
        written: Its keys.
        where: The key that it stands under.

    Returns:
        The recipe of its kind.

    Raises:
        UsageError: It does not say its kind, or its keys are wrong.
    """
    kind = written.get("kind")
    if not isinstance(kind, str):
        raise UsageError("a recipe inside the recipe does not say its kind", where=where)
    return check(retrievers.get(kind).Options, Document(written, Path(where), {}))


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
        """Build each part in a folder of its own.

        Args:
            recipe: A HybridRecipe whose parts are written out.
            corpus: What is indexed.
            work: The folder to fill.
            device: Where encoders compute.

        Returns:
            The facts of each part.
        """
        options = HybridRecipe.model_validate(recipe.model_dump())
        facts: list[dict[str, Any]] = []
        for place, part in enumerate(options.recipes()):
            folder = work / f"part-{place}"
            folder.mkdir(exist_ok=True)
            facts.append(retrievers.get(part.kind).build(part, corpus, folder, device))
        return {"parts": facts}

    @classmethod
    def open(
        cls, folder: Path, recipe: Recipe, facts: dict[str, Any], corpus: Corpus, device: Device
    ) -> HybridIndex:
        """Open each part.

        Args:
            folder: The built index.
            recipe: A HybridRecipe whose parts are written out.
            facts: What ``build`` returned.
            corpus: What was indexed.
            device: Where queries are encoded and searched.

        Returns:
            The open index.
        """
        options = HybridRecipe.model_validate(recipe.model_dump())
        parts = [
            retrievers.get(part.kind).open(folder / f"part-{place}", part, known, corpus, device)
            for place, (part, known) in enumerate(
                zip(options.recipes(), facts["parts"], strict=True)
            )
        ]
        return cls(parts, options, corpus)

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
            One list a query: fused score descending, ties by passage id ascending.

        Raises:
            UsageError: More are wanted than the parts are asked for.
        """
        depth = self._recipe.depth
        if k > depth:
            raise UsageError(
                f"{k:,} hits are wanted of a hybrid index that joins the first {depth:,}",
                fix="ask for fewer, or raise `depth` in its recipe and build again with --replace",
            )
        found = [part.search(queries, depth) for part in self.parts]
        return [self._fuse([lists[place] for lists in found], k) for place in range(len(queries))]

    def _fuse(self, rankings: list[list[Hit]], k: int) -> list[Hit]:
        known = {hit.id: hit for ranking in rankings for hit in ranking}
        ids = [[hit.id for hit in ranking] for ranking in rankings]
        fused = rrf(ids, k0=self._recipe.k0, weights=self._recipe.weights)[:k]
        return [Hit(i, known[i].doc_id, known[i].row, score) for i, score in fused]

    def examine(self) -> list[Finding]:
        """Return what the parts look at."""
        return [
            Finding(f"part {place}: {finding.what}", finding.is_ok, finding.value)
            for place, part in enumerate(self.parts)
            if isinstance(part, Examined)
            for finding in part.examine()
        ]
