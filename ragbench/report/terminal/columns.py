"""Lines of a table that fit a terminal: too wide ones are folded, and no column is left out."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import groupby, pairwise, zip_longest

GAP = "  "
# Parts of a bar: up to its interval, up to its value, up to the interval's end, and the end.
BLOCKS, ASCII = ("█", "▒", "─", "┤"), ("#", "=", "-", "|")
NARROWEST = 20  # columns of a terminal; one that is narrower breaks the lines itself
Rows = Sequence[list[str]]


def table_lines(
    header: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None
) -> list[str]:
    """Return aligned lines, numbers to the right, within a width unless a single word is wider.

    A table that is too wide is folded step by step: columns with one value in all rows become lines
    above it, headers are broken at spaces, the cells that lead several rows become a line over
    these, the other columns come in parts under each other with the row's name in each, and at last
    each row becomes a paragraph of ``name value`` pairs.

    Args:
        header: Names of the columns.
        rows: Cells, without line breaks.
        width: Columns of the terminal; None for lines of any width.
    """
    names, body = list(header), [list(row) for row in rows]
    if width is None or _width([names, *body]) <= width:
        return _aligned([names], body)
    width = max(width, NARROWEST)
    lines, names, body = _constants_first(names, body, width)
    depths = range(_depth(body) + 1)
    cut = [[row[depth:] for row in [names, *body]] for depth in depths]
    fits = (d for d in depths if _width([*_broken(*_split(cut[d])), *cut[d][1:]]) <= width)
    depth = next(fits, depths[-1])
    parts = _parts(*_split(cut[depth]), width)
    if parts is None:
        return [*lines, *(line for row in body for line in _paragraph(names, row, width))]
    laid = [(len(heads), _aligned(heads, rows)) for heads, rows in parts]
    start = 0
    for first, mine in groupby(body, lambda row: row[:depth]):
        end = start + len(list(mine))
        if depth:
            said = "; ".join(f"{n}: {cell}" for n, cell in zip(names, first, strict=False))
            lines += [*([""] if lines else []), *wrapped(said, width)]
        for place, (high, text) in enumerate(laid):
            above = text[:high] if len(parts) > 1 or start == 0 else []
            lines += [*([""] if place else []), *above, *text[high + start : high + end]]
        start = end
    return lines


def _split(table: Rows) -> tuple[list[str], Rows]:
    return table[0], table[1:]


def _depth(body: Rows) -> int:
    """Return how many leading columns each name two rows or more on average."""
    found = 0
    while body and found + 2 < len(body[0]):
        groups = len(list(groupby(row[: found + 1] for row in body)))
        if 2 * groups > len(body):
            break
        found += 1
    return found


def _parts(names: list[str], rows: Rows, width: int) -> list[tuple[Rows, Rows]] | None:
    """Return tables of consecutive columns, each after the columns that name a row.

    Returns:
        The lines of the header, and the rows, of each; None where one is too wide.
    """
    heads = _broken(names, rows)
    widths = _widths([*heads, *rows])
    key = next((k for k in range(1, 4) if _are_unique(rows, k)), 1)
    start = sum(widths[i] + len(GAP) for i in range(key))
    chosen: list[list[int]] = [[]]
    room = start
    for i in range(key, len(names)):
        if chosen[-1] and room + widths[i] > width:
            chosen.append([])
            room = start
        chosen[-1].append(i)
        room += widths[i] + len(GAP)
    found: list[tuple[Rows, Rows]] = []
    for part in chosen:
        kept = [*range(key), *part]
        mine = [[row[i] for i in kept] for row in rows]
        above = [head for row in heads if any(head := [row[i] for i in kept])]
        if _width([*above, *mine]) > width:
            return None
        found.append((above, mine))
    return found


def _are_unique(rows: Rows, k: int) -> bool:
    """Return whether no two rows beside each other have the same first cells."""
    return all(one[:k] != other[:k] for one, other in pairwise(rows))


def wrapped(text: str, width: int, mark: str = "") -> list[str]:
    """Return lines of a text, the first after a mark and the others under the text."""
    return textwrap.wrap(
        text,
        max(width, NARROWEST),
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_on_hyphens=False,
        break_long_words=False,
    ) or [mark]


def _constants_first(
    names: list[str], body: list[list[str]], width: int
) -> tuple[list[str], list[str], list[list[str]]]:
    """Return lines with the columns that have one value in all rows, and the table without them."""
    same = [i for i in range(len(names)) if len({row[i] for row in body}) == 1]
    if len(body) < 2 or len(same) == len(names):
        return [], names, body
    lines = [part for i in same for part in wrapped(f"{names[i]}: {body[0][i]}", width)]
    kept = [i for i in range(len(names)) if i not in same]
    return lines, [names[i] for i in kept], [[row[i] for i in kept] for row in body]


def _paragraph(names: list[str], row: list[str], width: int) -> list[str]:
    """Return a row as its first cell and, under it, every other one after its name."""
    pairs = [f"{name} {cell}".rstrip() for name, cell in zip(names[1:], row[1:], strict=True)]
    lines, line = wrapped(row[0], width), ""
    for pair in pairs:
        if line and len(f"  {line}; {pair};") > width:
            lines += wrapped(f"{line};", width, "  ")
            line = ""
        line = f"{line}; {pair}" if line else pair
    return [*lines, *wrapped(line, width, "  ")] if line else lines


def _broken(names: list[str], rows: Rows) -> list[list[str]]:
    """Return a header in lines that are no wider than its cells or its longest word."""
    cells = _widths([["" for _ in names], *rows])
    texts = [
        textwrap.wrap(name, max(size, *map(len, name.split() or [""])), break_long_words=False)
        for name, size in zip(names, cells, strict=True)
    ]
    lines = zip_longest(*(text[::-1] for text in texts), fillvalue="")
    return [list(line) for line in lines][::-1]


def _widths(cells: Rows) -> list[int]:
    return [max(map(len, column)) for column in zip(*cells, strict=True)]


def _width(cells: Rows) -> int:
    widths = _widths(cells)
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _aligned(heads: Rows, body: Rows) -> list[str]:
    widths = _widths([*heads, *body])
    right = [bool(body) and all(_is_number(row[i]) for row in body) for i in range(len(widths))]
    return [
        GAP.join(
            cell.rjust(size) if to_right else cell.ljust(size)
            for cell, size, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in [*heads, *body]
    ]


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").removeprefix("-").removesuffix(" %").isdigit()
