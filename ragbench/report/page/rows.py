"""Tables as the page shows them: primary rows first, and nothing said twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ragbench.analysis.family import BASELINE, MACRO, OVER_TASKS, primary_arm, primary_of
from ragbench.analysis.load import Run
from ragbench.report.sections import Table
from ragbench.report.tables import NONE, task_label

Kind = Literal["primary", "other", "average"]
ORDER: tuple[Kind, ...] = ("primary", "other", "average")
FEW = 3  # rows: a smaller table keeps every column


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        kind: ``primary`` for what the verdict is of, ``average`` for an average over tasks other
            than ``(macro)``, which a reader sees on demand.
    """

    kind: Kind
    cells: list[str]


@dataclass(frozen=True)
class Shown:
    """A table of the page.

    Attributes:
        caption: What it shows.
        header: Names of its columns.
        naming: Number of leading columns that name the row.
        rows: Primary rows, then the others, each in the order of the run.
        same: Name and value of each column that is left out because all its rows agree.
        empty: Names of the columns that are left out because they have no value.
    """

    caption: str
    header: list[str]
    naming: int
    rows: list[Row]
    same: list[tuple[str, str]]
    empty: list[str]


def shown(run: Run, table: Table) -> Shown:
    """Return a table with its primary rows first, without the columns that say nothing."""
    rows = [Row(_kind(run, dict(zip(table.header, r, strict=True))), r) for r in table.rows]
    rows.sort(key=lambda row: ORDER.index(row.kind))
    same: list[tuple[str, str]] = []
    empty: list[str] = []
    kept: list[int] = []
    for place, name in enumerate(table.header):
        values = {row.cells[place] for row in rows}
        if len(rows) < FEW or len(values) > 2:
            kept.append(place)
        elif values <= {NONE, ""}:
            empty.append(name)
        elif len(values) == 1 and (place < table.naming or name == "n"):
            same.append((name, values.pop()))
        else:
            kept.append(place)
    return Shown(
        caption=table.caption,
        header=[table.header[place] for place in kept],
        naming=sum(place < table.naming for place in kept),
        rows=[Row(row.kind, [row.cells[place] for place in kept]) for row in rows],
        same=same,
        empty=empty,
    )


def _kind(run: Run, cells: Mapping[str, str]) -> Kind:
    """Return the kind of a row by its names; a column that it lacks decides nothing."""
    tasks = {task_label(run, task): task for task in run.members("tasks")}
    task = tasks.get(cells.get("task", ""), cells.get("task", ""))
    if task in OVER_TASKS and task != MACRO:
        return "average"
    arm = cells.get("arm")
    if arm is None or task not in (*tasks.values(), MACRO):
        return "other"
    of_whole = cells.get("stratum", "all") == "all"
    if not of_whole or cells.get("effect", "") not in ("", *primary_of(run).effects):
        return "other"
    return "primary" if arm in (BASELINE, primary_arm(run, task)) else "other"
