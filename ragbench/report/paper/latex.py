r"""A small table as LaTeX: the package booktabs, and the width of a column.

The type is ``\footnotesize`` (8 pt in a class of 10 pt), an interval ``\scriptsize`` below its
estimate. Columns of figures are as wide as their figures; the first column takes the rest of
``\columnwidth``, and its texts break into lines. So a table is never wider than its column.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ragbench.report.paper.escapes import UNBROKEN, breakable, escaped

MOST_COLUMNS, MOST_ROWS = 7, 24
SEP_PT = 2.5
# Width of a digit: 0.53 em of 8 pt and 0.57 em of 7 pt; of a letter, with some room.
CHARACTER_PT, SMALL_PT, LETTER_PT = 4.4, 4.0, 4.8
LEAST_PT = 10.0


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure, and what is below it in small type: its interval."""

    text: str
    below: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under one heading: the name of a row and its figures."""

    heading: str
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


@dataclass(frozen=True, slots=True)
class Small:
    """A small table.

    Attributes:
        key: Name of its file, and of its label.
        caption: What it shows, with everything that a reader needs to read it.
        columns: Header of each column of figures.
        groups: Rows by heading.
    """

    key: str
    caption: str
    columns: tuple[str, ...]
    groups: tuple[Group, ...]


def split(table: Small) -> Iterator[Small]:
    """Yield a table in parts of at most MOST_ROWS rows, but for a group that has more itself."""
    parts: list[list[Group]] = []
    for group in table.groups:
        rows = sum(len(other.rows) for other in parts[-1]) if parts else MOST_ROWS
        if rows + len(group.rows) > MOST_ROWS:
            parts.append([])
        parts[-1].append(group)
    for number, groups in enumerate(parts, 1):
        first = number == 1
        yield replace(
            table,
            key=table.key if first else f"{table.key}-{number}",
            caption=table.caption if first else f"{table.caption} (continued)",
            groups=tuple(groups),
        )


def latex(table: Small) -> str:
    r"""Return a ``table`` environment that fits ``\columnwidth``, with every text escaped."""
    widths = [math.ceil(_width(table, place)) for place in range(len(table.columns))]
    taken = math.ceil(sum(widths) + 2 * SEP_PT * len(widths))
    columns = "".join(f"p{{{width}pt}}" for width in widths)
    first = rf"p{{\dimexpr\columnwidth-{taken}pt\relax}}"
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}[htbp]",
        r"\centering\footnotesize",
        rf"\setlength{{\tabcolsep}}{{{SEP_PT}pt}}\setlength{{\abovetopsep}}{{3pt}}",
        rf"\caption{{{breakable(table.caption)}}}",
        rf"\label{{tab:{table.key}}}",
        rf"\begin{{tabular}}{{@{{}}{first}{columns}@{{}}}}",
        r"\toprule",
        _row("", [rf"\raggedleft\hspace{{0pt}}{breakable(name)}" for name in table.columns]),
    ]
    for group in table.groups:
        span = len(table.columns) + 1
        lines.append(r"\midrule")
        if group.heading:
            heading = rf"\raggedright\itshape\hspace{{0pt}}{breakable(group.heading)}"
            lines.append(
                rf"\multicolumn{{{span}}}{{@{{}}p{{\columnwidth}}@{{}}}}{{{heading}}}\tabularnewline"
            )
        rows = (_row(name, list(map(_figure, cells))) for name, cells in group.rows)
        lines.append((r"\addlinespace[1.5pt]" + "\n").join(f"{row}\n" for row in rows).rstrip())
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _row(name: str, cells: Sequence[str]) -> str:
    shown = rf"\raggedright\hspace{{0pt}}{breakable(name)}" if name else ""
    return " & ".join([shown, *cells]) + r" \tabularnewline"


def _figure(cell: Cell) -> str:
    below = rf"\\{{\scriptsize {escaped(cell.below)}}}" if cell.below else ""
    return rf"\raggedleft {escaped(cell.text)}{below}"


def _width(table: Small, place: int) -> float:
    """Return the width of a column of figures in points; words of its header may break."""
    cells = [cells[place] for group in table.groups for _, cells in group.rows]
    words = [word for name in table.columns[place].split() for word in name.split("-")]
    sizes = [CHARACTER_PT * len(cell.text) for cell in cells]
    sizes += [SMALL_PT * len(cell.below) for cell in cells]
    return max([LEAST_PT, *sizes, *(LETTER_PT * min(len(word), UNBROKEN) for word in words)])
