"""Checks of what imported files say, before any of it becomes a file name or a line."""

from __future__ import annotations

from ragbench.base import home
from ragbench.base.errors import DataError


def check_text(value: str, what: str, where: str) -> str:
    """Return text that a file can hold.

    Args:
        value: The text.
        what: What it is, for the message.
        where: Its place.

    Returns:
        The same text.

    Raises:
        DataError: It holds half of a surrogate pair.
    """
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise DataError(f"{what} holds half of a surrogate pair", where=where)
    return value


def check_label(value: str, what: str, where: str) -> str:
    """Return a name that files and tables can bear.

    Args:
        value: The name.
        what: What it names, for the message.
        where: Its place.

    Returns:
        The same name.

    Raises:
        DataError: It could leave its folder or be misread in a table.
    """
    try:
        return home.legal_name(value)
    except ValueError:
        raise DataError(
            f"{value!r} cannot be the name of {what}", where=where, fix=home.NAME_RULE
        ) from None
