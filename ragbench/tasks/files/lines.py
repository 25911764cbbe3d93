"""The fields of a line of questions: what each may hold, and what is said of a wrong one."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from ragbench.base.errors import DataError
from ragbench.base.files import strict_json

Line = Mapping[str, Any]


def check_fields(line: Line, known: Collection[str], where: str, *, extra: bool) -> None:
    """Refuse a line with a field that is not read.

    Args:
        line: The line.
        known: The names that are read.
        where: The place of the line.
        extra: Whether further fields are passed over.

    Raises:
        DataError: There is such a field.
    """
    unknown = sorted(line.keys() - set(known))
    if unknown and not extra:
        raise DataError(
            f"the line has a field {unknown[0]!r}, which is not read",
            where=where,
            fix=f"the fields are {', '.join(sorted(known))}; set the task's option "
            "extra_fields: true to pass over others",
        )


def text(line: Line, name: str, where: str) -> str:
    """Return a field that must hold text, white space around it cut.

    Args:
        line: The line.
        name: The field.
        where: The place of the line.

    Returns:
        The text.

    Raises:
        DataError: It is missing, empty or not text.
    """
    value = line.get(name)
    if not isinstance(value, str) or not value.strip():
        raise DataError(
            f"the field {name!r} is missing, empty or not text",
            where=where,
            fix=f"the line has the fields: {', '.join(sorted(line)) or '(none)'}",
        )
    return whole(value, name, where).strip()


def optional_text(line: Line, name: str, where: str) -> str:
    """Return a field that holds text where it is there, else nothing."""
    return text(line, name, where) if line.get(name) is not None else ""


def plain(line: Line, name: str, where: str) -> str:
    """Return a field that may hold text or a whole number, as text.

    Args:
        line: The line.
        name: The field.
        where: The place of the line.

    Returns:
        The value; empty where there is none.

    Raises:
        DataError: It is neither.
    """
    value = line.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
        raise DataError(f"the field {name!r} is neither text nor a whole number", where=where)
    return whole("" if value is None else str(value), name, where)


def whole(value: str, name: str, where: str) -> str:
    """Return a text; refuse one that UTF-8 cannot hold."""
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise DataError(f"the field {name!r} holds half of a surrogate pair", where=where)
    return value


def identifier(value: object, where: str) -> str:
    """Return an id.

    Args:
        value: What the line gives: text or a whole number.
        where: The place of the line.

    Returns:
        The id as text.

    Raises:
        DataError: It is missing, or could not stand in a TREC run file.
    """
    found = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not found or not found.isprintable() or any(c.isspace() for c in found):
        raise DataError(
            f"the id {value!r} is missing, or has white space or control characters",
            where=where,
            fix="ids stand in TREC run files, whose columns are parted by blanks",
        )
    return found


def ids(line: Line, name: str, where: str) -> tuple[str, ...]:
    """Return a field that holds a list of ids, each once.

    Args:
        line: The line.
        name: The field.
        where: The place of the line.

    Returns:
        The ids as text, in the order of the line; none where there is no such field.

    Raises:
        DataError: It is something else.
    """
    found = line.get(name) or []
    if not isinstance(found, list) or not all(
        isinstance(i, str | int) and not isinstance(i, bool) for i in found
    ):
        raise DataError(f"{name} is not a list of ids", where=where)
    return tuple(dict.fromkeys(whole(str(i), name, where) for i in found))


def cluster(line: Line, unit: str | None, where: str) -> str | None:
    """Return what a question is drawn by.

    Args:
        line: The line.
        unit: What clusters are; None where each question stands alone.
        where: The place of the line.

    Returns:
        The cluster; None where there is no unit.

    Raises:
        DataError: There is a unit, and the line has no cluster.
    """
    if unit is None:
        return None
    if not isinstance(line.get("cluster"), str | int):
        raise DataError(
            f"the question has no cluster, but the task says that each belongs to one ({unit})",
            where=where,
        )
    return plain(line, "cluster", where)


def options(value: object, where: str) -> tuple[str, ...]:
    """Return the option texts in the order of their letters.

    Args:
        value: An object from letter to text, or a list of texts.
        where: The place of the line.

    Returns:
        The texts.

    Raises:
        DataError: It is neither, or the letters have a gap.
    """
    if isinstance(value, dict):
        wanted = list(ascii_uppercase[: len(value)])
        if sorted(value) != wanted:
            raise DataError(
                f"the options have the letters {', '.join(map(str, value)) or '(none)'}",
                where=where,
                fix=f"letters run from A without a gap: {', '.join(wanted) or 'A, B, ...'}",
            )
        value = [value[letter] for letter in wanted]
    if not isinstance(value, list) or not all(isinstance(option, str) for option in value):
        raise DataError(
            "the options are not texts under letters",
            where=where,
            fix='write "options": {"A": "...", "B": "..."} or a list of texts',
        )
    if len(value) > len(ascii_uppercase):
        raise DataError(f"there are {len(value)} options, more than letters", where=where)
    return tuple(whole(option, "options", where).strip() for option in value)


def answer(value: object, texts: tuple[str, ...], where: str) -> int:
    """Return the index of the right option.

    Args:
        value: A letter, or the text of one option.
        texts: The options.
        where: The place of the line.

    Returns:
        The index.

    Raises:
        DataError: It names none of the options, or the text of several.
    """
    if isinstance(value, str):
        letter = ascii_uppercase.find(value.strip()) if len(value.strip()) == 1 else -1
        if 0 <= letter < len(texts):
            return letter
        same = [i for i, option in enumerate(texts) if option == value.strip()]
        if len(same) == 1:
            return same[0]
    shown = ", ".join(f"{ascii_uppercase[i]} ({o[:30]})" for i, o in enumerate(texts))
    raise DataError(
        f"the answer {value!r} is not among the options",
        where=where,
        fix=f"give a letter, or the text of an option: {shown}",
    )


def json_object(path: Path) -> dict[str, Any]:
    """Read a JSON object of records, in which no key stands twice.

    Args:
        path: The file.

    Returns:
        The object.

    Raises:
        DataError: The file cannot be read, holds something else, or repeats a key.
    """
    try:
        data = path.read_bytes()
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
