"""Lines of a table that fit a terminal: too wide ones are folded, and no column is left out."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise, zip_longest

GAP = "  "
# Parts of a bar: up to its interval, up to its value, up to the interval's end, and the end.
BLOCKS, ASCII = ("█", "▒", "─", "┤"), ("#", "=", "-", "|")
LEAST = 24  # columns that broken text is left with
NARROWEST = 20  # columns of a terminal; one that is narrower breaks the lines itself
Rows = Sequence[list[str]]


@dataclass(frozen=True, slots=True)
class _Part:
    """Some columns of a table as lines: those of the header, and those of each row."""

    above: list[str]
    rows: list[list[str]]


def table_lines(
    header: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None
) -> list[str]:
    """Return aligned lines, numbers to the right, within a width unless a single word is wider.

    A table that is too wide is folded step by step: columns with one value in all rows become lines
    above it, headers and the widest column are broken at spaces, the cells that lead several rows
    become a line over these, the other columns come in parts under each other with the row's name
    in each, and at last each row becomes a paragraph of ``name value`` pairs.

    Args:
        header: Names of the columns.
        rows: Cells, without line breaks.
        width: Columns of the terminal; None for lines of any width.
    """
    names, body = list(header), [list(row) for row in rows]
    if width is None or _width([names, *body]) <= width:
        part = _aligned([names], body, _widths([names, *body]))
        return [*part.above, *(line for lines in part.rows for line in lines)]
    width = max(width, NARROWEST)
    if not body:
        return wrapped(GAP.join(names), width)
    lines, names, body = _constants_first(names, body, width)
    cut = [[row[depth:] for row in [names, *body]] for depth in range(_depth(body) + 1)]
    tried = [_parts(*_split(table), width) for table in cut]
    depth = next((d for d, parts in enumerate(tried) if parts and len(parts) == 1), len(cut) - 1)
    parts = tried[depth]
    if parts is None:
        return [*lines, *(line for row in body for line in _paragraph(names, row, width))]
    start = 0
    for first, mine in groupby(body, lambda row: row[:depth]):
        end = start + len(list(mine))
        if depth:
            said = "; ".join(f"{n}: {cell}" for n, cell in zip(names, first, strict=False))
            lines += [*([""] if lines else []), *wrapped(said, width)]
        for place, part in enumerate(parts):
            above = part.above if len(parts) > 1 or start == 0 else []
            lines += [*([""] if place else []), *above]
            lines += [line for row in part.rows[start:end] for line in row]
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


def _parts(names: list[str], rows: Rows, width: int) -> list[_Part] | None:
    """Return parts of consecutive columns, each after the columns that name a row.

    A column that is too wide is narrowed; there are no parts where its words are too wide.
    """
    heads = _broken(names, rows)
    table = [*heads, *rows]
    widths, words = _widths(table), _words(table)
    key = next((k for k in range(1, 4) if _are_unique(rows, k)), 1)
    start = sum(widths[i] + len(GAP) for i in range(key))
    widest = max(range(len(widths)), key=widths.__getitem__)
    rest = width - (sum(widths) + len(GAP) * (len(widths) - 1) - widths[widest])
    fits = words[widest] <= rest or widest == len(widths) - 1  # at the end, a word may be wider
    if fits and LEAST <= rest < widths[widest]:
        widths[widest] = rest
    chosen: list[list[int]] = [[]]
    room = start
    for i in range(key, len(names)):
        if max(min(words[i], widths[i]), min(LEAST, widths[i])) > width - start:
            return None
        widths[i] = min(widths[i], width - start)
        if chosen[-1] and room + widths[i] > width:
            chosen.append([])
            room = start
        chosen[-1].append(i)
        room += widths[i] + len(GAP)
    found = []
    for part in chosen:
        kept = [*range(key), *part]
        above = [head for row in heads if any(head := [row[i] for i in kept])]
        mine = [[row[i] for i in kept] for row in rows]
        sizes = [widths[i] for i in kept]
        if sum(sizes) + len(GAP) * (len(sizes) - 1) > width:
            return None
        found.append(_aligned(above, mine, sizes))
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
    """Return a row as a line with its first cell, and under it the others, each after its name."""
    pairs = [f"{n} {cell}" for n, cell in zip(names[1:], row[1:], strict=True) if cell]
    lines, line = wrapped(f"{names[0]}: {row[0]}", width), ""
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


def _words(cells: Rows) -> list[int]:
    """Return the length of the longest word of each column."""
    return [
        max(len(word) for cell in column for word in cell.split() or [""])
        for column in zip(*cells, strict=True)
    ]


def _aligned(heads: Rows, body: Rows, widths: Sequence[int]) -> _Part:
    """Return lines of columns that are so wide; a longer cell is broken at spaces."""
    right = [bool(body) and all(_is_number(row[i]) for row in body) for i in range(len(widths))]

    def lines(row: list[str]) -> list[str]:
        broken = [
            textwrap.wrap(cell, size, break_on_hyphens=False, break_long_words=False)
            if len(cell) > size
            else [cell]
            for cell, size in zip(row, widths, strict=True)
        ]
        return [
            GAP.join(
                cell.rjust(size) if to_right else cell.ljust(size)
                for cell, size, to_right in zip(line, widths, right, strict=True)
            ).rstrip()
            for line in zip_longest(*broken, fillvalue="")
        ]

    return _Part([line for row in heads for line in lines(row)], [lines(row) for row in body])


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").removeprefix("-").removesuffix(" %").isdigit()
