"""Tables: one document per row of CSV, TSV, Parquet or Excel files.

An id or text cell that is empty, or not a number (NaN), or exactly ``nan``, ``NaN`` or ``NULL``
counts as missing: that is what pandas and databases write in the place of nothing. A whole
number that Excel or pandas keeps as a float (12.0) is the id 12; CSV holds text, so that there
12.0 stays 12.0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

from pydantic import ValidationInfo, field_validator

from ragbench.base.errors import DataError
from ragbench.base.records import Passage
from ragbench.corpora.formats.delimited import Quoting, Shape
from ragbench.corpora.formats.tables import ENDINGS, ending, table_rows
from ragbench.corpora.reader import (
    FileReader,
    Located,
    ReaderOptions,
    Skipped,
    files_at,
    known_encoding,
)
from ragbench.corpora.readers.jsonl import JsonlOptions

MISSING = ("nan", "NaN", "NULL")


class TabularOptions(JsonlOptions):
    """Which columns hold what (as of the jsonl reader), and what a file does not say of itself.

    Attributes:
        sheet: The sheet of an Excel workbook that has several.
        delimiter: Character between the cells of a CSV file; ``,`` by default, and the tab for TSV.
        encoding: Encoding of CSV and TSV files.
        quoting: Whether the quotes of CSV and TSV files bound cells (``quotes``) or are text
            (``none``); ``auto`` finds out, and refuses a file in which that is open.
        escape: Character before one that belongs to the text, in a CSV or TSV file.
    """

    sheet: str | None = None
    delimiter: str | None = None
    encoding: str = "utf-8"
    quoting: Quoting = "auto"
    escape: str | None = None

    @field_validator("delimiter", "escape")
    @classmethod
    def _one_character(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and (len(value) != 1 or value in '\r\n"'):
            raise ValueError(f"{info.field_name} is one character, and no quote or line end")
        return value

    _known = field_validator("encoding")(known_encoding)


class TabularReader(FileReader[TabularOptions]):
    """Reads one table, or every table of a folder by name."""

    Options: ClassVar[type[ReaderOptions]] = TabularOptions

    def sources(self) -> list[Path]:
        """Return the file itself, or the folder's tables in the order of their names.

        Raises DataError if there is no such file, or the folder holds none.
        """
        return files_at(
            self.path,
            lambda path: bool(ending(path)) and not path.name.startswith("~$"),
            what=", ".join(ENDINGS),
        )

    def read_file(self, path: Path) -> Iterator[Located | Skipped]:
        """Yield one passage per row of one file."""
        options = self.options
        titles = [options.title_field] if options.title_field else []
        columns = [options.id_field, options.text_field, *titles, *options.meta_fields]
        shape = Shape(
            options.delimiter, options.encoding, options.sheet, options.quoting, options.escape
        )
        for where, values in table_rows(path, columns, shape):
            yield self._entry(values, where)

    def _entry(self, values: list[object], where: str) -> Located | Skipped:
        options = self.options
        for column, value, what in (
            (options.id_field, values[0], "id"),
            (options.text_field, values[1], "text"),
        ):
            if _is_missing(value):
                if options.skip_empty:
                    return Skipped(f"empty {what}", where)
                raise DataError(
                    f"the {what} in column {column!r} is missing: the cell holds {_shown(value)}",
                    where=where,
                    fix="fill it, remove the row, or set the reader's option skip_empty: true",
                )
        identifier = _text(values[0], options.id_field, where)
        text = _text(values[1], options.text_field, where)
        rest = values[2:]
        title = ""
        if options.title_field:
            title = _loose(rest.pop(0), options.title_field, where)
        meta = {
            name: kept
            for name, value in zip(options.meta_fields, rest, strict=True)
            if (kept := _loose(value, name, where))
        }
        return Located(Passage(identifier, identifier, title, text, meta), where)


def _is_missing(value: object) -> bool:
    if isinstance(value, str):
        return not value.strip() or value.strip() in MISSING
    return value is None or (isinstance(value, (float, Decimal)) and math.isnan(value))


def _shown(value: object) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        return "nothing"
    return f"{str(value).strip()!r}, which means nothing"


def _text(value: object, column: str, where: str) -> str:
    """Return an id or a text; whole numbers are taken too, anything else is an error."""
    if isinstance(value, str):
        if "\0" in value:
            raise DataError(
                f"the column {column!r} holds a NUL character, which no text has",
                where=where,
                fix="write the file again without it",
            )
        return value
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        if math.isfinite(value) and value == int(value):
            return str(int(value))
        raise DataError(
            f"the column {column!r} holds {value}, which is neither text nor a whole number",
            where=where,
            fix="write it as text; check that this is the column you mean",
        )
    hint = " (Excel turns some ids into dates)" if isinstance(value, (date, time)) else ""
    raise DataError(
        f"the column {column!r} holds a {type(value).__name__}, not text{hint}",
        where=where,
        fix="write it as text",
    )


def _loose(value: object, column: str, where: str) -> str:
    """Return a title or further field: empty if missing; fractions and dates are taken too."""
    if value is None or (isinstance(value, (float, Decimal)) and math.isnan(value)):
        return ""
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (float, Decimal)) and math.isfinite(value) and value != int(value):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return _text(value, column, where)
