"""The output of commands: JSON or plain aligned tables."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence

import click

from ragbench.base.errors import CONTROL, printable
from ragbench.report.terminal.columns import BLOCKS, table_lines


def echo(text: str = "", *, err: bool = False, dim: bool = False) -> None:
    """Print a line; control characters in it are visible, and a terminal obeys none."""
    shown = printable(text)
    click.echo(click.style(shown, dim=True) if dim else shown, err=err)


def emit_json(value: object) -> None:
    """Print a value as indented JSON, in which control characters are escapes."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    click.echo(CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def emit_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a header and rows with aligned columns, folded where the terminal is narrower."""
    cells = [[_cell(value) for value in row] for row in rows]
    for line in table_lines([_cell(name) for name in header], cells, terminal_width()):
        click.echo(line)


def terminal_width() -> int | None:
    """Return the columns of the terminal; None for a pipe or a file unless COLUMNS is set."""
    if os.environ.get("COLUMNS", "").isdecimal() or sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return None


def draws_blocks() -> bool:
    """Return whether the encoding of standard output has the characters of bars."""
    try:
        "".join(BLOCKS).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _cell(value: object) -> str:
    """Return a cell in one line."""
    return printable(str(value)).replace("\n", "\\n").replace("\t", "\\t")


def mapping(given: Sequence[str], option: str) -> dict[str, str]:
    """Return the values A=B of a repeatable option as {A: B}."""
    found = {}
    for text in given:
        mine, sign, theirs = text.partition("=")
        if not (mine and sign and theirs):
            raise click.UsageError(f"{option} takes A=B, not {text!r}")
        found[mine] = theirs
    return found


def size(n_bytes: float) -> str:
    """Return a number of bytes in readable units."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return ""
