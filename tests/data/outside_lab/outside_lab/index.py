"""Passages by the number of words that they share with the query."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from ragbench.base.devices import Device
from ragbench.base.endpoint import Reach
from ragbench.base.records import Hit
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.recipe import Footprint, Recipe
from ragbench.indexes.retriever import passage_text, top_hits


class SharedRecipe(Recipe):
    """A word counts if it has at least ``min_length`` letters."""

    min_length: int = 1

    def words(self, text: str) -> set[str]:
        return {word for word in text.lower().split() if len(word) >= self.min_length}

    def sends_to(self) -> Reach:
        return ()

    def estimate(self, name: str, corpus: Corpus, *, measure: bool, device: Device) -> Footprint:
        return Footprint(name, "shared words", float(corpus.manifest.n_characters))


class SharedIndex:
    """An open index: the words of each passage, in the order of the corpus."""

    Options: ClassVar[type[Recipe]] = SharedRecipe
    metric = "shared words"

    def __init__(self, words: list[set[str]], recipe: SharedRecipe, corpus: Corpus) -> None:
        self.words, self.recipe, self.corpus = words, recipe, corpus

    @classmethod
    def build(cls, recipe: Recipe, corpus: Corpus, work: Path, device: Device) -> dict[str, Any]:
        count = SharedRecipe.model_validate(recipe.model_dump()).words
        words = [sorted(count(passage_text("{title} {text}", p.title, p.text))) for p in corpus]
        (work / "words.json").write_text(json.dumps(words), encoding="utf-8")
        return {"n_words": sum(map(len, words))}

    @classmethod
    def open(
        cls, folder: Path, recipe: Recipe, facts: dict[str, Any], corpus: Corpus, device: Device
    ) -> Self:
        words = map(set, json.loads((folder / "words.json").read_text(encoding="utf-8")))
        return cls(list(words), SharedRecipe.model_validate(recipe.model_dump()), corpus)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        shared = [[len(self.recipe.words(q) & words) for words in self.words] for q in queries]
        scores = np.array(shared, dtype=np.float32).reshape(len(queries), len(self.words))
        rows = np.argsort(-scores, axis=1, kind="stable")
        best = np.take_along_axis(scores, rows, axis=1)
        return top_hits(
            self.corpus, len(queries), k, lambda some, n: (best[some, :n], rows[some, :n]), floor=0
        )
