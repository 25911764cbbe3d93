"""The options of a BM25 index, and its estimated size."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from ragbench.base.devices import Device
from ragbench.base.endpoint import Reach
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.bm25.tokenise import Analyser
from ragbench.indexes.recipe import BASE_MEMORY, Footprint, Recipe
from ragbench.indexes.retriever import passage_text

EPSILON = 0.25
SAMPLE = 2000  # passages that an estimate reads
POSTING = 8
PASSAGE = 12  # its length (int32) and norm (float64)
POSTINGS_PER_SECOND = 5e6  # docs/performance.md


class Bm25Recipe(Recipe):
    """The options of a BM25 index; each is part of the index's identity.

    Attributes:
        k1: Saturation of term frequency; higher values count repeats more.
        b: Strength of length normalisation.
        formula: The idf, and whether the factor k1 + 1 is used.
        epsilon: For ``okapi``: replaces a negative idf, as a share of the mean idf.
        engine: For ``okapi``: ``rank-bm25`` uses that package, which is about a thousand times
            slower and keeps the corpus in memory.
        words: Definition of a word; ``unicode`` is for scripts other than Latin, Greek and
            Cyrillic.
        fold: Form that words are read in; ``nfkc`` joins separate accents and parts ligatures, and
            leaves invisible characters out.
        stopwords: Words dropped before stemming: the name of a set, or a list.
        stemmer: ``none`` or a Snowball language.
        template: Text of a passage that is indexed.
    """

    k1: float = Field(0.9, ge=0, allow_inf_nan=False)
    b: float = Field(0.4, ge=0, le=1)
    formula: Literal["lucene", "okapi"] = "lucene"
    epsilon: float = Field(EPSILON, ge=0, allow_inf_nan=False)
    engine: Literal["fast", "rank-bm25"] = "fast"
    words: Literal["letters", "unicode"] = "letters"
    fold: Literal["nfkc", "none"] = "nfkc"
    stopwords: Literal["none", "lucene-english"] | tuple[str, ...] = "lucene-english"
    stemmer: str = "english"
    template: str = "{title}\n{text}"

    def sends_to(self) -> Reach:
        """Return no endpoint: the index is searched in this process."""
        return ()

    @field_validator("stemmer")
    @classmethod
    def _check_stemmer(cls, name: str) -> str:
        import Stemmer

        if name != "none" and name not in Stemmer.algorithms():
            raise ValueError(f"it is not one of: none, {', '.join(Stemmer.algorithms())}")
        return name

    @field_validator("stopwords")
    @classmethod
    def _check_stopwords(cls, words: str | tuple[str, ...]) -> str | tuple[str, ...]:
        idle = [word for word in words if word != word.lower()] if isinstance(words, tuple) else []
        if idle:
            raise ValueError(f"{idle[0]!r} has no effect: terms are in lower case")
        return words

    @model_validator(mode="after")
    def _check_okapi(self) -> Bm25Recipe:
        if self.formula == "lucene" and (self.engine != "fast" or self.epsilon != EPSILON):
            raise ValueError("`engine` and `epsilon` are options of `formula: okapi`")
        if self.engine == "rank-bm25" and self.k1 == 0:
            raise ValueError("rank-bm25 divides by 0 where k1 is 0; use `engine: fast`")
        return self

    def identity(self) -> dict[str, Any]:
        """Return the options that can change a hit; Lucene's formula has none of Okapi's."""
        apart = {"epsilon", "engine"} if self.formula == "lucene" else set()
        return {key: value for key, value in super().identity().items() if key not in apart}

    def analyser(self) -> Analyser:
        """Return the function from texts to terms."""
        return Analyser(
            stopwords=self.stopwords, stemmer=self.stemmer, words=self.words, fold=self.fold
        )

    def estimate(
        self, name: str, corpus: Corpus, *, measure: bool, device: Device
    ) -> Footprint | None:
        """Return the size of the postings, from the terms of a sample of passages."""
        analyse = self.analyser()
        rows = np.unique(np.linspace(0, len(corpus) - 1, min(SAMPLE, len(corpus))).astype(int))
        postings = 0
        for row in rows.tolist():
            passage = corpus[row]
            postings += len(set(analyse(passage_text(self.template, passage.title, passage.text))))
        disk = POSTING * postings / len(rows) * len(corpus)
        return Footprint(
            name,
            "bm25",
            disk,
            build_memory=BASE_MEMORY + PASSAGE * len(corpus),
            search_memory=BASE_MEMORY + disk,
            hours=disk / POSTING / POSTINGS_PER_SECOND / 3600 if measure else None,
            scratch=disk,  # runs are kept until all postings are merged
        )
