"""Texts that are nearly the same: MinHash over word shingles, banded; compiled by numba.

datasketch keeps about 5 kB a passage for this, 5 GB for a million of them; the tables here take
0.6 to 1 kB, and are faster to fill.

A text's shingles are its runs of ``width`` words, as 64-bit hashes; a text with fewer words is one
shingle. The chance that two texts of Jaccard similarity s share a band is 1 - (1 - s**R)**B.
Candidates whose MinHash values differ too often are not looked at further.
Source: Broder (1997), On the resemblance and containment of documents; Leskovec, Rajaraman and
Ullman, Mining of Massive Datasets, section 3.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ragbench.base.compiled import compiled

HASHES = 128
MIN_RECALL = 0.999
SEED = 17
MAX_LOAD = 0.6
Words = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]
Marks = npt.NDArray[np.uint8]


def bands_for(threshold: float, hashes: int = HASHES) -> tuple[int, int]:
    """Return (bands, rows of a band): the most rows that still miss few pairs.

    Args:
        threshold: The similarity of the pairs that matter.
        hashes: How many there are in all.

    Returns:
        Bands and rows; a pair at the threshold shares a band with probability 0.999 or more.
    """
    for rows in range(hashes, 1, -1):
        bands = hashes // rows
        if 1 - (1 - threshold**rows) ** bands >= MIN_RECALL:
            return bands, rows
    return hashes, 1


def shingles(texts: Sequence[str], width: int) -> tuple[Words, Places]:
    """Return the set of shingles of each text.

    Args:
        texts: With single blanks between words.
        width: Words in a shingle.

    Returns:
        All hashes, those of a text ascending and without repeats, and the place where each text's
        begin, with the end of the last; a text without words has none.
    """
    encoded = [text.encode("utf-8") for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    data = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    found = np.empty(data.size // 2 + len(texts) + 1, dtype=np.uint64)
    starts = np.zeros(len(texts) + 1, dtype=np.int64)
    compiled(_shingle)(data, ends, width, found, starts)
    return found[: starts[-1]], starts


def jaccard(first: Words, second: Words) -> float:
    """Return the Jaccard similarity of two sets that ``shingles`` gave."""
    return float(compiled(_jaccard)(first, second))


class Bands:
    """Finds earlier texts that may be similar: those that share a band of MinHash values.

    Args:
        threshold: The similarity of the pairs that matter.
    """

    def __init__(self, threshold: float) -> None:
        self.bands, self.rows = bands_for(threshold)
        generator = np.random.default_rng(SEED)
        size = self.bands * self.rows
        self._masks = generator.integers(0, 2**64, size, dtype=np.uint64)
        self._factors = generator.integers(0, 2**64, size, dtype=np.uint64) | np.uint64(1)
        self._slots = np.zeros(1 << 16, dtype=np.uint64)  # 0: free
        self._heads = np.empty(1 << 16, dtype=np.int32)
        self._before = np.empty((1 << 12, self.bands), dtype=np.int32)
        self._used = np.zeros(1, dtype=np.int64)
        self._marks = np.zeros((1 << 12, size), dtype=np.uint8)
        self._asked = np.zeros(1 << 12, dtype=np.int64)
        self._turn = 0
        # Of a pair at the threshold, one in three million agrees in fewer values.
        self.least = max(0, int(threshold * size - 5 * (size * threshold * (1 - threshold)) ** 0.5))

    def sketch(self, words: Words, starts: Places) -> tuple[Words, Marks]:
        """Return what is kept of each text.

        Args:
            words: Sets of shingles, as ``shingles`` gives them.
            starts: Where each begins.

        Returns:
            The keys of its bands, uint64 (texts, bands), and a byte of each of its MinHash values,
            uint8 (texts, values).
        """
        keys = np.empty((len(starts) - 1, self.bands), dtype=np.uint64)
        marks = np.empty((len(starts) - 1, self.bands * self.rows), dtype=np.uint8)
        compiled(_sketch)(words, starts, self._masks, self._factors, self.rows, keys, marks)
        return keys, marks

    def candidates(self, keys: Words, marks: Marks) -> npt.NDArray[np.int64]:
        """Return the numbers of the texts that share a band and most values, ascending."""
        self._turn += 1
        found: npt.NDArray[np.int64] = compiled(_look_up)(
            *(keys, marks, self.least, self._turn),
            *(self._slots, self._heads, self._before, self._marks, self._asked),
        )
        return np.sort(found)

    def add(self, keys: Words, marks: Marks, number: int) -> None:
        """Add a text under a number, which is higher than those before."""
        if number >= len(self._before):
            more = max(number + 1, 2 * len(self._before))
            self._before = np.resize(self._before, (more, self._before.shape[1]))
            self._marks = np.resize(self._marks, (more, self._marks.shape[1]))
            self._asked = np.zeros(more, dtype=np.int64)
        self._marks[number] = marks
        if self._used[0] + self.bands > MAX_LOAD * len(self._slots):
            slots, heads = self._slots, self._heads
            self._slots = np.zeros(2 * len(slots), dtype=np.uint64)
            self._heads = np.empty(2 * len(slots), dtype=np.int32)
            compiled(_move)(slots, heads, self._slots, self._heads)
        compiled(_enter)(keys, number, self._slots, self._heads, self._before, self._used)


# What follows is numba's: plain loops over arrays, with no calls among each other.


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


def _sketch(
    words: Any, starts: Any, masks: Any, factors: Any, rows: int, keys: Any, marks: Any
) -> None:
    lowest = np.empty(masks.size, dtype=np.uint64)
    for text in range(starts.size - 1):
        lowest[:] = np.uint64(0xFFFFFFFFFFFFFFFF)
        for place in range(starts[text], starts[text + 1]):
            word = words[place]
            for number in range(masks.size):
                value = (word ^ masks[number]) * factors[number]
                lowest[number] = min(lowest[number], value)
        for band in range(keys.shape[1]):
            key = np.uint64(band + 1)
            for row in range(band * rows, (band + 1) * rows):
                key = (key ^ lowest[row]) * np.uint64(0x9E3779B97F4A7C15)
                key ^= key >> np.uint64(29)
            keys[text, band] = max(key, np.uint64(1))
        for number in range(masks.size):
            marks[text, number] = (lowest[number] >> np.uint64(24)) & np.uint64(255)


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


def _look_up(
    keys: Any,
    marks: Any,
    least: int,
    turn: int,
    slots: Any,
    heads: Any,
    before: Any,
    all_marks: Any,
    asked: Any,
) -> Any:
    found = np.empty(64, dtype=np.int64)
    count = 0
    last = np.uint64(slots.size - 1)
    for band in range(keys.size):
        slot = keys[band] & last
        while slots[slot] != 0 and slots[slot] != keys[band]:
            slot = (slot + np.uint64(1)) & last
        number = heads[slot] if slots[slot] != 0 else -1
        while number >= 0:
            if asked[number] != turn:
                asked[number] = turn
                same = 0
                for place in range(marks.size):
                    same += marks[place] == all_marks[number, place]
                if same >= least:
                    if count == found.size:
                        more = np.empty(2 * count, dtype=np.int64)
                        more[:count] = found
                        found = more
                    found[count] = number
                    count += 1
            number = before[number, band]
    return found[:count]


def _enter(keys: Any, number: int, slots: Any, heads: Any, before: Any, used: Any) -> None:
    last = np.uint64(slots.size - 1)
    for band in range(keys.size):
        slot = keys[band] & last
        while slots[slot] != 0 and slots[slot] != keys[band]:
            slot = (slot + np.uint64(1)) & last
        if slots[slot] == 0:
            slots[slot] = keys[band]
            heads[slot] = -1
            used[0] += 1
        before[number, band] = heads[slot]
        heads[slot] = number


def _move(slots: Any, heads: Any, new_slots: Any, new_heads: Any) -> None:
    last = np.uint64(new_slots.size - 1)
    for place in range(slots.size):
        if slots[place] != 0:
            slot = slots[place] & last
            while new_slots[slot] != 0:
                slot = (slot + np.uint64(1)) & last
            new_slots[slot] = slots[place]
            new_heads[slot] = heads[place]
