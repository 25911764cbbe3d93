"""Shingles and their similarity against Python's sets; the chance of a shared band by formula."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.corpora.minhash import Bands, Words, bands_for, jaccard, shingles

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


def pair(generator: np.random.Generator, shared: int, own: int) -> list[Words]:
    """Return two sets of random words with a similarity of shared / (shared + 2 * own)."""
    words = generator.integers(0, 2**64, shared + 2 * own, dtype=np.uint64)
    return [np.sort(words[: shared + own]), np.sort(np.r_[words[:shared], words[shared + own :]])]


@pytest.mark.parametrize(("shared", "own"), [(60, 20), (75, 10), (90, 5)])
def test_pairs_share_a_band_as_often_as_the_formula_says(shared: int, own: int) -> None:
    generator = np.random.default_rng(3)
    n, similarity = 2000, shared / (shared + 2 * own)
    sets = [one for _ in range(n) for one in pair(generator, shared, own)]
    bands = Bands(0.9)
    keys = bands.keys(np.concatenate(sets), np.cumsum([0, *map(len, sets)], dtype=np.int64))
    both = (keys[::2] == keys[1::2]).any(axis=1).mean()
    chance = 1 - (1 - similarity**bands.rows) ** bands.bands
    assert both == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / n) + 1e-3)


def test_candidates_are_all_that_share_a_key() -> None:
    generator = np.random.default_rng(5)
    bands = Bands(0.9)
    keys = generator.integers(1, 900, (6000, bands.bands), dtype=np.uint64) << np.uint64(40)
    keys += np.arange(bands.bands, dtype=np.uint64)  # no key belongs to two bands
    for number, row in enumerate(keys):
        if number % 500 == 499:
            expected = np.flatnonzero((keys[:number] == row).any(axis=1))
            np.testing.assert_array_equal(bands.candidates(row), expected)
        bands.add(row, number)


def test_the_table_of_bands_grows() -> None:
    generator = np.random.default_rng(6)
    bands = Bands(0.9)
    keys = generator.integers(1, 2**64, (20_000, bands.bands), dtype=np.uint64)
    for number, row in enumerate(keys):
        bands.add(row, number)
    assert all(bands.candidates(keys[n]).tolist() == [n] for n in range(0, 20_000, 97))
