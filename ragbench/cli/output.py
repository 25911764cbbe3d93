"""The output of commands: JSON or plain aligned tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import click

from ragbench.base.errors import CONTROL, printable


def echo(text: str = "", *, err: bool = False, dim: bool = False) -> None:
    """Print a line; control characters in it are visible, and a terminal obeys none."""
    shown = printable(text)
    click.echo(click.style(shown, dim=True) if dim else shown, err=err)


def emit_json(value: object) -> None:
    """Print a value as indented JSON, in which control characters are escapes."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    click.echo(CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def emit_json_lines(values: Iterable[object]) -> None:
    """Print each value as JSON in a line of its own."""
    for value in values:
        text = json.dumps(value, ensure_ascii=False)
        click.echo(CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def emit_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a header and rows with aligned columns, numbers to the right."""
    header = [_cell(name) for name in header]
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(header), *cells]) for i in range(len(header))]
    right = [bool(cells) and all(_is_number(row[i]) for row in cells) for i in range(len(header))]
    for row in [list(header), *cells]:
        parts = (
            value.rjust(width) if to_right else value.ljust(width)
            for value, width, to_right in zip(row, widths, right, strict=True)
        )
        click.echo("  ".join(parts).rstrip())


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


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").removeprefix("-").removesuffix(" %").isdigit()


def size(n_bytes: float) -> str:
    """Return a number of bytes in readable units."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return ""
