"""The 2 x 2 of a pair as bars: each model closed-book and with retrieval, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ragbench.report.charts.drawing import Drawing
from ragbench.report.charts.forest import LABEL_CHARACTERS, shortened
from ragbench.report.tables import NONE, between, percent

HEADING_PX, ROW_PX, FOOT_PX, BETWEEN_PX = 24, 44, 22, 14
LEFT, RIGHT = 1.0, 97.0  # per cent of the width; the last tick's label needs room
TICKS = (0, 50, 100)
HEADING_CHARACTERS = 34  # in bold, within a card on a phone


@dataclass(frozen=True)
class Score:
    """A score from 0 to 1 with its interval, NaN where missing; ``filled`` fills its bar."""

    label: str
    value: float
    low: float
    high: float
    filled: bool


@dataclass(frozen=True)
class Bar:
    """A bar; positions in per cent of the width, None where there is none."""

    label: str
    text: str
    interval: str
    y_px: int
    width: float | None
    low: float | None
    high: float | None
    filled: bool


@dataclass(frozen=True)
class Square(Drawing):
    """Bars below the headings of the two models.

    Attributes:
        headings: Text and upper edge in pixels of each model.
        base_px: Lower edge of the bars.
        left: Per cent of the width where bars start.
        ticks: Label and per cent of each tick.
    """

    kind: ClassVar[str] = "square"
    headings: list[tuple[str, int]]
    bars: list[Bar]
    base_px: int
    left: float
    ticks: list[tuple[str, float]]


def square(key: str, title: str, description: str, scores: Mapping[str, Sequence[Score]]) -> Square:
    """Return the bars of scores by heading, on a scale from 0 to 100 %."""
    headings: list[tuple[str, int]] = []
    bars: list[Bar] = []
    y_px = 0
    for name, held in scores.items():
        headings.append((shortened(name, HEADING_CHARACTERS), y_px))
        y_px += HEADING_PX
        for score in held:
            bars.append(_bar(score, y_px))
            y_px += ROW_PX
        y_px += BETWEEN_PX
    return Square(
        key=key,
        title=title,
        description=description,
        headings=headings,
        bars=bars,
        base_px=y_px,
        left=LEFT,
        ticks=[(f"{tick} %" if tick else "0", _at(tick / 100)) for tick in TICKS],
        height_px=y_px + FOOT_PX,
    )


def _bar(score: Score, y_px: int) -> Bar:
    known = not math.isnan(score.value)
    return Bar(
        label=shortened(score.label, LABEL_CHARACTERS),
        text=percent(score.value) if known else NONE,
        interval=between(score.low, score.high, percent),
        y_px=y_px,
        width=round(_at(score.value) - LEFT, 4) if known else None,
        low=None if math.isnan(score.low) else _at(score.low),
        high=None if math.isnan(score.high) else _at(score.high),
        filled=score.filled,
    )


def _at(share: float) -> float:
    """Return the position of a share, in per cent of the width to four decimals."""
    return round(LEFT + share * (RIGHT - LEFT), 4)
