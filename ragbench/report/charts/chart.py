"""The geometry of line charts: scores of several models along one axis.

Across, positions are percentages of the width, so that a chart fits a phone without its text
shrinking; down, they are pixels. ``chart.svg.j2`` draws them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ragbench.report.charts.forest import SHAPES, Scale, shortened
from ragbench.report.tables import between, percent

LEFT, RIGHT = 16.0, 92.0  # per cent of the width; tick labels stand on the left
LEGEND_PX, SAID_PX, AREA_PX, FOOT_PX = 22, 16, 190, 34
LABELS_APART = 9.0  # per cent of the width that a tick's label takes on a phone
LONG, LABEL = 8, 26  # characters: from LONG on, a label at an end is written inwards
APART = 1.4  # per cent between the intervals of two series at one place
DASHES = ("solid", "dashed", "dotted", "dashdot")


@dataclass(frozen=True)
class Value:
    """A score at a place: from 0 to 1, with the ends of its interval; NaN where there is none."""

    place: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Point:
    """Where a score is drawn; ``low`` and ``high`` are None where it has no interval."""

    x: float
    y: float
    low: float | None
    high: float | None
    text: str


@dataclass(frozen=True)
class Series:
    """The points of one model, with its marker, its dash and its line of the legend.

    Attributes:
        label: The name, shortened in the middle if it is long.
        said: Its values, if the legend is to hold them.
    """

    name: str
    label: str
    said: str
    legend: str
    shape: str
    dash: str
    legend_px: int
    points: list[Point]


@dataclass(frozen=True)
class Chart:
    """A chart: series, ticks below and on the left (label and pixels).

    Attributes:
        lines: What is drawn, by series; ``places`` are the ticks of the axis below.
        bottom: Label, per cent and anchor of the ticks below that there is room for.
    """

    key: str
    title: str
    description: str
    below: str
    lines: Mapping[str, Sequence[Value]]
    places: Sequence[tuple[str, float]]
    series: list[Series]
    bottom: list[tuple[str, float, str]]
    side: list[tuple[str, float]]
    top_px: int
    base_px: int
    height_px: int


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
) -> Chart | None:
    """Return a chart.

    Args:
        key: Of its elements' ids.
        title: What it shows.
        description: How to read it.
        lines: The values of each series, by name.
        ticks: Label and place of each tick of the axis below.
        below: What that axis is of.
        beside: Values of other charts that are to have the same scale.
        said: Whether the legend holds the values.

    Returns:
        The chart; None where there is nothing to draw.
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
    places = [place for _, place in ticks]
    line_px = LEGEND_PX + (SAID_PX if said else 0)
    top = line_px * len(drawn) + 12
    scale = Scale.over(ends)
    axis = min(places), max(places)
    series = []
    for number, (name, values) in enumerate(drawn.items()):
        shift = APART * (number - (len(drawn) - 1) / 2)
        points = [
            Point(
                x=round(_across(*axis, v.place) + shift, 4),
                y=_down(scale, v.value, top),
                low=None if math.isnan(v.low) else _down(scale, v.low, top),
                high=None if math.isnan(v.high) else _down(scale, v.high, top),
                text=f"{percent(v.value)} ({between(v.low, v.high, percent)})",
            )
            for v in values
        ]
        legend = ", ".join(f"{_label(ticks, v.place)} {percent(v.value)}" for v in values)
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
            )
        )
    return Chart(
        key=key,
        title=title,
        description=description,
        below=below,
        lines=drawn,
        places=ticks,
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
    for label, place in sorted(ticks, key=lambda tick: tick[1]):
        x = _across(*axis, place)
        if x - last < LABELS_APART:
            continue
        last = x
        if len(label) <= LONG:
            yield label, x, "middle"
        elif x <= (LEFT + RIGHT) / 2:
            yield shortened(label, LABEL), LEFT - 4, "start"
        else:
            yield shortened(label, LABEL), RIGHT + 6, "end"


def _label(ticks: Sequence[tuple[str, float]], place: float) -> str:
    return next((label for label, at in ticks if at == place), f"{place:g}")


def _down(scale: Scale, value: float, top: int) -> float:
    """Return the pixels from the top at which a value stands."""
    share = (100 * value - scale.low) / (scale.high - scale.low)
    return round(top + AREA_PX * (1 - share), 2)


def _across(low: float, high: float, place: float) -> float:
    """Return the per cent of the width at which a place stands."""
    span = (high - low) or 1.0
    return round(LEFT + (place - low) / span * (RIGHT - LEFT), 4)
