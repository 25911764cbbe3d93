"""The terms of an index on disk, sorted by bytes; a term's number is its position.

``terms.bin`` has the terms in UTF-8 one after another, ``terms.npy`` (int64, T + 1) their starts.
Both are memory-mapped; a look-up takes log2(T) comparisons.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ragbench.base.files import atomic_file, plain_file
from ragbench.corpora.npy import map_array

if TYPE_CHECKING:
    import pyarrow as pa

BYTES = "terms.bin"
BOUNDS = "terms.npy"


class Lexicon:
    """An open lexicon, written by ``save``.

    Raises:
        ValueError: The files do not match.
    """

    def __init__(self, folder: Path) -> None:
        self._bounds = map_array(folder / BOUNDS).view(np.ndarray)
        size = (folder / BYTES).stat().st_size
        if self._bounds.ndim != 1 or self._bounds.size < 2 or int(self._bounds[-1]) != size:
            raise ValueError("the files of its terms do not match")
        self._bytes = np.memmap(plain_file(folder / BYTES), np.uint8, "r").data

    def __len__(self) -> int:
        return int(self._bounds.size) - 1

    def find(self, term: str) -> int:
        """Return a term's number, or -1."""
        wanted = term.encode("utf-8")
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            found = bytes(self._bytes[self._bounds[middle] : self._bounds[middle + 1]])
            if found == wanted:
                return middle
            if found < wanted:
                low = middle + 1
            else:
                high = middle
        return -1


def save(folder: Path, terms: pa.LargeStringArray) -> None:
    """Write a lexicon of distinct terms, sorted by bytes."""
    bounds = np.frombuffer(terms.buffers()[1], np.int64)[terms.offset :][: len(terms) + 1]
    data: Any = terms.buffers()[2]
    with atomic_file(folder / BYTES) as handle:
        handle.write(memoryview(data)[int(bounds[0]) : int(bounds[-1])])
    with atomic_file(folder / BOUNDS) as handle:
        np.save(handle, bounds - bounds[0])
