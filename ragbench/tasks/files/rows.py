"""Rows of a task's file: a table, a JSON array or JSON lines, each row with its place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ragbench.base.errors import DataError
from ragbench.base.files import read_jsonl
from ragbench.corpora.formats.tables import Shape, ending, table_rows

Located = tuple[str, dict[str, Any]]


def file_rows(path: Path, columns: Sequence[str]) -> Iterator[Located]:
    """Yield the rows of a table, a JSON array or JSON lines, each with its place.

    Args:
        path: The file; its ending tells a table, its first character an array.
        columns: The columns of a table that are read.

    Yields:
        The place and the fields of each row.

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
    try:
        for where, values in table_rows(path, list(columns), Shape()):
            yield where, dict(zip(columns, values, strict=True))
    except DataError as error:
        if not error.what.startswith("there is no column"):
            raise
        # The table's own advice speaks of a corpus card, which a task has not.
        raise DataError(
            error.what, where=error.where, fix=f"the columns read are {', '.join(columns)}"
        ) from None


def _opens_with_bracket(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(256).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def _array(path: Path) -> list[Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"the file is not JSON: {error}",
            where=str(path),
            fix="write one JSON array of objects, or one object a line",
        ) from None
    return list(value)


def text_of(row: Mapping[str, Any], names: Sequence[str], where: str) -> str:
    """Return the text of the first of some fields that the row has.

    Args:
        row: The row.
        names: The names that the field goes by.
        where: The place, for messages.

    Returns:
        The text, white space around it cut.

    Raises:
        DataError: None of them is there, or it is empty or not text.
    """
    name = next((name for name in names if name in row), None)
    value = row.get(name) if name is not None else None
    if not isinstance(value, str) or not value.strip():
        known = [name] if name is not None else names
        raise DataError(
            f"the field {' or '.join(map(repr, known))} "
            + ("is missing" if name is None else "is empty or not text"),
            where=where,
            fix=f"the row has the fields: {', '.join(map(str, row)) or '(none)'}",
        )
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise DataError(f"the field {name!r} holds half of a surrogate pair", where=where)
    return value.strip()


def id_of(row: Mapping[str, Any], names: Sequence[str], where: str) -> str | None:
    """Return the id of a row, a text or a whole number; None where it has none.

    Args:
        row: The row.
        names: The names that the field goes by.
        where: The place, for messages.

    Returns:
        The id as text, without white space.

    Raises:
        DataError: The field holds something else.
    """
    name = next((name for name in names if row.get(name) is not None), None)
    if name is None:
        return None
    value = row[name]
    found = "".join(str(value).split())
    if isinstance(value, bool) or not isinstance(value, str | int) or not found.isprintable():
        raise DataError(
            f"the field {name!r} ({str(value)[:40]!r}) is no id",
            where=where,
            fix="write a text or a whole number",
        )
    return found or None
