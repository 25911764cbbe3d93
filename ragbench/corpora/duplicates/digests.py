"""Exact repeats: 128-bit digests in an open table, about 40 to 80 bytes per text."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from ragbench.base.devices import compiled

SIZE = 16
MAX_LOAD = 0.6


class Digests:
    """Numbers texts from 0 and finds the first text that is equal to each."""

    def __init__(self) -> None:
        self._keys = np.zeros((1 << 12, 2), dtype=np.uint64)
        self._numbers = np.full(1 << 12, -1, dtype=np.int64)
        self._count = 0

    def add(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Add texts; return the number of the first equal text of each, its own if it is new."""
        parts = [blake2b(text.encode("utf-8"), digest_size=SIZE).digest() for text in texts]
        keys = np.frombuffer(b"".join(parts), dtype=np.uint64).reshape(-1, 2)
        while self._count + len(keys) > MAX_LOAD * len(self._numbers):
            self._grow()
        first = np.arange(self._count, self._count + len(keys))
        compiled(_first)(keys, first, self._keys, self._numbers)
        self._count += len(keys)
        return first

    def _grow(self) -> None:
        keys, numbers = self._keys, self._numbers
        self._keys = np.zeros((2 * len(numbers), 2), dtype=np.uint64)
        self._numbers = np.full(2 * len(numbers), -1, dtype=np.int64)
        full = numbers >= 0
        compiled(_first)(keys[full], numbers[full], self._keys, self._numbers)


def _first(new: Any, first: Any, keys: Any, numbers: Any) -> None:
    """Enter digests under the numbers in ``first``, and put the earliest there."""
    last = np.uint64(numbers.size - 1)
    for place in range(new.shape[0]):
        slot = new[place, 0] & last
        while numbers[slot] >= 0 and (
            keys[slot, 0] != new[place, 0] or keys[slot, 1] != new[place, 1]
        ):
            slot = (slot + np.uint64(1)) & last
        if numbers[slot] < 0:
            keys[slot] = new[place]
            numbers[slot] = first[place]
        first[place] = numbers[slot]
