"""Rows of CSV and TSV files, plain or gzip, in either of their dialects.

Quotes around a cell may be its bounds, as spreadsheets write them, or characters of its text, as
many TSV files have them. A TSV file that is whole in the second reading alone is read so. Where the
first reading makes one row of several lines, each of which is a row in the second, and nothing else
in the file shows that cells are quoted, the file is refused: the option ``quoting`` decides.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast

from ragbench.base.errors import DataError, near
from ragbench.base.files import plain_file

MAX_CELL = 1 << 26  # characters; the csv module's own limit of 2^17 is less than a long text
Quoting = Literal["auto", "quotes", "none"]
Row = tuple[str, list[object]]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a file does not say of itself.

    Attributes:
        delimiter: Of CSV; by default the comma, of TSV the tab.
        encoding: Of CSV and TSV.
        sheet: Of a workbook with several.
        quoting: Whether quotes of CSV and TSV bound cells (``quotes``) or are text (``none``).
        escape: What makes the next character of CSV and TSV one of the text, such as a backslash.
    """

    delimiter: str | None = None
    encoding: str = "utf-8"
    sheet: str | None = None
    quoting: Quoting = "auto"
    escape: str | None = None


def places_of(header: Sequence[str], columns: Sequence[str], where: str) -> list[int]:
    """Return where each wanted column stands."""
    for name in columns:
        count = header.count(name)
        if count == 1:
            continue
        if count > 1:
            at = ", ".join(str(i) for i, known in enumerate(header, 1) if known == name)
            raise DataError(
                f"{count} columns have the name {name!r}: number {at}",
                where=where,
                fix="give each column its own name",
            )
        if len(header) == 1 and (other := next((d for d in ";\t|," if d in header[0]), None)):
            raise DataError(
                f"there is no column {name!r}: the header is one column, {header[0][:60]!r}",
                where=where,
                fix=f"set the reader's option delimiter to {other!r}",
            )
        raise DataError(
            f"there is no column {name!r}",
            where=where,
            fix=f"{near(name, {known for known in header if known})}; name the right one in the "
            "card or with --id-field, --text-field, --title-field",
        )
    return [header.index(name) for name in columns]


def csv_header(path: Path) -> tuple[list[str], Shape]:
    """Return the columns of a CSV or TSV file in UTF-8, and the delimiter that its header shows.

    Where a comma makes it one column, semicolons or tabs are tried.

    Raises:
        DataError: The file is empty or not UTF-8.
    """
    given = "\t" if _is_tsv(path) else ","
    try:
        with _opened(path, "utf-8-sig") as handle:
            line = next((line for line in handle if line.strip(" \t\r\n,;")), "")
    except UnicodeDecodeError as error:
        raise _undecodable(path, "utf-8-sig", error) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"the file cannot be read: {error}", where=str(path)) from None
    names: dict[str, list[str]] = {}
    for delimiter in dict.fromkeys((given, ";", "\t")):
        try:
            names[delimiter] = next(csv.reader([line], delimiter=delimiter, strict=True), [])
        except csv.Error:  # a name that goes over several lines, or whose quotes are text
            names[delimiter] = [name.strip(' "\r\n') for name in line.split(delimiter)]
    best = given if len(names[given]) > 1 else max(names, key=lambda key: len(names[key]))
    if not names[best]:
        raise DataError("the file is empty", where=str(path), fix="the first row names the columns")
    return names[best], Shape(None if best == given else best)


def csv_rows(path: Path, columns: Sequence[str], shape: Shape) -> Iterator[Row]:
    """Yield the rows of a CSV or TSV file; DataError where one is wrong."""
    delimiter = shape.delimiter or ("\t" if _is_tsv(path) else ",")
    is_utf8 = codecs.lookup(shape.encoding).name == "utf-8"  # by any of its names, such as UTF_8
    encoding = "utf-8-sig" if is_utf8 else shape.encoding
    csv.field_size_limit(MAX_CELL)
    reader = None
    try:
        plainly = shape.quoting == "none"
        if shape.quoting == "auto":
            with _opened(path, encoding) as handle:
                plainly = _Dialect(path, delimiter, shape.escape).is_plain(handle)
        with _opened(path, encoding) as handle:
            reader = _reader(handle, delimiter, shape.escape, plainly=plainly)
            yield from _cells(reader, path, columns)
    except UnicodeDecodeError as error:
        raise _undecodable(path, encoding, error) from None
    except csv.Error as error:
        line = reader.line_num if reader else 1
        raise DataError(
            f"the row that ends here is not whole CSV: {error}",
            where=f"{path}:{line}",
            fix='a cell with quotes is written "like ""this""". Where quotes are text, set the '
            "reader's option quoting: none; where a backslash is before each, set escape to it; "
            "check `delimiter` too",
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"the file cannot be read to its end: {error}",
            where=str(path),
            fix="check that it is whole and that you may read it",
        ) from None


def _is_gzip(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _is_tsv(path: Path) -> bool:
    return ".tsv" in path.name.lower()


def _opened(path: Path, encoding: str) -> IO[str]:
    opened = (gzip.open if _is_gzip(path) else open)(
        plain_file(path), "rt", encoding=encoding, newline=""
    )
    return cast("IO[str]", opened)


def _reader(lines: Iterable[str], delimiter: str, escape: str | None, *, plainly: bool) -> Any:
    return csv.reader(
        lines,
        delimiter=delimiter,
        escapechar=escape,
        quoting=csv.QUOTE_NONE if plainly else csv.QUOTE_MINIMAL,
        strict=True,
    )


class _Dialect:
    """What quotes mean in one file."""

    def __init__(self, path: Path, delimiter: str, escape: str | None) -> None:
        self._path = path
        self._delimiter = delimiter
        self._escape = escape
        self._size = 0  # columns of the header
        self._lines: list[str] = []  # of the row that is being read
        self._is_plain = True  # whether every line is a row
        self._is_quoted = False  # whether something shows that cells are quoted

    def is_plain(self, handle: IO[str]) -> bool:
        """Return whether quotes are characters of the text.

        Raises:
            DataError: Both readings make sense, and in one of them rows merge.
        """
        is_whole = True  # with quotes as bounds
        merged = ""
        number = 0
        rows = _reader(self._kept(handle), self._delimiter, self._escape, plainly=False)
        try:
            for row in rows:
                first, number = number + 1, rows.line_num
                if not any(cell.strip() for cell in row):
                    self._lines.clear()
                    continue
                self._size = self._size or len(row)
                is_whole = is_whole and len(row) == self._size
                if self._may_be_rows(row):
                    merged = merged or f"{self._path}:{first}"
        except csv.Error:
            is_whole = False
            self._may_be_rows([])
            for _ in self._kept(handle):
                self._may_be_rows([])
        if is_whole and merged and not self._is_quoted:
            raise DataError(
                "the quotes of this cell go over several lines, each of which could be a row",
                where=merged,
                fix="set the reader's option quoting: none where quotes are characters of the "
                "text, quoting: quotes where they are the bounds of cells",
            )
        return _is_tsv(self._path) and self._is_plain and not is_whole and not self._is_quoted

    def _kept(self, handle: IO[str]) -> Iterator[str]:
        for line in handle:
            self._lines.append(line)
            yield line

    def _may_be_rows(self, row: list[str]) -> bool:
        """Take in the lines of a row; return whether each of several is as long as the header."""
        lines = [line for line in self._lines if line.strip()]
        self._lines.clear()
        counts = {line.count(self._delimiter) + 1 for line in lines}
        self._size = self._size or max(counts, default=0)
        as_long = counts <= {self._size}
        self._is_plain = self._is_plain and as_long
        if row and any('"' in line for line in lines):
            is_doubled = any('"' in cell for cell in row) and any('""' in line for line in lines)
            bounded = len(lines) == 1 and lines[0][0] == '"' and '"' not in row[0] and len(row) > 1
            is_needed = len(row) == self._size and not as_long
            self._is_quoted = self._is_quoted or is_doubled or bounded or is_needed
        return len(lines) > 1 and as_long and self._size > 1


def _cells(reader: Any, path: Path, columns: Sequence[str]) -> Iterator[Row]:
    header: list[str] | None = None
    places: list[int] = []
    line = 1
    for row in reader:
        where, line = f"{path}:{line}", reader.line_num + 1
        if any("\0" in cell for cell in row):
            raise DataError(
                "the row holds NUL characters, which no text has",
                where=where,
                fix="give the reader's option encoding (utf-16?), or check that it is CSV at all",
            )
        if not any(cell.strip() for cell in row):
            continue
        if header is None:
            header = row
            places = places_of(header, columns, where)
        elif len(row) != len(header):
            raise DataError(
                f"the row has {len(row)} cells, the header {len(header)}",
                where=where,
                fix="put cells that hold the delimiter in double quotes; check `delimiter` too",
            )
        else:
            yield where, [row[place] for place in places]
    if header is None:
        raise DataError("the file is empty", where=str(path), fix="the first row names the columns")


def _undecodable(path: Path, encoding: str, error: UnicodeDecodeError) -> DataError:
    """Read the file again for the line that is not of the encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with (gzip.open if _is_gzip(path) else open)(path, "rb") as handle:
        try:
            while block := handle.read(1 << 16):
                line += decoder.decode(block).count("\n")
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as found:
            line += found.object[: found.start].count(b"\n")
            error = found
    return DataError(
        f"this line is not {encoding.removesuffix('-sig')}: {error.reason}",
        where=f"{path}:{line}",
        fix="write the file again as UTF-8, or give the reader's option encoding, such as cp1252",
    )
