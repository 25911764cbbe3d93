"""The passage store: an Arrow file that is memory-mapped, and its rows in the order of ids.

Layout of ``corpora/NAME/``:
    passages.arrow   Arrow IPC file, columns id, doc_id, title, text, meta (JSON); every record
                     batch but the last has the manifest's ``batch_rows`` rows
    id_order.npy     int64 (N,): rows by ascending id (code-point order)
    id_rank.npy      int64 (N,): the place of each row in that order
    skipped.jsonl.gz skipped entries, if any: place, reason, and more if known
    manifest.json    counts, digest, licence, data use, sources, the sums of the other files
"""

from __future__ import annotations

import hashlib
import json
import sys
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ragbench.base.checksums import verify
from ragbench.base.errors import DataError, first_line
from ragbench.base.files import plain_file
from ragbench.base.records import Passage
from ragbench.corpora.corpus import Corpus, manifest_of, rebuild_command
from ragbench.corpora.npy import map_array

if TYPE_CHECKING:
    import pyarrow as pa

PASSAGES = "passages.arrow"
ID_ORDER = "id_order.npy"
ID_RANK = "id_rank.npy"
SKIPPED = "skipped.jsonl.gz"
FEW = 1 << 17  # passages whose ids are kept as texts once an eighth of them has been asked for
Strings = tuple[memoryview, memoryview]
Pair = tuple[str, str]


class Built(ABC):
    """Base of stored corpora and unions: the manifest, the order of ids, and ids by row.

    Opening maps files and reads no passage.

    Args:
        folder: ``corpora/NAME``.
        is_checked: Whether the files are compared with the manifest's checksums.

    Raises:
        DataError: The folder is not a whole corpus of this version's format.
    """

    members: tuple[Corpus, ...] = ()

    def __init__(self, folder: Path, *, is_checked: bool = True) -> None:
        import pyarrow as pa

        self.folder = folder
        self._pairs: list[Pair] | None = None
        self._n_asked = 0
        again = rebuild_command(folder.name)
        self.manifest = manifest_of(folder)
        try:
            if is_checked:
                verify(folder, self.manifest.sums, what="the built corpus", fix=again)
            self._open(is_checked=is_checked)
            self.id_order: npt.NDArray[np.int64] = map_array(folder / ID_ORDER)
            self.id_rank: npt.NDArray[np.int64] = map_array(folder / ID_RANK)
        except (OSError, EOFError, TypeError, LookupError, ValueError, pa.ArrowException) as error:
            raise DataError(
                f"the built corpus is damaged: {error}", where=str(folder), fix=again
            ) from None

    @abstractmethod
    def _open(self, *, is_checked: bool) -> None:
        """Open what holds the passages."""

    @abstractmethod
    def _id_pair(self, row: int) -> Pair:
        """Return (id, doc_id) of a row."""

    @abstractmethod
    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield each passage as its id, doc_id, title, text and meta (JSON)."""

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

    def __iter__(self) -> Iterator[Passage]:
        yield from map(_passage, self.rows())

    def ids_of(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> list[Pair]:
        """Return (id, doc_id) of many rows, in their order; IndexError if a row is outside."""
        if len(rows) and not 0 <= min(rows) <= max(rows) < len(self):
            raise IndexError(f"rows {min(rows)} to {max(rows)} of {len(self)} passages")
        self._n_asked += len(rows)
        if self._pairs is None and len(self) <= min(FEW, self._n_asked * 8):
            self._pairs = list(map(self._id_pair, range(len(self))))
        return list(map(self._pairs.__getitem__ if self._pairs else self._id_pair, rows))


class StoredCorpus(Built):
    """A corpus whose passages are in its own folder."""

    def _open(self, *, is_checked: bool) -> None:
        """Map the passages."""
        import pyarrow as pa

        self._map = pa.memory_map(str(plain_file(self.folder / PASSAGES)))
        self._reader = pa.ipc.open_file(self._map)
        possible = min(self.manifest.batch_rows, sys.maxsize - self.manifest.n_passages) > 0
        if not possible or (is_checked and not self._has_its_numbers()):
            raise ValueError("the manifest's numbers are not those of its passages")
        self._batch = lru_cache(maxsize=64)(self._reader.get_batch)
        self._id_buffers = lru_cache(maxsize=4096)(self._read_id_buffers)

    def _has_its_numbers(self) -> bool:
        """Return whether rows are where the manifest has them, from the first and last batch."""
        size, per = self.manifest.n_passages, self.manifest.batch_rows
        last = self._reader.num_record_batches - 1
        if not 0 <= last == (size - 1) // per:
            return False
        rows = [int(self._reader.get_batch(place).num_rows) for place in (0, last)]
        return rows == [min(size, per), size - per * last]

    def __getitem__(self, row: int) -> Passage:
        """Return the passage of a row in constant time."""
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} passages")
        index, offset = divmod(row, self.manifest.batch_rows)
        try:
            stored = self._batch(index).slice(offset, 1)
            stored.validate(full=True)  # sums are no signature, and Arrow trusts its offsets
            return _passage(column[0].as_py() for column in stored.columns)
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise self._damaged(f"row {row} cannot be read: {first_line(error)}") from None

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield each passage as it is stored: id, doc_id, title, text, meta (JSON)."""
        for batch in self.batches():
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    def batches(self, start: int = 0, stop: int | None = None) -> Iterator[pa.RecordBatch]:
        """Yield passages as Arrow record batches, read and not mapped."""
        import pyarrow as pa

        per = self.manifest.batch_rows
        first, skip = start - start % per, start % per
        with pa.OSFile(str(plain_file(self.folder / PASSAGES))) as source:
            reader = pa.ipc.open_file(source)
            for index in range(first // per, reader.num_record_batches):
                if stop is not None and first + skip >= stop:
                    return
                try:
                    batch = reader.get_batch(index)
                    batch.validate(full=True)
                except (ValueError, OSError) as error:
                    raise self._damaged(first_line(error)) from None
                yield batch.slice(skip, None if stop is None else stop - first - skip)
                first, skip = first + per, 0

    @cached_property
    def _ids(self) -> tuple[Any, Any]:
        table = self._reader.read_all().select(["id", "doc_id"])
        return table.column(0), table.column(1)

    def _read_id_buffers(self, index: int) -> tuple[Strings, Strings | None]:
        """Return views of the ids and document ids of a batch, the latter if different."""
        batch = self._batch(index)
        ids, docs = batch.column(0), batch.column(1)
        return _strings(ids), None if ids.equals(docs) else _strings(docs)

    def _id_pair(self, row: int) -> Pair:
        index, offset = divmod(row, self.manifest.batch_rows)
        (starts, data), docs = self._id_buffers(index)
        try:
            identifier = str(data[starts[offset] : starts[offset + 1]], "utf-8")
            if docs is None:  # no document of the batch is chunked
                return identifier, identifier
            starts, data = docs
            return identifier, str(data[starts[offset] : starts[offset + 1]], "utf-8")
        except (UnicodeDecodeError, IndexError) as error:
            raise self._damaged(f"the id of row {row} cannot be read: {error}") from None

    def _id_at(self, row: int) -> str:
        index, offset = divmod(row, self.manifest.batch_rows)
        return str(self._batch(index).column(0)[offset].as_py())

    def _damaged(self, what: str) -> DataError:
        place, fix = str(self.folder / PASSAGES), rebuild_command(self.folder.name)
        return DataError(f"the built corpus is damaged: {what}", where=place, fix=fix)

    def find(self, identifier: str) -> int | None:
        """Return the row of a passage id, or None; takes log2(N) comparisons."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            try:
                row = int(self.id_order[middle])
                found = self._id_at(row)
            except (ValueError, LookupError) as error:
                raise self._damaged(f"its ids cannot be read: {first_line(error)}") from None
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
    def _doc_order(self) -> npt.NDArray[np.uint64]:
        """Rows by document id, eight bytes each; a dictionary would hold every id."""
        import pyarrow.compute as pc

        order: npt.NDArray[np.uint64] = pc.sort_indices(self._ids[1]).to_numpy()
        return order

    def _doc_at(self, place: int) -> str:
        return self._id_pair(int(self._doc_order[place]))[1]

    def rows_of_doc(self, doc_id: str) -> list[int]:
        """Return the rows of a document's passages in text order; empty if it is not here."""
        if self._is_unchunked:  # the ids are the same
            row = self.find(doc_id)
            return [] if row is None else [row]
        every = range(len(self))
        first = bisect_left(every, doc_id, key=self._doc_at)
        last = bisect_right(every, doc_id, lo=first, key=self._doc_at)
        return sorted(self._doc_order[first:last].tolist())

    def match(self, identifier: str, *, prefer: str = "") -> int | None:
        """Return the row of a passage id, or None; ``prefer`` matters only to a union."""
        return self.find(identifier)

    def match_doc(self, doc_id: str, *, prefer: str = "") -> list[int]:
        """Return the rows of a document in text order; ``prefer`` matters only to a union."""
        return self.rows_of_doc(doc_id)


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


def _strings(column: Any) -> Strings:
    """Return where the strings of a column begin (the last one's end too), and their bytes."""
    _, bounds, data = column.buffers()
    starts = memoryview(bounds).cast("B").cast("q")[column.offset :][: len(column) + 1]
    return starts, memoryview(data or b"")


def _passage(values: Iterable[str]) -> Passage:
    identifier, doc_id, title, text, meta = values
    return Passage(identifier, doc_id, title, text, json.loads(meta))
