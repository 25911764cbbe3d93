"""Reader -> Arrow file, in parts that survive a kill: the next build goes on after the last one.

``parts/NNNNNN.arrow`` holds some ten thousand passages, ``parts/NNNNNN.json`` (written after it)
how far the reader was then, and ``parts/NNNNNN.skipped`` the entries that were skipped until then
(JSON lines). At the end the parts become ``passages.arrow`` and ``skipped.jsonl.gz``.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from ragbench.base.errors import DataError
from ragbench.base.files import atomic_file, read_json, write_json
from ragbench.base.progress import Progress, say
from ragbench.base.records import Passage
from ragbench.corpora.cleaned import cleaned
from ragbench.corpora.reader import Located, PerFile, Reader, Skipped
from ragbench.corpora.store import PASSAGES, SKIPPED, ContentDigest

PARTS = "parts"
COUNTS = ("skipped", "noted", "changed")
PART_BATCHES = 16
MAX_BATCH_BYTES = 1 << 28
COLUMNS = ("id", "doc_id", "title", "text", "meta")
Row = tuple[str, str, str, str, str]


@dataclass
class Checkpoint:
    """How far a reader was; all counts are of the parts so far.

    Attributes:
        file: The number of the source file being read; 0 for readers that read all in one.
        entries: How many entries of that file have been taken.
        n_passages: Passages written.
        n_docs: Documents among them.
        n_characters: Of their texts.
        last_doc: The last document, which may go on.
        skipped: Counts of skipped entries, by reason.
        noted: Counts of entries that were kept with a note, by reason.
        changed: Counts of what was left out of texts or replaced in them, by kind.
    """

    file: int = 0
    entries: int = 0
    n_passages: int = 0
    n_docs: int = 0
    n_characters: int = 0
    last_doc: str | None = None
    skipped: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)


def ingest(reader: Reader, work: Path, progress: Progress, *, batch_rows: int) -> dict[str, Any]:
    """Stream all passages into the Arrow file.

    Args:
        reader: The reader; the same source gives it the same stream.
        work: The folder to fill; parts left there by a killed build are used.
        progress: Advanced by the passages.
        batch_rows: How many passages an Arrow record batch has.

    Returns:
        The digest and the counts for the manifest.

    Raises:
        DataError: An entry is no passage, or there is none at all.
    """
    parts = _Parts(work / PARTS, batch_rows)
    progress.advance(parts.point.n_passages)
    for found in _entries(reader, parts.point):
        if isinstance(found, Skipped):
            parts.skip(found)
        else:
            entry = cleaned(found)
            if entry.noted:
                parts.point.noted[entry.noted] += 1
            parts.point.changed.update(entry.changes)
            parts.add(row_of(entry))
            progress.advance()
    parts.end()
    point = parts.point
    if not point.n_passages:
        reasons = ", ".join(f"{count} with {reason}" for reason, count in point.skipped.items())
        raise DataError(
            "the corpus is empty" + (f" (skipped: {reasons})" if reasons else ""),
            where=", ".join(str(p) for p in reader.sources()),
            fix="give a source that holds at least one document",
        )
    parts.join(work)
    return {
        "digest": parts.digest.hexdigest(),
        "n_passages": point.n_passages,
        "n_docs": point.n_docs,
        "n_characters": point.n_characters,
        "skipped": dict(point.skipped),
        "noted": dict(point.noted),
        "changed": dict(point.changed),
    }


def _entries(reader: Reader, point: Checkpoint) -> Iterator[Located | Skipped]:
    """Yield the entries after a checkpoint, and move it on."""
    if not isinstance(reader, PerFile):
        yield from _counted(islice(reader.read(), point.entries, None), point)
        return
    for number, path in enumerate(reader.sources()):
        if number < point.file:
            continue
        if number > point.file:
            point.file, point.entries = number, 0
        yield from _counted(islice(reader.read_file(path), point.entries, None), point)


def _counted(
    entries: Iterator[Located | Skipped], point: Checkpoint
) -> Iterator[Located | Skipped]:
    for entry in entries:
        point.entries += 1
        yield entry


class _Parts:
    """The parts on disk and the passages that will be the next one."""

    def __init__(self, folder: Path, batch_rows: int) -> None:
        import pyarrow as pa

        self.folder = folder
        self.batch_rows = batch_rows
        self.schema = pa.schema([(name, pa.large_string()) for name in COLUMNS])
        self.digest = ContentDigest()
        self.point = Checkpoint()
        self.count = 0
        self._columns: list[list[str]] = [[] for _ in COLUMNS]
        self._bytes = 0
        self._batches: list[Any] = []
        self._skipped: list[bytes] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._find()

    def _find(self) -> None:
        """Take over the parts that are whole."""
        import pyarrow as pa

        while (path := self._path(self.count, "json")).is_file():
            try:
                facts = read_json(path, what="the note of a part")
                batches = list(self._read(self.count))
                for batch in batches:
                    batch.validate(full=True)
                rows = [row for batch in batches for row in _rows(batch)]
                self._path(self.count, "skipped").stat()
                counters = {key: Counter(facts[key]) for key in COUNTS}
                point = Checkpoint(**facts | counters)
            except (DataError, pa.ArrowException, OSError, LookupError, TypeError, ValueError):
                return
            if point.n_passages != self.point.n_passages + len(rows):
                return
            self.point = point
            for row in rows:
                self.digest.add(row)
            self.count += 1

    def _path(self, number: int, ending: str) -> Path:
        return self.folder / f"{number:06d}.{ending}"

    def _read(self, number: int) -> Iterator[Any]:
        import pyarrow as pa

        with pa.OSFile(str(self._path(number, "arrow"))) as source:
            reader = pa.ipc.open_file(source)
            for index in range(reader.num_record_batches):
                yield reader.get_batch(index)

    def skip(self, entry: Skipped) -> None:
        """Note a skipped entry."""
        self.point.skipped[entry.reason] += 1
        if entry.listed:
            say(f"{entry.where}: skipped: {entry.reason}")
        every = {k: getattr(entry, k) for k in ("where", "reason", "id", "detail")}
        line = {key: value for key, value in every.items() if value}
        self._skipped.append(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace"))

    def add(self, row: Row) -> None:
        """Take in a passage."""
        for column, value in zip(self._columns, row, strict=True):
            column.append(value)
        self.digest.add(row)
        point = self.point
        point.n_passages += 1
        point.n_characters += len(row[3])
        point.n_docs += row[1] != point.last_doc
        point.last_doc = row[1]
        self._bytes += len(row[3])
        if len(self._columns[0]) == self.batch_rows:
            self._end_batch()
            if len(self._batches) == PART_BATCHES or self._bytes > MAX_BATCH_BYTES:
                self._write()

    def _end_batch(self) -> None:
        import pyarrow as pa

        self._batches.append(pa.record_batch(self._columns, schema=self.schema))
        self._columns = [[] for _ in COLUMNS]

    def end(self) -> None:
        """Take what is left for the last batch."""
        if self._columns[0]:
            self._end_batch()

    def _write(self) -> None:
        import pyarrow as pa

        # Not synced one by one: a part that a crash of the machine has torn is made again.
        path = str(self._path(self.count, "arrow"))
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, self.schema) as writer:
            for batch in self._batches:
                writer.write_batch(batch)
        self._path(self.count, "skipped").write_bytes(self._lines())
        write_json(self._path(self.count, "json"), vars(self.point))
        self.count += 1
        self._batches, self._skipped, self._bytes = [], [], 0

    def _lines(self) -> bytes:
        return b"".join(line + b"\n" for line in self._skipped)

    def join(self, work: Path) -> None:
        """Write the corpus's files, and remove the parts."""
        import pyarrow as pa

        with atomic_file(work / PASSAGES) as sink, pa.ipc.new_file(sink, self.schema) as writer:
            for number in range(self.count):
                for batch in self._read(number):
                    writer.write_batch(batch)
            for batch in self._batches:
                writer.write_batch(batch)
        if self.point.skipped:
            with (
                atomic_file(work / SKIPPED) as sink,
                gzip.GzipFile(filename="", mode="wb", fileobj=sink, mtime=0) as packed,
            ):
                for number in range(self.count):
                    packed.write(self._path(number, "skipped").read_bytes())
                packed.write(self._lines())
        shutil.rmtree(self.folder)


def _rows(batch: Any) -> Iterator[Row]:
    yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def row_of(entry: Located) -> Row:
    """Return a passage as it is stored: id, document id, title, text, meta (JSON).

    Raises DataError if an id is empty or has white space, or a text is not Unicode or has a NUL.
    """
    passage: Passage = entry.passage
    for identifier in (passage.id, passage.doc_id):
        if not identifier or not identifier.isprintable() or any(c.isspace() for c in identifier):
            raise DataError(
                f"the id {identifier!r} is empty or has white space or control characters",
                where=entry.where,
                fix="ids are written to TREC run files, whose columns are separated by blanks: "
                "write '_' or '-' instead",
            )
    if "\0" in passage.title or "\0" in passage.text:
        raise DataError(
            f"document {passage.id!r} holds a NUL character, which no text has",
            where=entry.where,
            fix="write the file again without it",
        )
    meta = json.dumps(passage.meta, ensure_ascii=False, sort_keys=True)
    row = (passage.id, passage.doc_id, passage.title, passage.text, meta)
    try:
        for value in row:
            value.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(
            f"document {passage.id!r} holds half of a surrogate pair, which is no text",
            where=entry.where,
            fix="write the file again as valid UTF-8",
        ) from None
    return row
