"""Checks of text and names in imported files."""

from __future__ import annotations

from ragbench.base import home
from ragbench.base.errors import DataError


def check_text(value: str, what: str, where: str) -> str:
    """Return ``value`` if a file can hold it; ``what`` names it in the message.

    Raises:
        DataError: It contains half of a surrogate pair.
    """
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise DataError(f"{what} contains half of a surrogate pair", where=where)
    return value


def check_label(value: str, what: str, where: str) -> str:
    """Return ``value`` if it can be a name in files and tables; ``what`` says of what.

    Raises:
        DataError: It could leave its folder or be misread in a table.
    """
    try:
        return home.legal_name(value)
    except ValueError:
        raise DataError(
            f"{value!r} cannot be the name of {what}", where=where, fix=home.NAME_RULE
        ) from None
