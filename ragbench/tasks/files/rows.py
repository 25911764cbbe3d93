"""Rows of a task's file: a table, JSON in several layouts; each row with its place."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ragbench.base.errors import DataError
from ragbench.base.files import plain_file, read_jsonl, strict_json
from ragbench.corpora.formats.delimited import Shape
from ragbench.corpora.formats.tables import ending, table_rows

Located = tuple[str, dict[str, Any]]
CLUSTER = "cluster"  # a column that every table may have


def file_rows(path: Path, columns: Sequence[str] = ()) -> Iterator[Located]:
    """Yield (place, fields) of the rows of a table, a JSON array or JSON lines.

    The file's ending marks a table, its first character an array. Of a table the given columns
    are read, and ``cluster`` where there is one; without any, the file is JSON.

    Raises:
        DataError: The file cannot be read, or a row is not an object.
    """
    if columns and ending(path) is not None:
        yield from _of_table(path, columns)
    elif _opens_with_bracket(path):
        for number, row in enumerate(_array(path), 1):
            where = f"{path}, record {number}"
            if not isinstance(row, dict):
                raise DataError(
                    f"the record is a JSON {type(row).__name__}, not an object", where=where
                )
            yield where, row
    else:
        for number, row in read_jsonl(path):
            yield f"{path}:{number}", row


def _of_table(path: Path, columns: Sequence[str]) -> Iterator[Located]:
    for wanted in ([*columns, CLUSTER], list(columns)):
        try:
            for where, values in table_rows(path, wanted, Shape()):
                yield where, dict(zip(wanted, values, strict=True))
        except DataError as error:
            if error.what == f"there is no column {CLUSTER!r}":
                continue
            if not error.what.startswith("there is no column"):
                raise
            # The table's own advice is about a corpus card, which a task does not have.
            raise DataError(
                error.what, where=error.where, fix=f"the columns read are {', '.join(columns)}"
            ) from None
        return


def _opens_with_bracket(path: Path) -> bool:
    with plain_file(path).open("rb") as handle:
        return handle.read(256).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def _array(path: Path) -> list[Any]:
    try:
        value = strict_json.decode(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"the file is not JSON: {error}",
            where=str(path),
            fix="write one JSON array of objects, or one object per line",
        ) from None
    return list(value)


def json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object of a file, plain or gzip, in which no key appears twice.

    Raises:
        DataError: The file cannot be read, holds something else, or repeats a key.
    """
    try:
        data = plain_file(path).read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
        value = strict_json.decode(data.decode("utf-8-sig"))
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise DataError(
            f"the file cannot be read: {error}",
            where=str(path),
            fix="give one JSON object, each of its records under an id of its own",
        ) from None
    if not isinstance(value, dict):
        raise DataError("the file does not hold an object of records", where=str(path))
    return value
