"""BM25 over postings with precomputed scores, searched by compiled code (``kernels``).

With ``formula: lucene`` (``okapi`` has its own module),
score(q, d) = sum over the query's terms t (repeats count) of
    ln(1 + (N - df + 0.5) / (df + 0.5)) * tf / (tf + k1 * (1 - b + b * |d| / avgdl))

Source: Robertson and Zaragoza 2009, with the idf of Lucene 8 and later, which has no factor (k1 +
1) (Kamphuis et al. 2020, "Which BM25 do you mean?"); scores stored in the postings as in bm25s (Lù
2024). The index folder has the lexicon (``terms.bin``, ``terms.npy``), ``indptr.npy`` (int64, the
start of each term's postings), and the postings by term and row: ``rows.i32`` and ``scores.f32``.
All are memory-mapped.
"""

from __future__ import annotations

import os
import shutil
import threading
from array import array
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ragbench.base.devices import Device
from ragbench.base.errors import DataError
from ragbench.base.files import atomic_file, plain_file
from ragbench.base.progress import stage
from ragbench.base.records import Hit
from ragbench.corpora.cleaned import clean_query
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.npy import map_array
from ragbench.indexes.bm25 import inversion, lexicon
from ragbench.indexes.bm25.okapi import RankBm25, okapi_idf
from ragbench.indexes.bm25.recipe import Bm25Recipe
from ragbench.indexes.bm25.tokenise import Analyser
from ragbench.indexes.recipe import Recipe
from ragbench.indexes.retriever import Rows, Scores, hits_at, passage_text, top_hits

INDPTR = "indptr.npy"
RUNS = "runs"
RANK_BM25 = "rank-bm25"
WINDOW = 1 << 16
QUERIES_AT_ONCE = 64
REMEMBERED = 1 << 18


class Postings:
    """The open postings of an index.

    Raises:
        OSError: A file is missing.
        ValueError: The files do not match.
    """

    def __init__(self, folder: Path) -> None:
        self.lexicon = lexicon.Lexicon(folder)
        self.indptr: npt.NDArray[np.int64] = map_array(folder / INDPTR)
        self.indptr = self.indptr.view(np.ndarray)
        self.rows = np.memmap(plain_file(folder / "rows.i32"), np.int32, "r").view(np.ndarray)
        self.scores = np.memmap(plain_file(folder / "scores.f32"), np.float32, "r").view(np.ndarray)
        ends = {int(self.indptr[-1]), self.rows.size, self.scores.size}
        matches = self.indptr.size == len(self.lexicon) + 1 and len(ends) == 1
        # Compiled code does not check where it reads.
        if not matches or self.indptr[0] != 0 or (np.diff(self.indptr) < 0).any():
            raise ValueError("the files of its postings do not match")


class Bm25Index:
    """An open BM25 index."""

    Options: ClassVar[type[Recipe]] = Bm25Recipe

    def __init__(self, engine: Postings | RankBm25, recipe: Bm25Recipe, corpus: Corpus) -> None:
        self.corpus = corpus
        self.metric = f"bm25 {recipe.formula}"
        self._engine = engine
        self._analyse = recipe.analyser()
        if isinstance(engine, Postings):
            self._known = _TermNumbers(self._analyse, engine.lexicon)
        self._of_thread = threading.local()
        self._is_positive: npt.NDArray[np.bool_] | None = None
        if recipe.formula == "okapi" and isinstance(engine, Postings):
            df = np.diff(engine.indptr)
            is_positive = okapi_idf(df, len(corpus), recipe.epsilon) > 0
            self._is_positive = None if is_positive.all() else is_positive
        self._id_rank = np.asarray(corpus.id_rank).view(np.ndarray)

    @classmethod
    def build(cls, recipe: Recipe, corpus: Corpus, work: Path, device: Device) -> dict[str, Any]:
        """Write the postings of a corpus, or the input of rank-bm25, and return counts.

        Runs that a killed build left in ``work`` are used.

        Raises:
            DataError: No passage contains a term.
        """
        options = Bm25Recipe.model_validate(recipe.model_dump())
        if options.engine == "rank-bm25":
            return _save_tokens(options, corpus, work)
        runs_folder = work / RUNS
        with stage(f"index over {corpus.name}: inverting", len(corpus)) as progress:
            analyser = options.analyser()
            runs = inversion.invert(corpus, options.template, analyser, runs_folder, progress)
        terms = inversion.merge_terms(runs)
        if not len(terms):
            raise _no_terms(corpus)
        lengths = np.concatenate([run.array("lengths") for run in runs])
        lexicon.save(work, terms)
        _write_postings(options, corpus, runs, terms, lengths, work)
        shutil.rmtree(runs_folder)
        return {"n_terms": len(terms), "n_tokens": int(lengths.sum(dtype=np.int64))}

    @classmethod
    def open(
        cls, folder: Path, recipe: Recipe, facts: dict[str, Any], corpus: Corpus, device: Device
    ) -> Bm25Index:
        """Return the index with its postings memory-mapped.

        Raises:
            DataError: A file of the index is missing or damaged.
        """
        options = Bm25Recipe.model_validate(recipe.model_dump())
        try:
            if options.engine == "rank-bm25":
                parts = {"k1": options.k1, "b": options.b, "epsilon": options.epsilon}
                with stage(f"index over {corpus.name}: rank-bm25", len(corpus)) as progress:
                    ranked = RankBm25(folder / RANK_BM25, **parts)
                    progress.advance(len(corpus))
                return cls(ranked, options, corpus)
            return cls(Postings(folder), options, corpus)
        except (OSError, EOFError, ValueError, TypeError, LookupError) as error:
            raise DataError(
                f"the BM25 index cannot be read: {error}",
                where=str(folder),
                fix="build it again with `ragbench index build ... --replace`",
            ) from None

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Return up to k passages per query that share a term with it, ties by passage id."""
        return self.search_within(queries, k, range(len(self.corpus)))

    def search_within(self, queries: Sequence[str], k: int, rows: range) -> list[list[Hit]]:
        """Return up to k passages per query in a range of rows, with statistics of all rows."""
        from ragbench.indexes.bm25.kernels import search

        k = min(k, len(rows))  # k is allocated
        if k < 1 or not queries:
            return [[] for _ in queries]
        queries = [clean_query(query) for query in queries]
        if isinstance(self._engine, RankBm25):
            return self._search_ranked(self._engine, queries, k, rows)
        terms, weights, starts, is_signed = self._asked(queries)
        scores = np.empty((len(queries), k), dtype=np.float32)
        found = np.empty((len(queries), k), dtype=np.int64)
        postings = self._postings

        def run(some: slice) -> None:  # without Python's lock
            are_in_order = search(
                *(postings.indptr, postings.rows, postings.scores, self._id_rank),
                *(terms, weights, starts[some.start : some.stop + 1], is_signed[some]),
                *(rows.start, rows.stop, *self._scratch(), scores[some], found[some]),
            )
            if not are_in_order:
                raise DataError(
                    f"the BM25 index over {self.corpus.name!r} has postings of passages that are "
                    "out of order or not in the corpus",
                    fix="build it again with `ragbench index build ... --replace`",
                )

        if len(queries) == 1:
            run(slice(0, 1))
        else:
            size = min(QUERIES_AT_ONCE, -(-len(queries) // (os.cpu_count() or 1)))
            parts = [slice(at, min(at + size, len(queries))) for at in range(0, len(queries), size)]
            list(_pool(os.getpid()).map(run, parts))
        return hits_at(self.corpus, found, scores)

    def _asked(self, queries: Sequence[str]) -> tuple[npt.NDArray[Any], ...]:
        """Return the queries' terms, weights, starts and is_signed, for ``kernels.search``."""
        terms: list[int] = []
        starts = [0]
        repeated: dict[int, list[int]] = {}
        for query in queries:
            numbers = [n for word in self._analyse.words(query) for n in self._known[word]]
            if len(set(numbers)) < len(numbers):
                counts = Counter(numbers)  # in the order of their first places
                repeated[len(terms)] = list(counts.values())
                numbers = list(counts)
            terms += numbers
            starts.append(len(terms))
        flat, bounds = np.array(terms, dtype=np.int64), np.array(starts, dtype=np.int64)
        weights = np.ones(flat.size, dtype=np.float32)
        for start, times in repeated.items():
            weights[start : start + len(times)] = times
        is_signed = np.zeros(len(queries), dtype=np.bool_)
        if self._is_positive is not None:
            before = np.concatenate(([0], np.cumsum(~self._is_positive[flat])))
            is_signed = before[bounds[1:]] > before[bounds[:-1]]
        return flat, weights, bounds, is_signed

    def _scratch(self) -> tuple[npt.NDArray[Any], ...]:
        """Return this thread's zeroed arrays; new ones would cost more than a search."""
        if not hasattr(self._of_thread, "arrays"):
            from ragbench.indexes.bm25.kernels import GROUP

            window = min(WINDOW, len(self.corpus))
            sums = np.zeros(window + GROUP, dtype=np.float32)
            self._of_thread.arrays = (sums, np.zeros(window, dtype=np.bool_))
        arrays: tuple[npt.NDArray[Any], ...] = self._of_thread.arrays
        return arrays

    @property
    def _postings(self) -> Postings:
        assert isinstance(self._engine, Postings)  # noqa: S101 - rank-bm25 has its own search
        return self._engine

    def _search_ranked(
        self, engine: RankBm25, queries: Sequence[str], k: int, rows: range
    ) -> list[list[Hit]]:
        known = [
            [engine.vocabulary[t] for t in self._analyse(query) if t in engine.vocabulary]
            for query in queries
        ]
        asked = [place for place, ids in enumerate(known) if ids]

        def ask(places: Sequence[int], size: int) -> tuple[Scores, Rows]:
            found = [engine.best(known[asked[place]], size, rows) for place in places]
            return np.stack([s for s, _ in found]), np.stack([r for _, r in found])

        hits: list[list[Hit]] = [[] for _ in queries]
        for place, found in zip(asked, top_hits(self.corpus, len(asked), k, ask), strict=True):
            hits[place] = found
        return hits


class _TermNumbers(dict[str, tuple[int, ...]]):
    """Cache of the numbers of a word's terms; unknown terms are absent."""

    def __init__(self, analyse: Analyser, known: lexicon.Lexicon) -> None:
        super().__init__()
        self._analyse = analyse
        self._lexicon = known

    def __missing__(self, word: str) -> tuple[int, ...]:
        if len(self) >= REMEMBERED:
            self.clear()
        numbers = map(self._lexicon.find, self._analyse.terms(word))
        found = self[word] = tuple(n for n in numbers if n >= 0)
        return found


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Return a process's search threads, which keep their arrays between searches."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="bm25")


def _no_terms(corpus: Corpus) -> DataError:
    return DataError(
        f"no passage of {corpus.name!r} contains a word that the tokeniser keeps",
        where=str(corpus.folder),
    )


def _save_tokens(options: Bm25Recipe, corpus: Corpus, work: Path) -> dict[str, Any]:
    """Write the input of rank-bm25 and return counts."""
    analyse = options.analyser()
    vocabulary: dict[str, int] = {}
    documents: list[array[int]] = []
    with stage(f"index over {corpus.name}: tokenising", len(corpus)) as progress:
        for passage in corpus:
            text = passage_text(options.template, passage.title, passage.text)
            documents.append(
                array("i", (vocabulary.setdefault(t, len(vocabulary)) for t in analyse(text)))
            )
            progress.advance()
    if not vocabulary:
        raise _no_terms(corpus)
    RankBm25.save(work / RANK_BM25, documents, vocabulary)
    return {"n_terms": len(vocabulary), "n_tokens": sum(map(len, documents))}


def _write_postings(
    options: Bm25Recipe,
    corpus: Corpus,
    runs: Sequence[inversion.PostingsRun],
    terms: Any,
    lengths: npt.NDArray[np.int32],
    work: Path,
) -> None:
    inversion.number_terms(runs, terms)
    df = np.zeros(len(terms), dtype=np.int64)
    for run in runs:
        df[run.array(inversion.NUMBERS)] += np.diff(run.array("bounds"))
    indptr = np.concatenate(([0], np.cumsum(df)))
    n = len(corpus)
    if options.formula == "okapi":
        idf, factor = okapi_idf(df, n, options.epsilon), options.k1 + 1
    else:
        idf, factor = np.log1p((n - df + 0.5) / (df + 0.5)), 1.0
    norms = options.k1 * (1 - options.b + options.b * (lengths / lengths.mean(dtype=np.float64)))
    with atomic_file(work / INDPTR) as handle:
        np.save(handle, indptr)
    with stage(f"index over {corpus.name}: merging postings", int(indptr[-1])) as progress:
        inversion.merge(runs, indptr, idf, norms, factor, work, progress)
