"""The geometry of forest plots: one row with an estimate and its interval per model and arm.

Positions are percentages of the width, so that a plot fits a phone without its text shrinking.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pandas as pd

from ragbench.analysis.family import BASELINE, GAIN, HEADROOM, OF_PAIR, retrieval_arms
from ragbench.analysis.load import Run
from ragbench.report.charts.drawing import Drawing
from ragbench.report.tables import NONE, between, coverage, points
from ragbench.runfolder.pairs import pairs_of

LEFT, RIGHT = 6.0, 94.0  # per cent of the width; tick labels need room at the ends
TOP_PX, HEADING_PX, ROW_PX, FOOT_PX = 8, 26, 38, 30
STEPS_AT_MOST = 6
LEAST_POINTS = 2.0
SLACK = 1e-9
LABEL_CHARACTERS, HEADING_CHARACTERS = 30, 40  # a heading has its line to itself
# One shape per model, so that a print in black and white can be read. Drawn around (0, 0).
SHAPES = (
    "M-5,0 a5,5 0 1,0 10,0 a5,5 0 1,0 -10,0 Z",
    "M-4.5,-4.5 H4.5 V4.5 H-4.5 Z",
    "M0,-6.5 L6.5,0 L0,6.5 L-6.5,0 Z",
    "M0,-6 L6,5 L-6,5 Z",
    "M0,6 L6,-5 L-6,-5 Z",
)


@dataclass(frozen=True)
class Row:
    """One row of a plot; positions in per cent of the width, None where there is none.

    Attributes:
        label: Text above the line, shortened in the middle if it is long.
        name: Text in full, for the tooltip.
        text: Estimate and interval in figures.
        bounds: Whether the line shows bounds of an incomplete cell, not an interval.
        y_px: Upper edge.
        shape: Path of the marker.
    """

    label: str
    name: str
    text: str
    estimate: float | None
    low: float | None
    high: float | None
    bounds: bool
    y_px: int = 0
    shape: str = SHAPES[0]


@dataclass(frozen=True)
class Plot(Drawing):
    """A forest plot.

    Attributes:
        unit: What the axis counts.
        headings: Text and upper edge in pixels of each group of rows.
        ticks: Label and per cent of each tick.
        zero: Per cent of the upright line; None for no line.
        base_px: Lower edge of the rows.
    """

    kind: ClassVar[str] = "forest"
    unit: str
    rows: list[Row]
    headings: list[tuple[str, int]]
    ticks: list[tuple[str, float]]
    zero: float | None
    base_px: int

    @property
    def caption(self) -> str:
        """The text above the plot: title, unit, and what dashed lines are if there are any."""
        dashed = any(row.bounds for row in self.rows)
        return f"{self.title}, {self.unit}" + "; dashed: bounds, answers are missing" * dashed


def plots(
    run: Run, effects: pd.DataFrame, kind: str, *, over_tasks: Sequence[str] = ()
) -> list[Plot]:
    """Return a plot of one kind of effect for each task that has it, all to one scale.

    ``over_tasks`` names the averages over tasks that get a plot as well.
    """
    found = effects[(effects.effect == kind) & (effects.stratum == "")]
    scale = Scale.over(found.to_dict(orient="records"))
    made = []
    for number, task in enumerate([*run.members("tasks"), *over_tasks]):
        records = found[found.task == task].to_dict(orient="records")
        if records:
            key = f"{kind} {number}".replace(" ", "-")
            made.append(_effects(run, key, f"{kind} on {task}", records, scale))
    return made


def pair_plots(run: Run, effects: pd.DataFrame) -> list[Plot]:
    """Return a plot for each pair and task, of its effects with every retrieval arm.

    All plots have one scale.
    """
    pairs = pairs_of(run.config.bases())
    chosen = []
    for number, pair in enumerate(pairs):
        for place, task in enumerate(run.members("tasks")):
            found = effects[(effects.task == task) & (effects.stratum == "")]
            mine = found[(found.model == pair.biomedical) & (found.base == pair.general)]
            base = found[(found.model == pair.general) & (found.base == "")]
            arms = [BASELINE, *retrieval_arms(run, task)]
            both = pd.concat([base[base.effect == GAIN], mine])
            records = both[both.arm.isin(arms)].to_dict(orient="records")
            chosen.append((f"pair {number} {place}", f"{pair} on {task}", records))
    scale = Scale.over([record for *_, records in chosen for record in records])
    return [
        _effects(run, key.replace(" ", "-"), title, records, scale, OF_PAIR)
        for key, title, records in chosen
        if records
    ]


def _effects(
    run: Run,
    key: str,
    title: str,
    records: Sequence[Any],
    scale: Scale,
    names: Mapping[str, str] | None = None,
) -> Plot:
    """Return a plot whose headings are the models, or the effects where their names are given."""
    groups: dict[str, list[Row]] = {}
    for group in names or run.members("models"):
        mine = [record for record in records if record["effect" if names else "model"] == group]
        groups[names[group] if names else group] = [
            row_of(record, "estimate", scale, points, *_labels(record, short=bool(names)))
            for record in mine
        ]
    description = (
        f"One row per {'effect' if names else 'model'} and arm: the estimate in points with "
        f"its {coverage(run)} interval; the upright line is zero. A dashed line without a "
        "marker shows bounds, where answers are missing. The table below holds the same figures."
    )
    ticks = [(f"{tick:+g}" if tick else "0", scale.at(tick)) for tick in scale.ticks()]
    if not names:  # a pair's title starts with the name of a model
        title = title[:1].upper() + title[1:]
    return stacked(key, title, description, "points", groups, ticks, scale.at(0.0))


def _labels(record: Any, *, short: bool) -> tuple[str, str]:
    """Return the label of an effect's row and its name in full."""
    arm, baseline = record["arm"], record["baseline"]
    more, less = (baseline, arm) if record["effect"] in HEADROOM else (arm, baseline)
    name = more if less == BASELINE else f"{more} less {less}"
    return shortened(arm if short else name), f"{record['model']}, {name}"


def stacked(
    key: str,
    title: str,
    description: str,
    unit: str,
    groups: Mapping[str, Sequence[Row]],
    ticks: list[tuple[str, float]],
    zero: float | None,
) -> Plot:
    """Return a plot of rows below the headings of their groups; a group without rows has none."""
    rows: list[Row] = []
    headings: list[tuple[str, int]] = []
    y_px = TOP_PX
    for number, (name, members) in enumerate(groups.items()):
        if members:
            headings.append((shortened(name, HEADING_CHARACTERS), y_px))
            y_px += HEADING_PX
        for member in members:
            rows.append(replace(member, y_px=y_px, shape=SHAPES[number % len(SHAPES)]))
            y_px += ROW_PX
    return Plot(
        key=key,
        title=title,
        description=description,
        unit=unit,
        rows=rows,
        headings=headings,
        ticks=ticks,
        zero=zero,
        base_px=y_px,
        height_px=y_px + FOOT_PX,
    )


def row_of(
    record: Any, value: str, scale: Scale, shown: Callable[[float], str], label: str, name: str
) -> Row:
    """Return the row of a record; an incomplete one has bounds and no marker.

    ``value`` is the record's key of the estimate, and ``shown`` writes a number.
    """
    bounds = record["status"] == "incomplete"
    keys = (value, "ci_low", "ci_high")
    estimate, low, high = (
        None if math.isnan(record[key]) else scale.at(100 * record[key]) for key in keys
    )
    interval = between(record["ci_low"], record["ci_high"], shown)
    text = f"bounds {interval}" if bounds else f"{shown(record[value])} ({interval})"
    return Row(
        label=label,
        name=name,
        text=NONE if low is None and estimate is None else text,
        estimate=None if bounds else estimate,
        low=low,
        high=high,
        bounds=bounds,
    )


def shortened(text: str, most: int = LABEL_CHARACTERS) -> str:
    """Return text of at most so many characters, with the middle left out if it is longer."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - half + 1 :]}"


@dataclass(frozen=True)
class Scale:
    """A linear scale from points to per cent of the width; it holds zero."""

    low: float
    high: float
    step: float

    @classmethod
    def over(cls, records: Sequence[Any]) -> Scale:
        """Return the scale that holds every estimate and interval, rounded outwards."""
        keys = ("estimate", "ci_low", "ci_high")
        values = [100 * record[key] for record in records for key in keys]
        held = [0.0, *(value for value in values if not math.isnan(value))]
        low, high = min(held), max(held)
        if high - low < LEAST_POINTS:
            low, high = low - LEAST_POINTS / 2, high + LEAST_POINTS / 2
        step = _step(high - low)
        # The small slack keeps a value on its step, whatever its last digit.
        ends = math.floor(low / step + SLACK), math.ceil(high / step - SLACK)
        return cls(ends[0] * step, ends[1] * step, step)

    def at(self, value: float) -> float:
        """Return the position of a value in points, in per cent to four decimals."""
        share = (value - self.low) / (self.high - self.low)
        return round(LEFT + share * (RIGHT - LEFT), 4)

    def ticks(self) -> Iterator[float]:
        """Yield the multiples of the step from end to end."""
        first, last = round(self.low / self.step), round(self.high / self.step)
        yield from (index * self.step for index in range(first, last + 1))


ALL = Scale(0, 100, 20)  # of a rate


def _step(width: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that makes few enough steps."""
    power = 10.0 ** math.floor(math.log10(width / STEPS_AT_MOST))
    sizes = (power * size for size in (1, 2, 5, 10))
    return next(size for size in sizes if width / size <= STEPS_AT_MOST)
