"""Shingles and their similarity against Python's sets; the chance of a shared band by formula."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.corpora.duplicates.minhash import Bands, Hashes, Starts, bands_for, jaccard, shingles

TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "b", "aa", "é", "fever"]), max_size=12).map(" ".join), max_size=6
)


def plain(text: str, width: int) -> set[tuple[str, ...]]:
    words = text.split()
    if not words:
        return set()
    return {tuple(words[i : i + width]) for i in range(max(1, len(words) - width + 1))}


@given(TEXTS, st.integers(1, 5))
def test_sets_and_their_similarity_are_those_of_the_words(texts: list[str], width: int) -> None:
    words, starts = shingles(texts, width)
    found = [words[a:b] for a, b in pairwise(starts)]
    sets = [plain(text, width) for text in texts]
    assert [len(one) for one in found] == [len(one) for one in sets]
    for one, first in zip(found, sets, strict=True):
        assert np.all(one[1:] > one[:-1])
        for other, second in zip(found, sets, strict=True):
            union = len(first | second)
            assert jaccard(one, other) == (len(first & second) / union if union else 0)


@pytest.mark.parametrize(
    ("threshold", "bands", "rows"), [(0.9, 16, 8), (0.8, 25, 5), (0.5, 64, 2), (1.0, 1, 128)]
)
def test_bands_by_the_formula(threshold: float, bands: int, rows: int) -> None:
    assert bands_for(threshold) == (bands, rows)
    assert 1 - (1 - threshold**rows) ** bands >= 0.999


def pair(generator: np.random.Generator, shared: int, own: int) -> list[Hashes]:
    """Return two sets of random hashes with a similarity of shared / (shared + 2 * own)."""
    hashes = generator.integers(0, 2**64, shared + 2 * own, dtype=np.uint64)
    return [
        np.sort(hashes[: shared + own]),
        np.sort(np.r_[hashes[:shared], hashes[shared + own :]]),
    ]


def starts_of(sets: list[Hashes]) -> Starts:
    return np.cumsum([0, *map(len, sets)], dtype=np.int64)


@pytest.mark.parametrize(
    ("threshold", "shared", "own"),
    [(0.9, 60, 20), (0.9, 75, 10), (0.9, 90, 5), (0.9, 18, 1), (0.5, 2, 1), (0.3, 6, 7)],
)
def test_pairs_share_a_band_as_often_as_the_formula_says(
    threshold: float, shared: int, own: int
) -> None:
    generator = np.random.default_rng(3)
    n, similarity = 1000, shared / (shared + 2 * own)
    found = 0
    for _ in range(n):  # a table of its own for each pair
        sets = pair(generator, shared, own)
        table = Bands(threshold)
        first, second = table.sketch(np.concatenate(sets), starts_of(sets))
        table.add(first, 7)
        found += table.candidates(second) == [7]
    bands, rows = bands_for(threshold)
    chance = 1 - (1 - similarity**rows) ** bands
    margin = 4 * np.sqrt(chance * (1 - chance) / n) + 3e-3
    assert found / n == pytest.approx(chance, abs=margin)


def test_candidates_are_earlier_texts_in_ascending_order() -> None:
    generator = np.random.default_rng(4)
    table = Bands(0.9)
    sets = [generator.integers(0, 2**64, 60, dtype=np.uint64) for _ in range(300)]
    first, *others = table.sketch(np.concatenate(sets), starts_of(sets))
    for number in (900, 5, 17):  # equal sets are always candidates
        table.add(first, number)
    for number, sketch in enumerate(others, 1000):
        assert table.candidates(sketch) == []
        table.add(sketch, number)
    for _ in range(2):  # asking changes nothing
        assert table.candidates(first) == [5, 17, 900]
        assert [table.candidates(sketch) for sketch in others] == [[n] for n in range(1000, 1299)]
