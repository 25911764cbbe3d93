"""Shingles and their similarity against Python's sets; the chance of a shared band by formula."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.corpora.duplicates.minhash import Bands, Words, bands_for, jaccard, shingles

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
    keys, _ = bands.sketch(np.concatenate(sets), np.cumsum([0, *map(len, sets)], dtype=np.int64))
    both = (keys[::2] == keys[1::2]).any(axis=1).mean()
    chance = 1 - (1 - similarity**bands.rows) ** bands.bands
    assert both == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / n) + 1e-3)


def test_marks_agree_as_often_as_the_sets_are_similar() -> None:
    generator = np.random.default_rng(4)
    sets = [one for _ in range(400) for one in pair(generator, 60, 20)]
    bands = Bands(0.9)
    starts = np.cumsum([0, *map(len, sets)], dtype=np.int64)
    _, marks = bands.sketch(np.concatenate(sets), starts)
    same = (marks[::2] == marks[1::2]).mean()
    assert same == pytest.approx(0.6 + 0.4 / 256, abs=0.01)
    assert bands.least == int(0.9 * 128 - 5 * np.sqrt(128 * 0.9 * 0.1))
    assert Bands(1.0).least == 128


def test_candidates_are_all_that_share_a_key_and_enough_marks() -> None:
    generator = np.random.default_rng(5)
    bands = Bands(0.9)
    keys = generator.integers(1, 900, (6000, bands.bands), dtype=np.uint64) << np.uint64(40)
    keys += np.arange(bands.bands, dtype=np.uint64)  # no key belongs to two bands
    marks = (generator.random((6000, 128)) < generator.random((6000, 1)) / 2).astype(np.uint8)
    n_found = n_marked = 0
    for number, (row, mark) in enumerate(zip(keys, marks, strict=True)):
        if number % 500 == 499:
            shares = (keys[:number] == row).any(axis=1)
            close = (marks[:number] == mark).sum(axis=1) >= bands.least
            expected = np.flatnonzero(shares & close)
            for _ in range(2):  # asking changes nothing
                np.testing.assert_array_equal(bands.candidates(row, mark), expected)
            n_found += len(expected)
            n_marked += int(shares.sum())
        bands.add(row, mark, number)
    assert 0 < n_found < n_marked
    same = np.ones(128, dtype=np.uint8)
    for number in range(6000, 6200):  # more than fit at first
        bands.add(keys[0], same, number)
    found = bands.candidates(keys[0], same).tolist()
    assert found[-200:] == list(range(6000, 6200))


def test_the_table_of_bands_grows() -> None:
    generator = np.random.default_rng(6)
    bands = Bands(0.9)
    keys = generator.integers(1, 2**64, (20_000, bands.bands), dtype=np.uint64)
    marks = generator.integers(0, 256, (20_000, 128), dtype=np.uint8)
    for number in range(20_000):
        bands.add(keys[number], marks[number], number)
    found = [bands.candidates(keys[n], marks[n]).tolist() for n in range(0, 20_000, 97)]
    assert found == [[n] for n in range(0, 20_000, 97)]
