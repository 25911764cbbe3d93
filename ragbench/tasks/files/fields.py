"""Fields of a row of questions: what each may hold, and the message about a wrong one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from string import ascii_uppercase
from typing import Any, Literal

from ragbench.base.errors import DataError

Row = Mapping[str, Any]
Reading = Literal["either", "letter", "text"]


def check_names(row: Row, known: Collection[str], where: str, *, extra: bool) -> None:
    """Refuse a row with a field that is not read, unless extra fields are allowed.

    Raises:
        DataError: There is such a field.
    """
    unknown = sorted(row.keys() - set(known))
    if unknown and not extra:
        raise DataError(
            f"the line has a field {unknown[0]!r}, which is not read",
            where=where,
            fix=f"the fields are {', '.join(sorted(known))}; set the task's option "
            "extra_fields: true to ignore others",
        )


def text(row: Row, names: str | Sequence[str], where: str) -> str:
    """Return the text of the first of some fields that the row has, stripped.

    Raises:
        DataError: None of them is there, or it is empty or not text.
    """
    names = [names] if isinstance(names, str) else names
    name = next((name for name in names if name in row), None)
    value = None if name is None else row[name]
    if name is None or not isinstance(value, str) or not value.strip():
        raise DataError(
            f"the field {' or '.join(map(repr, names if name is None else [name]))} "
            + ("is missing" if name is None else "is empty or not text"),
            where=where,
            fix=f"the row has the fields: {', '.join(map(str, row)) or '(none)'}",
        )
    return encodable(value, name, where).strip()


def optional_text(row: Row, name: str, where: str) -> str:
    """Return a field that holds text where it is there, else nothing."""
    return text(row, name, where) if row.get(name) is not None else ""


def text_or_number(row: Row, name: str, where: str) -> str:
    """Return a field that may hold text or a whole number, as text; nothing where there is none.

    Raises:
        DataError: It is neither.
    """
    value = row.get(name)
    if value is not None and not _is_text_or_number(value):
        raise DataError(f"the field {name!r} is neither text nor a whole number", where=where)
    return encodable("" if value is None else str(value), name, where)


def encodable(value: str, name: str, where: str) -> str:
    """Return a text; refuse one that UTF-8 cannot hold."""
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise DataError(f"the field {name!r} holds half of a surrogate pair", where=where)
    return value


def identifier(value: object, where: str) -> str:
    """Return an id, given as text or a whole number, as text.

    Raises:
        DataError: It is missing, or a TREC run file could not hold it.
    """
    found = str(value) if _is_text_or_number(value) else ""
    if not found or not found.isprintable() or any(c.isspace() for c in found):
        raise DataError(
            f"the id {value!r} is missing, or has white space or control characters",
            where=where,
            fix="blanks separate the columns of TREC run files, so that ids may have none",
        )
    return found


def optional_id(row: Row, names: Sequence[str], where: str) -> str | None:
    """Return the first id among some fields, white space removed; None where there is none.

    Raises:
        DataError: The field holds neither text nor a whole number.
    """
    name = next((name for name in names if row.get(name) is not None), None)
    if name is None:
        return None
    value = row[name]
    found = "".join(str(value).split())
    if not _is_text_or_number(value) or not found.isprintable():
        raise DataError(
            f"the field {name!r} ({str(value)[:40]!r}) is no id",
            where=where,
            fix="write a text or a whole number",
        )
    return found or None


def ids(row: Row, name: str, where: str) -> tuple[str, ...]:
    """Return a list of ids as text, each once and in order; none where there is no such field.

    Raises:
        DataError: The field holds something else.
    """
    found = row.get(name) or []
    if not isinstance(found, list) or not all(map(_is_text_or_number, found)):
        raise DataError(f"{name} is not a list of ids", where=where)
    return tuple(dict.fromkeys(encodable(str(i), name, where) for i in found))


def cluster(row: Row, where: str) -> str | None:
    """Return the cluster of a question; None where the row names none.

    Raises:
        DataError: The field holds neither text nor a whole number.
    """
    return text_or_number(row, "cluster", where).strip() or None


def options(value: object, where: str) -> tuple[str, ...]:
    """Return the option texts, given under letters or as a list, in the order of their letters.

    Raises:
        DataError: They are neither, or the letters have a gap.
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
    return tuple(encodable(option, "options", where).strip() for option in value)


def answer(
    value: object, texts: tuple[str, ...], where: str, *, reading: Reading = "either"
) -> int:
    """Return the index of the right option, given as its letter or its text.

    Raises:
        DataError: It names none of the options, the text of several, or one option by its letter
            and another by its text.
    """
    if isinstance(value, str):
        given = value.strip()
        letter = ascii_uppercase.find(given) if len(given) == 1 and reading != "text" else -1
        same = [i for i, option in enumerate(texts) if option == given and reading != "letter"]
        if 0 <= letter < len(texts):
            if other := [i for i in same if i != letter]:
                raise _ambiguous(given, texts, letter, other[0], where)
            return letter
        if len(same) == 1:
            return same[0]
    shown = ", ".join(f"{ascii_uppercase[i]} ({o[:30]})" for i, o in enumerate(texts))
    raise DataError(
        f"the answer {value!r} is not among the options",
        where=where,
        fix=f"give a letter, or the text of an option: {shown}",
    )


def _ambiguous(
    given: str, texts: tuple[str, ...], letter: int, other: int, where: str
) -> DataError:
    return DataError(
        f"the answer {given!r} can be read in two ways: as the letter of the option "
        f"{ascii_uppercase[letter]} ({texts[letter]}), or as the text of the option "
        f"{ascii_uppercase[other]} ({texts[other]})",
        where=where,
        fix="set the task's option answers to letter or to text, as it is meant in this file",
    )


def _is_text_or_number(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)
