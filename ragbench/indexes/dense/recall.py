"""How much an approximate index finds of what exact search finds, measured on its own vectors.

Two samples of queries, both seeded:
    passages   vectors of the index itself, each without itself among its answers
    excerpts   8 words from a random place of a random passage, encoded as a query: shorter than
               passages and off their places, as questions are, so the harder of the two

recall@k = share of the first k answers that are as near as the exact k-th neighbour (so that
duplicates of a neighbour count as that neighbour).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from ragbench.base.errors import DataError
from ragbench.base.files import atomic_file, plain_file
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.dense.encoders import Vectors
from ragbench.indexes.retriever import Rows

QUERIES = "recall_queries.npz"
WORDS = 8
MARGIN = 16  # float32 picks so many more than k, float64 then ranks them
TOLERANCE = 1e-6
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Recall:
    """One measured recall.

    Attributes:
        queries: ``passages`` or ``excerpts``.
        n_queries: How many there were.
        k: How many neighbours were asked for.
        recall_at_k: The mean over the queries.
    """

    queries: str
    n_queries: int
    k: int
    recall_at_k: float

    def to_json(self) -> dict[str, Any]:
        """Return it as the manifest holds it."""
        return asdict(self)


@dataclass(frozen=True)
class RecallQueries:
    """What recall is measured with.

    Attributes:
        rows: Rows whose vectors are queries.
        excerpts: Encoded excerpts (E, D).
    """

    rows: Rows
    excerpts: Vectors

    def save(self, folder: Path) -> None:
        """Write it beside the index, so that the figure can be checked."""
        with atomic_file(folder / QUERIES) as handle:
            np.savez(handle, rows=self.rows, excerpts=self.excerpts)

    @classmethod
    def load(cls, folder: Path) -> RecallQueries:
        """Return the queries that ``save`` has written into the folder of an index.

        Raises:
            DataError: The file is missing or damaged.
        """
        try:
            with np.load(plain_file(folder / QUERIES), allow_pickle=False) as found:
                return cls(found["rows"], found["excerpts"])
        except (
            OSError,
            ValueError,
            EOFError,
            KeyError,
            TypeError,
            SyntaxError,
            BadZipFile,
        ) as error:
            raise DataError(
                f"the queries of the recall cannot be read: {error}",
                where=str(folder / QUERIES),
                fix="build the index again with --replace",
            ) from None


def draw(
    corpus: Corpus, count: int, seed: int, encode: Callable[[Sequence[str]], Vectors]
) -> RecallQueries:
    """Return up to ``count`` queries of each kind; ``encode`` encodes excerpts."""
    generator = np.random.default_rng(seed)
    size = min(count, len(corpus))
    rows = generator.choice(len(corpus), size=size, replace=False)
    excerpts: list[str] = []
    for row in generator.choice(len(corpus), size=size, replace=False):
        words = corpus[int(row)].text.split()
        start = int(generator.integers(0, max(1, len(words) - WORDS + 1)))
        excerpts.append(" ".join(words[start : start + WORDS]))
    return RecallQueries(rows, encode(excerpts))


class Judge:
    """What exact search finds for a sample of queries, to judge indexes by: k neighbours each."""

    def __init__(self, sample: RecallQueries, stored: Embeddings, k: int, metric: str) -> None:
        self._sample = sample
        self._stored = stored
        self._metric = metric
        n = len(stored.corpus)
        self._depths = {"passages": min(k, n - 1), "excerpts": min(k, n)}
        self._queries = {"passages": stored.rows(sample.rows), "excerpts": sample.excerpts}
        self._worst = {
            kind: nth_best(
                *(stored, self._queries[kind], depth, metric),
                without=sample.rows if kind == "passages" else None,
            )
            for kind, depth in self._depths.items()
            if depth > 0
        }

    def recall(self, index: Any) -> list[Recall]:
        """Return one figure per kind of queries, for an index set as it will search.

        Where there is one passage only, there is no figure for passages.
        """
        found: list[Recall] = []
        for kind, worst in self._worst.items():
            depth, queries = self._depths[kind], self._queries[kind]
            if kind == "passages":
                answers = index.search(queries, depth + 1)[1]
                pairs = zip(answers, self._sample.rows, strict=True)
                answers = np.stack([row[row != own][:depth] for row, own in pairs])
            else:
                answers = index.search(queries, depth)[1]
            value = _share(self._stored, queries, answers, worst, self._metric)
            found.append(Recall(kind, len(queries), depth, value))
        return found


def measure(
    index: Any, sample: RecallQueries, stored: Embeddings, k: int, metric: str
) -> list[Recall]:
    """Return the recall of one index, as ``Judge`` does."""
    return Judge(sample, stored, k, metric).recall(index)


def nearness(queries: npt.NDArray[Any], vectors: npt.NDArray[Any], metric: str) -> Any:
    """Return inner products, or minus the squared distances (``l2``), as (Q, V) or (Q, 1, V).

    Queries are (Q, D) and vectors (V, D), or (Q, 1, D) and (Q, V, D) where each query has its own.
    """
    products = queries @ np.swapaxes(vectors, -1, -2)
    if metric != "l2":
        return products
    squares = np.expand_dims((vectors**2).sum(-1), -2)
    return 2 * products - (queries**2).sum(-1, keepdims=True) - squares


def nth_best(
    stored: Embeddings, queries: Vectors, k: int, metric: str, *, without: Rows | None = None
) -> Floats:
    """Return the score of each query's exact k-th neighbour (from 1), in double precision.

    The vectors are read shard by shard. ``without`` names one row per query that does not count.
    """
    width = min(k + MARGIN, len(stored.corpus))
    scores = np.full((len(queries), width), -np.inf, dtype=np.float32)
    rows = np.zeros((len(queries), width), dtype=np.int64)
    for start, vectors in stored.shards():
        here = nearness(queries, vectors, metric)
        if without is not None:
            inside = np.flatnonzero((without >= start) & (without < start + len(vectors)))
            here[inside, without[inside] - start] = -np.inf
        both = np.concatenate((scores, here), axis=1)
        places = np.broadcast_to(np.arange(start, start + len(vectors)), here.shape)
        every = np.concatenate((rows, places), axis=1)
        best = np.argpartition(-both, width - 1, axis=1)[:, :width]
        scores, rows = (np.take_along_axis(array, best, axis=1) for array in (both, every))
    exact = _rescore(stored, queries, rows, metric)
    exact[np.isneginf(scores)] = -np.inf
    return np.asarray(-np.sort(-exact, axis=1)[:, k - 1])


def _rescore(stored: Embeddings, queries: Vectors, rows: Rows, metric: str) -> Floats:
    """Return the scores of given rows (Q, R) in double precision."""
    flat, places = np.unique(rows, return_inverse=True)
    vectors = stored.rows(flat).astype(np.float64)
    found = np.empty(rows.shape, dtype=np.float64)
    for query, (vector, own) in enumerate(zip(queries, places.reshape(rows.shape), strict=True)):
        found[query] = nearness(vector[None].astype(np.float64), vectors[own], metric)[0]
    return found


def _share(
    stored: Embeddings, queries: Vectors, answers: Rows, worst: Floats, metric: str
) -> float:
    scores = _rescore(stored, queries, np.maximum(answers, 0), metric)
    limit = (worst - TOLERANCE * (1 + np.abs(worst)))[:, None]
    return float(((answers >= 0) & (scores >= limit)).mean())


def self_retrieval(index: Any, rows: Rows, stored: Embeddings, metric: str) -> float:
    """Return the share of stored vectors that find themselves, or one as near, first."""
    queries = stored.rows(rows)
    answers = index.search(queries, 1)[1]
    own = _rescore(stored, queries, rows[:, None], metric)[:, 0]
    return _share(stored, queries, answers, own, metric)


def stated_recall(facts: Mapping[str, Any]) -> tuple[str, str]:
    """Return what the facts of a built index say of its recall, and the digest of its embeddings.

    Raises:
        LookupError, TypeError, ValueError: They are not facts that a build writes.
    """
    rows = facts.get("recall", ())
    stated = ", ".join(f"{row['recall_at_k']:.3f} ({row['queries']})" for row in rows)
    return stated, str(facts["embeddings"])
