"""Shares as stacked bars: outcomes of cells, and what the gold passages of an arm did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from ragbench.analysis.load import Run
from ragbench.analysis.panels.evidence import BROKEN, KNOWN, NOT_FOUND, SHARE, UNUSED, USED
from ragbench.report.charts.drawing import Drawing
from ragbench.report.charts.forest import HEADING_CHARACTERS, shortened
from ragbench.report.tables import has_assumed, percent

TOP_PX, ROW_PX, FOOT_PX, KEY_PX = 8, 38, 30, 18
ROOM = 12.0  # per cent of the width under which a part has no room for its figure
# Parts of a bar from left to right; each has a fill that a print in black and white keeps.
SOLID, BLANK, BARS, HATCH, DOTS = "right", "wrong", "assumed", "no-answer", "failed"
OUTCOMES = {"right": SOLID, "wrong": BLANK, "assumed": BARS, "no answer": HATCH, "failed": DOTS}
EVIDENCE = {KNOWN: BARS, USED: SOLID, NOT_FOUND: BLANK, UNUSED: HATCH, BROKEN: DOTS}
# Where the legend has each part: per cent of the width, and line.
Places = Mapping[str, tuple[int, int]]
LEGEND: Places = {"right": (0, 0), "wrong": (22, 0), "no answer": (46, 0), "failed": (76, 0)}
WITH_ASSUMED: Places = {
    **{"right": (0, 0), "wrong": (16, 0), "assumed": (33, 0), "no answer": (54, 0)},
    "failed": (80, 0),
}
OF_EVIDENCE: Places = {
    **{KNOWN: (0, 0), USED: (50, 0), NOT_FOUND: (0, 1), UNUSED: (50, 1), BROKEN: (0, 2)}
}


@dataclass(frozen=True)
class Part:
    """A part of a bar, in per cent of the width; ``text`` is empty where it has no room.

    ``look`` is the class of its fill.
    """

    kind: str
    look: str
    start: float
    width: float
    text: str
    share: str


@dataclass(frozen=True)
class Bar:
    """A bar: a cell's parts under its label."""

    label: str
    name: str
    y_px: int
    parts: list[Part]


@dataclass(frozen=True)
class Key:
    """An entry of the legend, in per cent of the width and pixels from the top."""

    look: str
    x: int
    y_px: int


@dataclass(frozen=True)
class Bars(Drawing):
    """The bars of one task."""

    kind: ClassVar[str] = "shares"
    bars: list[Bar]
    legend: dict[str, Key]


def share_bars(run: Run) -> list[Bars]:
    """Return a bar per model and arm for every task whose answers are right or wrong."""
    made = []
    assumed = "of answers that were assumed, right or wrong, " if has_assumed(run) else ""
    for number, task in enumerate(run.members("tasks")):
        if run.metrics(task)[0] != "accuracy":
            continue
        cells = {
            f"{model}, {arm}": _outcomes(run.cell(model, task, arm))
            for model in run.members("models")
            for arm in run.arms(task)
        }
        description = (
            "One bar per model and arm, from left to right the shares of right and wrong answers, "
            f"{assumed}of replies without one (unparsed, refused, cut off), and of questions that "
            "failed. The table of outcomes holds the figures."
        )
        places = WITH_ASSUMED if has_assumed(run) else LEGEND
        title = f"Outcomes on {task}"
        made.append(_drawn(f"shares-{number}", title, description, cells, OUTCOMES, places))
    return made


def evidence_bars(run: Run, table: pd.DataFrame) -> list[Bars]:
    """Return a bar of the five shares per model and retrieval arm, one drawing per task.

    Controls have no bar, nor have cells with failed questions.
    """
    made = []
    arms = {arm.name for arm in run.config.arms if arm.control is None}
    shares = table[(table.kind == SHARE) & (table.status == "complete") & table.arm.isin(arms)]
    for number, (task, mine) in enumerate(shares.groupby("task", sort=False)):
        cells = {
            f"{model}, {arm}": dict(zip(cell.part, cell.value.astype(float), strict=True))
            for (model, arm), cell in mine.groupby(["model", "arm"], sort=False)
        }
        description = (
            "One bar per model and arm over the questions with known gold passages, from left to "
            "right the shares of those already known, found and used, not found, found and not "
            "used, and broken by context. The table holds the figures with their intervals."
        )
        title = f"What the gold passages did on {task}"
        made.append(_drawn(f"evidence-{number}", title, description, cells, EVIDENCE, OF_EVIDENCE))
    return made


def _drawn(
    key: str,
    title: str,
    description: str,
    cells: Mapping[str, Mapping[str, float]],
    looks: Mapping[str, str],
    places: Places,
) -> Bars:
    """Return a bar per cell with its shares, in the order of ``looks``, and a legend below."""
    bars = [
        Bar(
            shortened(name, HEADING_CHARACTERS),
            name,
            TOP_PX + ROW_PX * number,
            _parts(shares, looks),
        )
        for number, (name, shares) in enumerate(cells.items())
    ]
    lines = 1 + max(line for _, line in places.values())
    height_px = TOP_PX + ROW_PX * len(bars) + FOOT_PX + KEY_PX * (lines - 1)
    return Bars(
        key=key,
        title=title,
        description=description,
        height_px=height_px,
        bars=bars,
        legend={
            kind: Key(looks[kind], x, height_px - KEY_PX * (lines - line))
            for kind, (x, line) in places.items()
        },
    )


def _outcomes(cell: pd.DataFrame) -> dict[str, float]:
    counts = {
        "right": ((cell.outcome == "parsed") & (cell.accuracy == 1)).sum(),
        "wrong": ((cell.outcome == "parsed") & (cell.accuracy != 1)).sum(),
        "assumed": (cell.outcome == "assumed").sum(),
        "no answer": cell.outcome.isin(("unparsed", "refused", "truncated")).sum(),
        "failed": (cell.outcome == "error").sum(),
    }
    return {kind: int(count) / len(cell) for kind, count in counts.items()}


def _parts(shares: Mapping[str, float], looks: Mapping[str, str]) -> list[Part]:
    parts, start = [], 0.0
    for kind, look in looks.items():
        share = shares.get(kind, 0.0)
        if share:
            text = percent(share) if 100 * share >= ROOM else ""
            width = round(100 * share, 4)
            parts.append(Part(kind, look, round(start, 4), width, text, percent(share)))
        start += 100 * share
    return parts
