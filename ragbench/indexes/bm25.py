"""BM25 on bm25s, with its numba backend.

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
from pydantic import Field

from ragbench.corpora.store import Corpus
from ragbench.devices import Device
from ragbench.errors import DataError
from ragbench.indexes.retriever import Recipe, Rows, Scores, passage_text, top_hits
from ragbench.indexes.tokenise import make_tokeniser
from ragbench.progress import stage
from ragbench.records import Hit

ENGINE = "bm25s"


class Bm25Recipe(Recipe):
    """The options of a BM25 index; each is part of the index's identity."""

    k1: float = Field(0.9, ge=0, allow_inf_nan=False)
    b: float = Field(0.4, ge=0, le=1)
    formula: Literal["lucene"] = "lucene"
    stopwords: Literal["none", "lucene-english"] = "lucene-english"
    stemmer: Literal["none", "english"] = "english"
    template: str = "{title}\n{text}"


class Bm25Index:
    """An open BM25 index."""

    Options: ClassVar[type[Recipe]] = Bm25Recipe

    def __init__(
        self, engine: Any, vocabulary: dict[str, int], recipe: Bm25Recipe, corpus: Corpus
    ) -> None:
        self.corpus = corpus
        self.metric = f"bm25 {recipe.formula}"
        self._engine = engine
        self._vocabulary = vocabulary
        self._tokenise = make_tokeniser(stopwords=recipe.stopwords, stemmer=recipe.stemmer)

    @classmethod
    def build(cls, recipe: Recipe, corpus: Corpus, work: Path, device: Device) -> dict[str, Any]:
        """Tokenise the corpus and write the sparse score matrix.

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
        from bm25s import BM25

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
        engine = BM25(k1=options.k1, b=options.b, method=options.formula, backend="numba")
        with stage(f"index over {corpus.name}: scoring", len(corpus)) as progress:
            engine.index((documents, vocabulary), create_empty_token=False, show_progress=False)
            progress.advance(len(corpus))
        engine.save(work / ENGINE, show_progress=False)
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
        from bm25s import BM25

        _cache_compiled_search()
        options = Bm25Recipe.model_validate(recipe.model_dump())
        try:
            engine = BM25.load(folder / ENGINE, mmap=True, load_vocab=True)
        except (OSError, EOFError, ValueError, TypeError) as error:
            raise DataError(
                f"the BM25 index cannot be read: {error}",
                where=str(folder),
                fix="build it again with `ragbench index build ... --replace`",
            ) from None
        engine.backend = "numba"
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
            found = self._engine.retrieve(
                [known[asked[place]] for place in places],
                k=size,
                show_progress=False,
                n_threads=-1 if len(places) > 1 else 1,
            )
            return np.asarray(found.scores), np.asarray(found.documents, dtype=np.int64)

        hits: list[list[Hit]] = [[] for _ in queries]
        for place, found in zip(
            asked, top_hits(self.corpus, len(asked), k, ask, floor=0.0), strict=True
        ):
            hits[place] = found
        return hits


def _cache_compiled_search() -> None:
    """Let numba keep the compiled search on disk: compiling takes seconds in every process."""
    from bm25s.numba import retrieve_utils

    for compiled in (
        retrieve_utils._retrieve_internal_jitted_parallel,
        retrieve_utils._retrieve_internal_jitted_serial,
    ):
        compiled.enable_caching()
