"""Texts that are nearly the same: candidates by MinHash, decided by their sets of word shingles.

A text's shingles are its runs of ``width`` words, as 64-bit hashes; a text with fewer words is one
shingle. rensa computes MinHash values and keeps the table of their bands. Two texts of Jaccard
similarity s share a band of R rows with probability 1 - (1 - s**R)**B. Candidates are not yet
repeats: ``jaccard`` compares the sets themselves.
Source: Broder (1997), On the resemblance and containment of documents; Leskovec, Rajaraman and
Ullman, Mining of Massive Datasets, section 3.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ragbench.base.devices import compiled

HASHES = 128
MIN_RECALL = 0.999
SEED = 17
Hashes = npt.NDArray[np.uint64]
Starts = npt.NDArray[np.int64]
Sketch = Any  # a MinHash of rensa, which has no types


def bands_for(threshold: float, hashes: int = HASHES) -> tuple[int, int]:
    """Return (bands, rows per band): the most rows that still miss few pairs.

    A pair at the threshold shares a band with probability 0.999 or more.
    """
    for rows in range(hashes, 1, -1):
        bands = hashes // rows
        if 1 - (1 - threshold**rows) ** bands >= MIN_RECALL:
            return bands, rows
    return hashes, 1


def shingles(texts: Sequence[str], width: int) -> tuple[Hashes, Starts]:
    """Return the set of shingles of each text.

    Args:
        texts: With single blanks between words.
        width: Words in a shingle.

    Returns:
        All hashes, those of a text ascending and without repeats, and the start of each text's,
        with the end of the last. A text without words has none.
    """
    encoded = [text.encode("utf-8") for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    data = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    found = np.empty(data.size // 2 + len(texts) + 1, dtype=np.uint64)
    starts = np.zeros(len(texts) + 1, dtype=np.int64)
    compiled(_shingle)(data, ends, width, found, starts)
    return found[: starts[-1]], starts


def jaccard(first: Hashes, second: Hashes) -> float:
    """Return the Jaccard similarity of two sets that ``shingles`` gave."""
    return float(compiled(_jaccard)(first, second))


class Bands:
    """Finds earlier texts that may be similar: those that share a band of MinHash values.

    Args:
        threshold: The similarity of the pairs that matter.
    """

    def __init__(self, threshold: float) -> None:
        import rensa

        bands, rows = bands_for(threshold)
        self._size = bands * rows
        self._sketch = rensa.RMinHash.from_token_sets
        self._table = rensa.RMinHashLSH(threshold, self._size, bands)

    def sketch(self, hashes: Hashes, starts: Starts) -> list[Sketch]:
        """Return the MinHash values of each text.

        Args:
            hashes: Sets of shingles, as ``shingles`` returns them.
            starts: The start of each set.

        Returns:
            One sketch per text, for ``candidates`` and ``add``.
        """
        data, size = hashes.tobytes(), hashes.itemsize
        tokens = [data[at : at + size] for at in range(0, len(data), size)]
        sets = [tokens[start:end] for start, end in pairwise(starts.tolist())]
        sketches: list[Sketch] = self._sketch(sets, self._size, SEED)
        return sketches

    def candidates(self, sketch: Sketch) -> list[int]:
        """Return the numbers of the texts that share a band with this one, ascending."""
        return sorted(self._table.query(sketch))

    def add(self, sketch: Sketch, number: int) -> None:
        """Add a text under a number of its own."""
        self._table.insert(number, sketch)


# Compiled by numba: plain loops over arrays.


def _shingle(data: Any, ends: Any, width: int, found: Any, starts: Any) -> None:
    words = np.empty(found.size, dtype=np.uint64)
    total = 0
    for text in range(ends.size - 1):
        count = 0
        value = np.uint64(14695981039346656037)  # FNV-1a
        inside = False
        for place in range(ends[text], ends[text + 1]):
            byte = data[place]
            if byte != 32:
                value = (value ^ np.uint64(byte)) * np.uint64(1099511628211)
                inside = True
            elif inside:
                words[count] = value
                count += 1
                value = np.uint64(14695981039346656037)
                inside = False
        if inside:
            words[count] = value
            count += 1
        first = total
        for start in range(max(1, count - width + 1) if count else 0):
            value = np.uint64(0)
            for word in range(start, min(start + width, count)):
                value = (value ^ words[word]) * np.uint64(0x9E3779B97F4A7C15)
                value ^= value >> np.uint64(29)
            value *= np.uint64(0xBF58476D1CE4E5B9)
            found[total] = value ^ (value >> np.uint64(32))
            total += 1
        found[first:total].sort()
        kept = first
        for place in range(first, total):
            if place == first or found[place] != found[place - 1]:
                found[kept] = found[place]
                kept += 1
        total = kept
        starts[text + 1] = total


def _jaccard(first: Any, second: Any) -> float:
    one = two = both = 0
    while one < first.size and two < second.size:
        if first[one] == second[two]:
            both += 1
            one += 1
            two += 1
        elif first[one] < second[two]:
            one += 1
        else:
            two += 1
    union = first.size + second.size - both
    return both / union if union else 0.0
