"""BM25 with the formula of the package rank-bm25, and the package itself as an engine.

score(q, d) = sum over the query's tokens t (repeats count) of
    idf(t) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * |d| / avgdl))
idf(t) = ln(N - df + 0.5) - ln(df + 0.5); a negative value becomes epsilon * the mean over all t

Source: rank_bm25.BM25Okapi, version 0.2.2. Scores may be 0 or below, so every passage that shares a
token with a query is a hit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragbench.base.files import atomic_file, write_text
from ragbench.corpora.npy import map_array
from ragbench.indexes.retriever import Rows, Scores

TOKENS = "tokens.npy"
LENGTHS = "lengths.npy"
VOCABULARY = "vocabulary.json"
Floats = npt.NDArray[np.float64]


def okapi_idf(df: npt.NDArray[np.int64], n: int, epsilon: float) -> Floats:
    """Return the idf of each token by rank-bm25's rule.

    ``df`` is the number of passages with each token, out of ``n``; a negative value becomes
    ``epsilon`` times the mean.
    """
    idf: Floats = np.log(n - df + 0.5) - np.log(df + 0.5)
    idf[idf < 0] = epsilon * idf.mean()
    return idf


class RankBm25:
    """rank_bm25.BM25Okapi over a stored, tokenised corpus; rebuilt at opening, without pickle."""

    def __init__(self, folder: Path, *, k1: float, b: float, epsilon: float) -> None:
        from rank_bm25 import BM25Okapi

        self._tokens: npt.NDArray[np.int32] = map_array(folder / TOKENS)
        lengths: npt.NDArray[np.int64] = map_array(folder / LENGTHS)
        words: list[str] = json.loads((folder / VOCABULARY).read_text(encoding="utf-8"))
        if int(lengths.sum()) != len(self._tokens) or self._tokens.max() >= len(words):
            raise ValueError("its files do not match")
        self.vocabulary = {word: number for number, word in enumerate(words)}
        self._words = words
        self._rows = np.repeat(np.arange(len(lengths)), lengths)
        ends = np.cumsum(lengths)
        documents = [
            [words[token] for token in self._tokens[end - length : end]]
            for end, length in zip(ends, lengths, strict=True)
        ]
        self.engine = BM25Okapi(documents, k1=k1, b=b, epsilon=epsilon)

    @staticmethod
    def save(folder: Path, documents: Sequence[Sequence[int]], vocabulary: dict[str, int]) -> None:
        """Write each passage's token numbers, and the vocabulary in the order of its numbers."""
        tokens = [np.asarray(document, dtype=np.int32) for document in documents]
        for name, values in (
            (TOKENS, np.concatenate(tokens)),
            (LENGTHS, np.array([len(document) for document in documents], dtype=np.int64)),
        ):
            with atomic_file(folder / name) as handle:
                np.save(handle, values)
        write_text(folder / VOCABULARY, json.dumps(list(vocabulary), ensure_ascii=False))

    @cached_property
    def _postings(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The rows of all tokens by ascending token, and the start of each token's rows."""
        starts = np.concatenate(
            ([0], np.cumsum(np.bincount(self._tokens, minlength=len(self._words))))
        )
        return self._rows[np.argsort(self._tokens, kind="stable")], starts

    def best(self, query: Sequence[int], size: int, within: range) -> tuple[Scores, Rows]:
        """Return the best rows in a range that share a token with a query, as in ``best_of``."""
        with np.errstate(invalid="ignore"):  # 0 / 0 if b is 1 and a passage has no token
            scores = np.asarray(self.engine.get_scores([self._words[t] for t in query]))
        rows, starts = self._postings
        is_shared = np.zeros(len(scores), dtype=bool)
        for token in set(query):
            is_shared[rows[starts[token] : starts[token + 1]]] = True
        is_shared[: within.start] = is_shared[within.stop :] = False
        return best_of(scores, is_shared, size)


def best_of(
    scores: npt.NDArray[Any], is_hit: npt.NDArray[np.bool_], size: int
) -> tuple[Scores, Rows]:
    """Return scores and rows of the best hits, both (size,), by descending score.

    ``is_hit`` marks the passages that may be returned; rows of -1 follow the last hit.
    """
    rows = np.flatnonzero(is_hit)
    if rows.size > size:
        rows = rows[np.argpartition(-scores[rows], size - 1)[:size]]
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    found = np.full(size, -1, dtype=np.int64)
    found[: rows.size] = rows
    values = np.zeros(size, dtype=scores.dtype)
    values[: rows.size] = scores[rows]
    return values, found
