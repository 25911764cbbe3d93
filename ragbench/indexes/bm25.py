"""BM25 on bm25s, with its numba backend.

With ``formula: lucene`` (``okapi`` has its own module),
score(q, d) = sum over the query's tokens t (repeats count) of
    ln(1 + (N - df + 0.5) / (df + 0.5)) * tf / (tf + k1 * (1 - b + b * |d| / avgdl))

Source: Robertson and Zaragoza 2009, with the idf and the missing factor (k1 + 1) of Lucene 8
and later (Kamphuis et al. 2020, "Which BM25 do you mean?").
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from ragbench.corpora.store import Corpus
from ragbench.devices import Device
from ragbench.errors import DataError
from ragbench.indexes.okapi import RankBm25, Sums, to_okapi
from ragbench.indexes.retriever import Recipe, Rows, Scores, passage_text, top_hits
from ragbench.indexes.tokenise import make_tokeniser
from ragbench.progress import stage
from ragbench.records import Hit

ENGINE = "bm25s"
RANK_BM25 = "rank-bm25"
EPSILON = 0.25


class Bm25Recipe(Recipe):
    """The options of a BM25 index; each is part of the index's identity.

    Attributes:
        k1: How slowly a token's repeats count less.
        b: How much the passage's length counts.
        formula: Which idf, and whether the factor k1 + 1 is there.
        epsilon: Of ``okapi``: what a negative idf becomes, as a share of the mean idf.
        engine: Of ``okapi``: ``rank-bm25`` has that package itself compute, some thousand times
            more slowly and with the corpus in memory.
        stopwords: Which words are dropped before stemming.
        stemmer: How words are shortened.
        template: What the index sees of a passage.
    """

    k1: float = Field(0.9, ge=0, allow_inf_nan=False)
    b: float = Field(0.4, ge=0, le=1)
    formula: Literal["lucene", "okapi"] = "lucene"
    epsilon: float = Field(EPSILON, ge=0, allow_inf_nan=False)
    engine: Literal["fast", "rank-bm25"] = "fast"
    stopwords: Literal["none", "lucene-english"] = "lucene-english"
    stemmer: Literal["none", "english"] = "english"
    template: str = "{title}\n{text}"

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


class Bm25Index:
    """An open BM25 index."""

    Options: ClassVar[type[Recipe]] = Bm25Recipe

    def __init__(
        self, engine: Any, vocabulary: dict[str, int], recipe: Bm25Recipe, corpus: Corpus
    ) -> None:
        self.corpus = corpus
        self.metric = f"bm25 {recipe.formula}"
        self._engine = engine
        is_plain = recipe.formula == "lucene" or recipe.engine == "rank-bm25"
        self._sums = None if is_plain else Sums(engine, recipe.epsilon)
        self._vocabulary = vocabulary
        self._tokenise = make_tokeniser(stopwords=recipe.stopwords, stemmer=recipe.stemmer)

    @classmethod
    def build(cls, recipe: Recipe, corpus: Corpus, work: Path, device: Device) -> dict[str, Any]:
        """Tokenise the corpus and write the sparse score matrix, or what rank-bm25 needs.

        Args:
            recipe: A Bm25Recipe.
            corpus: What is indexed.
            work: The folder to fill.
            device: Not used; BM25 runs on the processor.

        Returns:
            Counts for the manifest.

        Raises:
            DataError: No passage holds a token.
        """
        options = Bm25Recipe.model_validate(recipe.model_dump())
        tokenise = make_tokeniser(stopwords=options.stopwords, stemmer=options.stemmer)
        vocabulary: dict[str, int] = {}
        documents: list[array[int]] = []
        with stage(f"index over {corpus.name}: tokenising", len(corpus)) as progress:
            for passage in corpus:
                text = passage_text(options.template, passage.title, passage.text)
                documents.append(
                    array("i", (vocabulary.setdefault(t, len(vocabulary)) for t in tokenise(text)))
                )
                progress.advance()
        if not vocabulary:
            raise DataError(
                f"no passage of {corpus.name!r} holds a word that the tokeniser keeps",
                where=str(corpus.folder),
            )
        if options.engine == "rank-bm25":
            RankBm25.save(work / RANK_BM25, documents, vocabulary)
        else:
            _write_matrix(options, corpus, documents, vocabulary, work)
        return {
            "n_terms": len(vocabulary),
            "n_tokens": sum(len(document) for document in documents),
        }

    @classmethod
    def open(
        cls, folder: Path, recipe: Recipe, facts: dict[str, Any], corpus: Corpus, device: Device
    ) -> Bm25Index:
        """Open the index with its matrix memory-mapped.

        Args:
            folder: The built index.
            recipe: A Bm25Recipe.
            facts: What ``build`` returned.
            corpus: What was indexed.
            device: Not used; BM25 runs on the processor.

        Returns:
            The open index.

        Raises:
            DataError: A file of the index is missing or torn.
        """
        options = Bm25Recipe.model_validate(recipe.model_dump())
        try:
            if options.engine == "rank-bm25":
                parts = {"k1": options.k1, "b": options.b, "epsilon": options.epsilon}
                with stage(f"index over {corpus.name}: rank-bm25", len(corpus)) as progress:
                    ranked = RankBm25(folder / RANK_BM25, **parts)
                    progress.advance(len(corpus))
                return cls(ranked, ranked.vocabulary, options, corpus)
            engine = _open_matrix(folder / ENGINE)
        except (OSError, EOFError, ValueError, TypeError, LookupError) as error:
            raise DataError(
                f"the BM25 index cannot be read: {error}",
                where=str(folder),
                fix="build it again with `ragbench index build ... --replace`",
            ) from None
        return cls(engine, engine.vocab_dict, options, corpus)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Return up to k passages a query that share a token with it.

        Args:
            queries: The texts.
            k: How many hits are wanted.

        Returns:
            One list a query: score descending, ties by passage id ascending.
        """
        known = [
            [self._vocabulary[t] for t in self._tokenise(query) if t in self._vocabulary]
            for query in queries
        ]
        asked = [place for place, ids in enumerate(known) if ids]

        def ask(places: Sequence[int], size: int) -> tuple[Scores, Rows]:
            return self._best([known[asked[place]] for place in places], size)

        hits: list[list[Hit]] = [[] for _ in queries]
        for place, found in zip(asked, top_hits(self.corpus, len(asked), k, ask), strict=True):
            hits[place] = found
        return hits

    def _best(self, queries: list[list[int]], size: int) -> tuple[Scores, Rows]:
        """Return scores and rows (Q, size) of token numbers; -1 where no more share a token."""
        if isinstance(self._engine, RankBm25):
            found = [self._engine.best(query, size) for query in queries]
            return np.stack([s for s, _ in found]), np.stack([r for _, r in found])
        results = self._engine.retrieve(
            queries, k=size, show_progress=False, n_threads=-1 if len(queries) > 1 else 1
        )
        scores = np.asarray(results.scores)
        rows = np.where(scores > 0, np.asarray(results.documents, dtype=np.int64), -1)
        if self._sums is not None:
            for place, query in enumerate(queries):
                if self._sums.are_needed(query):
                    scores[place], rows[place] = self._sums.best(query, size)
        return scores, rows


def _write_matrix(
    options: Bm25Recipe,
    corpus: Corpus,
    documents: list[array[int]],
    vocabulary: dict[str, int],
    work: Path,
) -> None:
    from bm25s import BM25

    is_okapi = options.formula == "okapi"
    engine = BM25(
        k1=options.k1,
        b=options.b,
        method="atire" if is_okapi else "lucene",
        idf_method="lucene",
        backend="numba",
    )
    with stage(f"index over {corpus.name}: scoring", len(corpus)) as progress:
        engine.index((documents, vocabulary), create_empty_token=False, show_progress=False)
        if is_okapi:
            to_okapi(engine, options.epsilon)
        progress.advance(len(corpus))
    engine.save(work / ENGINE, show_progress=False)


def _open_matrix(folder: Path) -> Any:
    from bm25s import BM25

    _cache_compiled_search()
    engine = BM25.load(folder, mmap=True, load_vocab=True)
    engine.backend = "numba"
    return engine


def _cache_compiled_search() -> None:
    """Let numba keep the compiled search on disk: compiling takes seconds in every process."""
    from bm25s.numba import retrieve_utils

    for compiled in (
        retrieve_utils._retrieve_internal_jitted_parallel,
        retrieve_utils._retrieve_internal_jitted_serial,
    ):
        compiled.enable_caching()
