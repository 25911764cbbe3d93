"""The passage store: an Arrow file that is memory-mapped, and its rows in the order of ids.

Layout of ``corpora/NAME/``:
    passages.arrow   Arrow IPC file, columns id, doc_id, title, text, meta (JSON); every record
                     batch but the last has the manifest's ``batch_rows`` rows
    id_order.npy     int64 (N,): rows by ascending id (code-point order)
    id_rank.npy      int64 (N,): the place of each row in that order
    manifest.json    counts, digest, licence, data use, sources
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragbench import home
from ragbench.errors import DataError
from ragbench.files import read_json
from ragbench.records import Passage

FORMAT = 1
PASSAGES = "passages.arrow"
ID_ORDER = "id_order.npy"
ID_RANK = "id_rank.npy"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` of a built corpus says."""

    name: str
    digest: str
    card_digest: str
    n_passages: int
    n_docs: int
    n_characters: int
    batch_rows: int
    skipped: dict[str, int]
    licence: str
    data_use: str
    title: str
    description: str
    source: str
    reader: str
    files: list[dict[str, Any]]
    built_at: str
    versions: dict[str, str]
    chunking: dict[str, Any] | None = None
    origin: dict[str, str] | None = None
    format: int = FORMAT


class Corpus:
    """A built corpus; opening it maps files and reads no passage.

    Args:
        folder: ``corpora/NAME``.

    Raises:
        DataError: The folder is not a whole corpus of this version's format.
    """

    def __init__(self, folder: Path) -> None:
        import pyarrow as pa

        self.folder = folder
        raw = read_json(folder / MANIFEST, what="the manifest of the corpus")
        if raw.get("format") != FORMAT:
            raise DataError(
                f"the corpus has format {raw.get('format')!r}, not {FORMAT}",
                where=str(folder),
                fix=f"ragbench corpus build {folder.name} --replace",
            )
        try:
            self.manifest = Manifest(**raw)
            self._map = pa.memory_map(str(folder / PASSAGES))
            self._reader = pa.ipc.open_file(self._map)
            self.id_order: npt.NDArray[np.int64] = np.load(folder / ID_ORDER, mmap_mode="r")
            self.id_rank: npt.NDArray[np.int64] = np.load(folder / ID_RANK, mmap_mode="r")
        except (OSError, EOFError, TypeError, ValueError, pa.ArrowException) as error:
            raise DataError(
                f"the built corpus is damaged: {error}",
                where=str(folder),
                fix=f"ragbench corpus build {folder.name} --replace",
            ) from None
        self._batch = lru_cache(maxsize=64)(self._reader.get_batch)

    @property
    def name(self) -> str:
        """The corpus's name."""
        return self.manifest.name

    @property
    def digest(self) -> str:
        """SHA-256 of the passages' contents."""
        return self.manifest.digest

    def __len__(self) -> int:
        return self.manifest.n_passages

    def __getitem__(self, row: int) -> Passage:
        """Return the passage of a row in constant time."""
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} passages")
        index, offset = divmod(row, self.manifest.batch_rows)
        return _passage(column[offset].as_py() for column in self._batch(index).columns)

    def __iter__(self) -> Iterator[Passage]:
        yield from map(_passage, self.rows())

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield each passage as it is stored: id, doc_id, title, text, meta (JSON)."""
        for index in range(self._reader.num_record_batches):
            yield from zip(*(c.to_pylist() for c in self._batch(index).columns), strict=True)

    @cached_property
    def _ids(self) -> tuple[Any, Any]:
        table = self._reader.read_all().select(["id", "doc_id"])
        return table.column(0), table.column(1)

    def ids_of(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> list[tuple[str, str]]:
        """Return (id, doc_id) of many rows at once.

        Args:
            rows: Row numbers.

        Returns:
            The pairs, in the order of the rows.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        ids, docs = (column.take(wanted).to_pylist() for column in self._ids)
        return list(zip(ids, docs, strict=True))

    def _id_at(self, row: int) -> str:
        index, offset = divmod(row, self.manifest.batch_rows)
        return str(self._batch(index).column(0)[offset].as_py())

    def find(self, identifier: str) -> int | None:
        """Return the row of a passage id, or None; takes log2(N) comparisons."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            row = int(self.id_order[middle])
            found = self._id_at(row)
            if found == identifier:
                return row
            if found < identifier:
                low = middle + 1
            else:
                high = middle
        return None

    @cached_property
    def _is_unchunked(self) -> bool:
        import pyarrow.compute as pc

        return bool(pc.all(pc.equal(*self._ids)).as_py())

    @cached_property
    def _rows_by_doc(self) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = {}
        for row, doc in enumerate(self._ids[1].to_pylist()):
            rows.setdefault(doc, []).append(row)
        return rows

    def rows_of_doc(self, doc_id: str) -> list[int]:
        """Return the rows of a document's passages in text order; empty if it is not here."""
        if self._is_unchunked:  # the ids are the same
            row = self.find(doc_id)
            return [] if row is None else [row]
        return self._rows_by_doc.get(doc_id, [])


class ContentDigest:
    """SHA-256 over the passages in their order, each value after its length in eight bytes."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256(b"ragbench corpus 1")

    def add(self, row: Iterable[str]) -> None:
        """Take in the next passage: id, doc_id, title, text, meta (JSON)."""
        for value in row:
            data = value.encode("utf-8")
            self._digest.update(len(data).to_bytes(8, "big") + data)

    def hexdigest(self) -> str:
        """Return the digest of all passages so far."""
        return self._digest.hexdigest()


def _passage(values: Iterable[str]) -> Passage:
    identifier, doc_id, title, text, meta = values
    return Passage(identifier, doc_id, title, text, json.loads(meta))


def folder_of(name: str) -> Path:
    """Return where the built passages of a corpus lie."""
    return home.home() / "corpora" / home.check_name(name, what="a corpus")


def is_built(name: str) -> bool:
    """Say whether a corpus has been built in the home folder."""
    return (folder_of(name) / MANIFEST).is_file()


def open_corpus(name: str) -> Corpus:
    """Open a built corpus.

    Args:
        name: The corpus.

    Returns:
        The open corpus.

    Raises:
        DataError: It has not been built.
    """
    if not is_built(name):
        home.find_yaml("corpora", name, what="corpus")
        raise DataError(
            f"the corpus {name!r} is not built",
            where=str(folder_of(name)),
            fix=f"ragbench corpus build {name}",
        )
    return Corpus(folder_of(name))
