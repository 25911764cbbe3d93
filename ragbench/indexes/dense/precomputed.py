"""Vectors of passages that were made elsewhere: ``.npy`` files, read where they are."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragbench.base import home
from ragbench.base.errors import DataError, UsageError
from ragbench.base.files import sha256_json
from ragbench.base.weights import weights_digest
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.npy import map_array
from ragbench.indexes.dense.encoder_model import Vectors

KINDS = ("float32", "float16")
CHECK_ROWS = 65_536


def files_of(reference: str) -> list[Path]:
    """Return the files of vectors by name, ``part_2.npy`` before ``part_10.npy``.

    ``reference`` is an ``.npy`` file or a folder of them, from the home folder.

    Raises:
        UsageError: There are none.
    """
    path = home.home() / home.expand(reference)
    files = [path] if path.is_file() else sorted(path.glob("*.npy"), key=_natural)
    if not files:
        raise UsageError(
            "there are no vectors here",
            where=f"encoder: vectors: {path}",
            fix="give an .npy file, or a folder of .npy files in the order of the corpus",
        )
    return files


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Return a key that sorts numbers in a name by their value."""
    parts = re.findall(r"[0-9]+|[^0-9]+", path.name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def vectors_digest(reference: str) -> str:
    """Return the digest of the files' bytes, in their order; their place does not matter."""
    return sha256_json([weights_digest(path) for path in files_of(reference)])


class Precomputed:
    """The vectors of a corpus's passages, one per row in the order of the corpus.

    Raises:
        DataError: The files do not have one vector per passage.
    """

    def __init__(self, reference: str, corpus: Corpus) -> None:
        self.files = files_of(reference)
        self.parts = [_mapped(path) for path in self.files]
        self.starts = np.cumsum([0, *(len(part) for part in self.parts)])
        self._check_shapes(corpus)
        self.dimension = int(self.parts[0].shape[1])
        self.dtype = str(self.parts[0].dtype)
        self._corpus = corpus

    def _check_shapes(self, corpus: Corpus) -> None:
        first = self.parts[0]
        for path, part in zip(self.files, self.parts, strict=True):
            if part.shape[1:] != first.shape[1:] or part.dtype != first.dtype:
                raise _unfit(path, f"are {_shape(part)}, those of {self.files[0].name} not")
        if self.starts[-1] != len(corpus):
            raise _unfit(
                self.files[0] if len(self.files) == 1 else self.files[0].parent,
                f"are {self.starts[-1]:,}, and the corpus {corpus.name!r} has {len(corpus):,} "
                "passages",
            )

    def rows(self, rows: npt.NDArray[np.int64]) -> Vectors:
        """Return the vectors of some rows, as float32 (R, D)."""
        found = np.empty((len(rows), self.dimension), dtype=np.float32)
        where = np.searchsorted(self.starts, rows, side="right") - 1
        for place in np.unique(where):
            here = where == place
            found[here] = self.parts[place][rows[here] - self.starts[place]]
        return found

    def slice(self, start: int, stop: int) -> Vectors:
        """Return the vectors of consecutive rows, as float32, mapped if they are stored so."""
        place = int(np.searchsorted(self.starts, start, side="right") - 1)
        if stop > self.starts[place + 1]:
            return self.rows(np.arange(start, stop))
        low = start - int(self.starts[place])
        part = self.parts[place][low : low + stop - start]
        return np.asarray(part, dtype=np.float32)

    @cached_property
    def is_finite(self) -> bool:
        """Whether every number is one; reads all of them."""
        return all(
            bool(np.isfinite(part[low : low + CHECK_ROWS]).all())
            for part in self.parts
            for low in range(0, len(part), CHECK_ROWS)
        )

    def check(self, dimension: int) -> None:
        """Refuse vectors that cannot be searched with a query's vector of this length.

        Raises:
            DataError: They have another length, or hold a value that is not a number.
        """
        if dimension != self.dimension:
            raise _unfit(
                self.files[0],
                f"have {self.dimension:,} numbers each, and those of the encoder's queries "
                f"{dimension:,}",
            )
        if not self.is_finite:
            raise _unfit(self.files[0].parent, "hold numbers that are not finite")


def _mapped(path: Path) -> npt.NDArray[Any]:
    try:
        found: npt.NDArray[Any] = map_array(path)
    except (OSError, ValueError) as error:
        raise _unfit(path, f"cannot be read: {error}") from None
    if found.ndim != 2 or found.dtype.name not in KINDS:
        raise _unfit(path, f"are {_shape(found)}")
    if 0 in found.shape:
        raise _unfit(path, "are none")
    return found


def _shape(found: Any) -> str:
    shape = getattr(found, "shape", None)
    return f"{shape} of {found.dtype}" if shape is not None else "no array"


def _unfit(path: Path, what: str) -> DataError:
    return DataError(
        f"the vectors {what}",
        where=str(path),
        fix="give float32 or float16 arrays (N, D), one row a passage in the order of the corpus",
    )
