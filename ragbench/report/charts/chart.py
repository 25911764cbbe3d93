"""The geometry of line charts: scores of several models along one axis.

Positions are percentages of the width and pixels from the top, so that a chart fits a phone
without its text shrinking.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ragbench.report.charts.drawing import Drawing
from ragbench.report.charts.forest import SHAPES, Scale, shortened
from ragbench.report.tables import between, percent

LEFT, RIGHT = 16.0, 92.0  # per cent of the width; tick labels are on the left
LEGEND_PX, SAID_PX, AREA_PX, FOOT_PX = 22, 16, 190, 34
LABELS_APART = 9.0  # per cent of the width that a tick's label takes on a phone
LONG, LABEL = 8, 26  # characters: from LONG on, a label at an end is written inwards
APART = 1.4  # per cent between the intervals of two series at one place
DASHES = ("solid", "dashed", "dotted", "dashdot")


@dataclass(frozen=True)
class Value:
    """A score from 0 to 1 with its interval, at a place of the axis below; NaN where missing.

    ``name`` appears in the tooltip, and ``mark`` beside the point.
    """

    x: float
    value: float
    low: float
    high: float
    name: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Point:
    """Position of a score; ``low`` and ``high`` are None where it has no interval."""

    x: float
    y: float
    low: float | None
    high: float | None
    text: str
    mark: str


@dataclass(frozen=True)
class Series:
    """The points of one model, with its marker, its dash and its line of the legend.

    Attributes:
        label: Name, shortened in the middle if it is long.
        said: Values that the legend shows; empty where it shows none.
        joined: Whether a line joins the points.
    """

    name: str
    label: str
    said: str
    legend: str
    shape: str
    dash: str
    legend_px: int
    points: list[Point]
    joined: bool


@dataclass(frozen=True)
class Chart(Drawing):
    """A line chart.

    Attributes:
        below: Title of the axis below.
        bottom: Label, per cent and anchor of the ticks below that there is room for.
        side: Label and pixels of the ticks on the left.
    """

    kind: ClassVar[str] = "chart"
    below: str
    series: list[Series]
    bottom: list[tuple[str, float, str]]
    side: list[tuple[str, float]]
    top_px: int
    base_px: int


def chart(
    key: str,
    title: str,
    description: str,
    lines: Mapping[str, Sequence[Value]],
    ticks: Sequence[tuple[str, float]],
    *,
    below: str = "",
    beside: Sequence[Value] = (),
    said: bool = False,
    scattered: Collection[str] = (),
    apart: bool = True,
) -> Chart | None:
    """Return a chart of values by series, or None where there is nothing to draw.

    ``ticks`` are labels and places of the axis below; ``beside`` are values of other charts that
    need the same scale; ``said`` puts the values into the legend. No line joins the points of the
    ``scattered`` series; ``apart`` keeps series at one place from hiding each other.
    """
    drawn = {n: [v for v in values if not math.isnan(v.value)] for n, values in lines.items()}
    drawn = {name: values for name, values in drawn.items() if values}
    if not drawn:
        return None
    ends = [
        {"estimate": v.value, "ci_low": v.low, "ci_high": v.high}
        for values in (*drawn.values(), beside)
        for v in values
    ]
    line_px = LEGEND_PX + (SAID_PX if said else 0)
    top = line_px * len(drawn) + 12
    scale = Scale.over(ends)
    axis = min(x for _, x in ticks), max(x for _, x in ticks)
    series = []
    for number, (name, values) in enumerate(drawn.items()):
        shift = APART * (number - (len(drawn) - 1) / 2) * apart
        points = [
            Point(
                x=round(_across(*axis, v.x) + shift, 4),
                y=_down(scale, v.value, top),
                low=None if math.isnan(v.low) else _down(scale, v.low, top),
                high=None if math.isnan(v.high) else _down(scale, v.high, top),
                text=f"{v.name + ': ' if v.name else ''}{percent(v.value)} "
                f"({between(v.low, v.high, percent)})",
                mark=v.mark,
            )
            for v in values
        ]
        legend = ", ".join(f"{v.name or _label(ticks, v.x)} {percent(v.value)}" for v in values)
        arrow = " \N{RIGHTWARDS ARROW} ".join(percent(v.value) for v in values)
        series.append(
            Series(
                name=name,
                label=shortened(name),
                said=(arrow if len(values) == len(ticks) else legend) if said else "",
                legend=legend,
                shape=SHAPES[number % len(SHAPES)],
                dash=DASHES[number % len(DASHES)],
                legend_px=line_px * number + 14,
                points=points,
                joined=name not in scattered,
            )
        )
    return Chart(
        key=key,
        title=title,
        description=description,
        below=below,
        series=series,
        bottom=list(_bottom(axis, ticks)),
        side=[(f"{tick:g} %", _down(scale, tick / 100, top)) for tick in scale.ticks()],
        top_px=top,
        base_px=top + AREA_PX,
        height_px=top + AREA_PX + FOOT_PX,
    )


def _bottom(
    axis: tuple[float, float], ticks: Sequence[tuple[str, float]]
) -> Iterator[tuple[str, float, str]]:
    """Yield the ticks whose labels do not run into the one before, nor out of the chart."""
    last = -LABELS_APART
    for label, value in sorted(ticks, key=lambda tick: tick[1]):
        x = _across(*axis, value)
        if x - last < LABELS_APART:
            continue
        last = x
        if len(label) <= LONG:
            yield label, x, "middle"
        elif x <= (LEFT + RIGHT) / 2:
            yield shortened(label, LABEL), LEFT - 4, "start"
        else:
            yield shortened(label, LABEL), RIGHT + 6, "end"


def _label(ticks: Sequence[tuple[str, float]], x: float) -> str:
    return next((label for label, at in ticks if at == x), f"{x:g}")


def _down(scale: Scale, value: float, top: int) -> float:
    """Return the pixels from the top of a value."""
    share = (100 * value - scale.low) / (scale.high - scale.low)
    return round(top + AREA_PX * (1 - share), 2)


def _across(low: float, high: float, x: float) -> float:
    """Return the per cent of the width of a place on the axis below."""
    span = (high - low) or 1.0
    return round(LEFT + (x - low) / span * (RIGHT - LEFT), 4)
