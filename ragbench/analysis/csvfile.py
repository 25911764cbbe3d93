"""Tables as CSV that a spreadsheet may open: no cell is a formula."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from ragbench.base.files import atomic_file

NUMBER = r"[+-]?[0-9][0-9.,]*(?: ?%)?"
FIGURE = re.compile(rf"{NUMBER}(?: to {NUMBER})?")  # as ragbench writes numbers and intervals
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_csv(table: pd.DataFrame, path: Path, *, float_format: str | None = "%.10g") -> None:
    """Write a table as CSV with a header; names and texts that begin like a formula are quoted."""
    columns = [
        column
        if pd.api.types.is_numeric_dtype(column)
        else column.astype(object).map(quoted, na_action="ignore")
        for _, column in table.items()  # two columns may have one name
    ]
    safe = pd.concat(columns, axis=1) if columns else table
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as handle:
        safe.to_csv(
            handle,
            index=False,
            header=[str(quoted(name)) for name in table.columns],
            float_format=float_format,
            lineterminator="\n",
        )


def quoted(value: object) -> object:
    """Return a cell, with an apostrophe before a text that a spreadsheet would compute.

    A number stays a number; an interval such as ``-1 to +3`` and the ``-`` of an empty cell stay.

    >>> [quoted(cell) for cell in ("=1+1", "-1.5", "-1 to +3", "-1+3", "-", -2)]
    ["'=1+1", '-1.5', '-1 to +3', "'-1+3", '-', -2]
    """
    if not isinstance(value, str) or not value.startswith(FORMULA) or value == "-":
        return value
    if FIGURE.fullmatch(value):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return f"'{value}" if value != value.strip() else value
