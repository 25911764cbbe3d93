"""Shares of outcomes as stacked bars: right, wrong, assumed, without an answer, failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from ragbench.analysis.load import Run
from ragbench.report.charts.drawing import Drawing
from ragbench.report.charts.forest import HEADING_CHARACTERS, shortened
from ragbench.report.tables import has_assumed, percent

TOP_PX, ROW_PX, FOOT_PX = 8, 38, 30
ROOM = 12.0  # per cent of the width under which a part has no room for its figure
# Kinds of parts, and where the legend has each, in per cent of the width.
LEGEND = {"right": 0, "wrong": 22, "no answer": 46, "failed": 76}
WITH_ASSUMED = {"right": 0, "wrong": 16, "assumed": 33, "no answer": 54, "failed": 80}


@dataclass(frozen=True)
class Part:
    """A part of a bar, in per cent of the width; ``text`` is empty where it has no room."""

    kind: str
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
class Bars(Drawing):
    """The bars of one task."""

    kind: ClassVar[str] = "shares"
    bars: list[Bar]
    legend: dict[str, int]


def share_bars(run: Run) -> list[Bars]:
    """Return a bar per model and arm for every task whose answers are right or wrong."""
    made = []
    legend = WITH_ASSUMED if has_assumed(run) else LEGEND
    assumed = "of answers that were assumed, right or wrong, " if has_assumed(run) else ""
    for number, task in enumerate(run.members("tasks")):
        if run.metrics(task)[0] != "accuracy":
            continue
        bars: list[Bar] = []
        for model in run.members("models"):
            for arm in run.arms(task):
                name = f"{model}, {arm}"
                label, y_px = shortened(name, HEADING_CHARACTERS), TOP_PX + ROW_PX * len(bars)
                bars.append(Bar(label, name, y_px, _parts(run.cell(model, task, arm))))
        description = (
            "One bar per model and arm, from left to right the shares of right and wrong answers, "
            f"{assumed}of replies without one (unparsed, refused, cut off), and of questions that "
            "failed. The table of outcomes holds the figures."
        )
        made.append(
            Bars(
                key=f"shares-{number}",
                title=f"Outcomes on {task}",
                description=description,
                height_px=TOP_PX + ROW_PX * len(bars) + FOOT_PX,
                bars=bars,
                legend=legend,
            )
        )
    return made


def _parts(cell: pd.DataFrame) -> list[Part]:
    counts = {
        "right": ((cell.outcome == "parsed") & (cell.accuracy == 1)).sum(),
        "wrong": ((cell.outcome == "parsed") & (cell.accuracy != 1)).sum(),
        "assumed": (cell.outcome == "assumed").sum(),
        "no answer": cell.outcome.isin(("unparsed", "refused", "truncated")).sum(),
        "failed": (cell.outcome == "error").sum(),
    }
    parts, start = [], 0.0
    for kind in WITH_ASSUMED:
        share = int(counts[kind]) / len(cell)
        if share:
            text = percent(share) if 100 * share >= ROOM else ""
            width = round(100 * share, 4)
            parts.append(Part(kind, round(start, 4), width, text, percent(share)))
        start += 100 * share
    return parts
