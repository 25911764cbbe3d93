"""The compiled loops against plain Python."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragbench.indexes.bm25.kernels import GROUP, count_terms, place_postings, search


@given(
    texts=st.lists(st.lists(st.integers(0, 4), max_size=8), max_size=5),
    meanings=st.lists(st.lists(st.integers(0, 3), max_size=2), min_size=5, max_size=5),
)
def test_postings_count_what_words_stand_for(
    texts: list[list[int]], meanings: list[list[int]]
) -> None:
    codes = np.array([word for text in texts for word in text], np.int32)
    counts = np.array([len(text) for text in texts], np.int64)
    starts = np.concatenate(([0], np.cumsum([len(m) for m in meanings]))).astype(np.int64)
    terms = np.array([term for m in meanings for term in m], np.int32)
    lengths, bounds, rows, times = count_terms(codes, counts, starts, terms, 4)
    wanted = [Counter(term for word in text for term in meanings[word]) for text in texts]
    assert lengths.tolist() == [sum(c.values()) for c in wanted]
    for term in range(4):
        part = slice(bounds[term], bounds[term + 1])
        expected = [(row, c[term]) for row, c in enumerate(wanted) if c[term]]
        assert list(zip(rows[part], times[part], strict=True)) == expected


def test_a_score_worked_by_hand() -> None:
    """Idf 2, tf 3, norm 1, factor 1: 2 * 3 / (3 + 1) = 1.5; the run begins at row 5."""
    cursor = np.array([1], np.int64)
    rows, scores = np.zeros(2, np.int32), np.zeros(2, np.float32)
    place_postings(
        *(np.array([0]), np.array([0, 1]), np.array([2], np.int32), np.array([3], np.int32)),
        *(5, cursor, np.array([2.0]), np.ones(8), 1.0, rows, scores),
    )
    assert rows.tolist() == [0, 7]
    assert scores.tolist() == [0, 1.5]
    assert cursor.tolist() == [2]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([1, 7, 300, 5000]),
    k=st.sampled_from([1, 3, 50]),
    window=st.sampled_from([64, 1000, 1 << 16]),
    is_signed=st.booleans(),
    dense=st.booleans(),
)
def test_the_best_are_those_of_a_full_sort(
    seed: int, n: int, k: int, window: int, is_signed: bool, dense: bool
) -> None:
    """Scores from a few values, so that ties are many; a part of the rows, terms that repeat."""
    draw = np.random.default_rng(seed)
    n_terms, size = 6, min(window, n)
    held = [np.flatnonzero(draw.random(n) < (0.5 if dense else 0.02)) for _ in range(n_terms)]
    values = [draw.choice([-1.0, 0.0, 0.5] if is_signed else [0.5, 1.0], h.size) for h in held]
    indptr = np.concatenate(([0], np.cumsum([h.size for h in held]))).astype(np.int64)
    indices = np.concatenate(held).astype(np.int32)
    data = np.concatenate(values).astype(np.float32)
    rank = draw.permutation(n).astype(np.int64)
    low, high = sorted(draw.integers(0, n + 1, 2).tolist())
    queries = [draw.choice(n_terms, draw.integers(0, 5), replace=False) for _ in range(3)]
    weights = [draw.integers(1, 3, q.size).astype(np.float32) for q in queries]
    starts = np.concatenate(([0], np.cumsum([q.size for q in queries]))).astype(np.int64)
    sums, seen = np.zeros(size + GROUP, np.float32), np.zeros(size, np.bool_)
    scores, rows = np.empty((3, k), np.float32), np.empty((3, k), np.int64)
    search(
        *(indptr, indices, data, rank, np.concatenate(queries).astype(np.int64)),
        *(np.concatenate(weights), starts, np.full(3, is_signed), low, high),
        *(sums, seen, scores, rows),
    )
    assert not sums.any() and not seen.any()
    for query, times, found, got in zip(queries, weights, rows, scores, strict=True):
        total: dict[int, float] = {}
        for term, weight in zip(query, times, strict=True):
            for row, value in zip(held[term], values[term], strict=True):
                if low <= row < high:
                    total[int(row)] = total.get(int(row), 0.0) + weight * value
        best = sorted(total, key=lambda row: (-total[row], rank[row]))[:k]
        assert found.tolist() == best + [-1] * (k - len(best))
        assert got[: len(best)].tolist() == pytest.approx([total[row] for row in best])
