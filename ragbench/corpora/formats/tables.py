"""Rows of tables, streamed: CSV and TSV (plain or gzip), Parquet, Excel workbooks (.xlsx).

Every row comes with its place and with the values of the columns asked for. Rows without any
content are skipped like blank lines.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ragbench.base.errors import DataError, first_line
from ragbench.base.files import plain_file
from ragbench.corpora.formats.delimited import Row, Shape, csv_header, csv_rows, places_of

MAX_SHEET_ROWS = 1 << 20  # Excel's own limit
BATCH_ROWS = 1024
MAGIC = {
    b"PK\x03\x04": "a zip archive, as .xlsx files are",
    b"PAR1": "Parquet",
    b"\x1f\x8b": "gzip",
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls); save it as .xlsx",
}


def ending(path: Path) -> str | None:
    """Return the ending of a table's name, such as ``.csv.gz``; None if it is none of them."""
    name = path.name.lower()
    return next((e for e in ENDINGS if name.endswith(e)), None)


def table_rows(path: Path, columns: Sequence[str], shape: Shape) -> Iterator[Row]:
    """Yield the rows of a table.

    Args:
        path: The file; its ending says its format.
        columns: The names of the columns wanted.
        shape: What the file does not say of itself.

    Yields:
        Each row's place, and its values in the order of ``columns``.

    Raises:
        DataError: The file is not what its ending says, misses a column, or a row is wrong.
    """
    kind = ending(path)
    if kind is None:
        raise DataError(
            f"the ending of {path.name!r} is not that of a table",
            where=str(path),
            fix=f"the endings are {', '.join(ENDINGS)}",
        )
    _check_magic(path, kind)
    yield from ENDINGS[kind](path, columns, shape)


def header_of(path: Path) -> tuple[list[str], Shape]:
    """Return the names of a table's columns, and its shape.

    A CSV file whose header is one column, and several with semicolons or tabs, has these.

    Raises:
        DataError: The file is not what its ending says, or has no header.
    """
    kind = ending(path)
    if kind is not None:
        _check_magic(path, kind)
    if kind == ".parquet":
        return _parquet_header(path), Shape()
    if kind == ".xlsx":
        return _sheet_header(path), Shape()
    return csv_header(path)


def _parquet_header(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names: list[str] = pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"the Parquet file cannot be read: {first_line(error)}",
            where=str(path),
            fix="check that the file is whole",
        ) from None
    return names


def _sheet_header(path: Path) -> list[str]:
    with _opened(path, Shape()) as sheet:
        sheet.reset_dimensions()
        for row in sheet.iter_rows(values_only=True):
            if names := [str(cell) for cell in row if cell not in (None, "")]:
                return names
    raise DataError("the sheet is empty", where=str(path), fix="the first row names the columns")


def _check_magic(path: Path, kind: str) -> None:
    expected = {".parquet": b"PAR1", ".xlsx": b"PK\x03\x04"}.get(kind)
    if kind.endswith(".gz"):
        expected = b"\x1f\x8b"
    with plain_file(path).open("rb") as handle:
        start = handle.read(4)
    found = next((magic for magic in MAGIC if start.startswith(magic)), None)
    if found != expected:
        what = f"it is {MAGIC[found]}" if found else "its first bytes are other ones"
        raise DataError(
            f"the file is not what its ending {kind} says: {what}",
            where=str(path),
            fix="rename the file, or write it again in that format",
        )


# -- Parquet --------------------------------------------------------------------------------


def _parquet_rows(path: Path, columns: Sequence[str], shape: Shape) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            places_of(file.schema_arrow.names, columns, str(path))
            # A column is read once, however often it is wanted.
            once = list(dict.fromkeys(columns))
            for batch in file.iter_batches(BATCH_ROWS, columns=once):
                values = {name: batch.column(name).to_pylist() for name in once}
                for row in range(batch.num_rows):
                    number += 1
                    yield f"{path}: row {number}", [values[name][row] for name in columns]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the Parquet file cannot be read after row {number}: {first_line(error)}",
            where=str(path),
            fix="check that the file is whole",
        ) from None


# -- Excel ----------------------------------------------------------------------------------


def _excel_rows(path: Path, columns: Sequence[str], shape: Shape) -> Iterator[Row]:
    with _opened(path, shape) as sheet:
        yield from _sheet_rows(sheet, path, columns)


@contextmanager
def _opened(path: Path, shape: Shape) -> Iterator[Any]:
    """Yield the sheet of a workbook; DataError where it, or what is done with it, fails."""
    from openpyxl import load_workbook

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of styles and forms, not of values
            book = load_workbook(path, read_only=True, data_only=True)
        try:
            yield _sheet(book, shape.sheet, path)
        finally:
            book.close()
    except DataError:
        raise
    except Exception as error:  # a broken archive may fail in any of its parsers
        raise DataError(
            f"the workbook cannot be read: {type(error).__name__}: {first_line(error)}",
            where=str(path),
            fix="open it in a spreadsheet program and save it again as .xlsx",
        ) from None


def _sheet(book: Any, wanted: str | None, path: Path) -> Any:
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    if wanted is None and len(sheets) == 1:
        return next(iter(sheets.values()))
    if wanted in sheets:
        return sheets[wanted]
    names = ", ".join(repr(name) for name in sheets)
    raise DataError(
        f"there is no sheet {wanted!r}" if wanted else f"the workbook has {len(sheets)} sheets",
        where=str(path),
        fix=f"set the reader's option sheet to one of: {names}",
    )


def _sheet_rows(sheet: Any, path: Path, columns: Sequence[str]) -> Iterator[Row]:
    from openpyxl.cell.cell import ERROR_CODES

    place = f"{path}: sheet {sheet.title!r}"
    sheet.reset_dimensions()  # some programs write a range that is too small
    header: list[str] | None = None
    places: list[int] = []
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        where = f"{place}, row {number}"
        if number > MAX_SHEET_ROWS:  # openpyxl gives every row up to the one stated
            raise DataError(
                f"the sheet states rows beyond {MAX_SHEET_ROWS:,}, which no sheet has",
                where=place,
                fix="open it in a spreadsheet program and save it again as .xlsx",
            )
        if all(cell is None or cell == "" for cell in row):
            continue
        if header is None:
            header = ["" if cell is None else str(cell) for cell in row]
            places = places_of(header, columns, where)
            continue
        if any(cell is not None for cell in row[len(header) :]):
            raise DataError(
                f"a cell is to the right of the header's {len(header)} columns",
                where=where,
                fix="name its column in the first row, or empty it",
            )
        values = [row[at] if at < len(row) else None for at in places]
        for name, value in zip(columns, values, strict=True):
            if isinstance(value, str) and value in ERROR_CODES:
                raise DataError(
                    f"the cell of column {name!r} holds the Excel error {value}",
                    where=where,
                    fix="correct the formula, or write the value itself",
                )
        yield where, values
    if header is None:
        raise DataError("the sheet is empty", where=place, fix="the first row names the columns")


ENDINGS: dict[str, Callable[[Path, Sequence[str], Shape], Iterator[Row]]] = {
    ".csv": csv_rows,
    ".tsv": csv_rows,
    ".csv.gz": csv_rows,
    ".tsv.gz": csv_rows,
    ".parquet": _parquet_rows,
    ".xlsx": _excel_rows,
}
