"""The geometry of the forest plots: one a task and effect, one row a model and arm.

Positions are percentages of the width, so that a plot fits a phone without its text shrinking;
``forest.svg.j2`` draws them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from ragbench.analysis.family import BASELINE, GAIN, HEADROOM, OF_PAIR, retrieval_arms
from ragbench.analysis.load import Run
from ragbench.base.pairs import pairs_of
from ragbench.report.tables import NONE, between, coverage, points

LEFT, RIGHT = 6.0, 94.0  # per cent of the width; tick labels need room at the ends
TOP_PX, HEADING_PX, ROW_PX = 8, 26, 38
STEPS_AT_MOST = 6
LEAST_POINTS = 2.0
SLACK = 1e-9
LABEL_CHARACTERS, HEADING_CHARACTERS = 30, 40  # a heading has its line to itself
# One shape a model, so that a print in black and white can be read. Drawn around (0, 0).
SHAPES = (
    "M-5,0 a5,5 0 1,0 10,0 a5,5 0 1,0 -10,0 Z",
    "M-4.5,-4.5 H4.5 V4.5 H-4.5 Z",
    "M0,-6.5 L6.5,0 L0,6.5 L-6.5,0 Z",
    "M0,-6 L6,5 L-6,5 Z",
    "M0,6 L6,-5 L-6,-5 Z",
)


@dataclass(frozen=True)
class Row:
    """One line of a plot; positions in per cent of the width, None where there is none.

    Attributes:
        label: What stands above the line; shortened in the middle if it is long.
        name: The label in full.
        text: The figures.
        y_px: The row's upper edge.
        shape: The marker's path.
        estimate: Where the marker stands.
        low: Where the line begins.
        high: Where it ends.
        bounds: Whether the line shows bounds of an incomplete cell, not an interval.
    """

    label: str
    name: str
    text: str
    y_px: int
    shape: str
    estimate: float | None
    low: float | None
    high: float | None
    bounds: bool


@dataclass(frozen=True)
class Plot:
    """A plot: rows, headings (text and height in pixels) and ticks (label and per cent)."""

    key: str
    title: str
    description: str
    rows: list[Row]
    headings: list[tuple[str, int]]
    ticks: list[tuple[str, float]]
    zero: float
    height_px: int


def plots(run: Run, effects: pd.DataFrame, kind: str) -> list[Plot]:
    """Return a plot for each task that has the effect, all to one scale.

    Args:
        run: The run.
        effects: Its effects.
        kind: A value of the column ``effect``.

    Returns:
        The plots in the order of the tasks.
    """
    found = effects[(effects.effect == kind) & (effects.stratum == "")]
    scale = Scale.over(found.to_dict(orient="records"))
    made = []
    for number, task in enumerate(run.members("tasks")):
        records = found[found.task == task].to_dict(orient="records")
        if records:
            key = f"{kind} {number}".replace(" ", "-")
            made.append(_plot(run, key, f"{kind} on {task}", records, scale))
    return made


def pair_plots(run: Run, effects: pd.DataFrame) -> list[Plot]:
    """Return a plot for each pair and task: the pair's effects with every retrieval arm.

    Args:
        run: The run.
        effects: Its effects.

    Returns:
        The plots in the order of pairs and tasks, all to one scale.
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
        _plot(run, key.replace(" ", "-"), title, records, scale, OF_PAIR)
        for key, title, records in chosen
        if records
    ]


def _plot(
    run: Run,
    key: str,
    title: str,
    records: Sequence[Any],
    scale: Scale,
    effects: Mapping[str, str] | None = None,
) -> Plot:
    """Return a plot whose headings are the models, or the effects where names are given."""
    groups = list(effects) if effects else run.members("models")
    rows: list[Row] = []
    headings: list[tuple[str, int]] = []
    y_px = TOP_PX
    for number, group in enumerate(groups):
        mine = [record for record in records if record["effect" if effects else "model"] == group]
        if mine:
            name = effects[group] if effects else group
            headings.append((shortened(name, HEADING_CHARACTERS), y_px))
            y_px += HEADING_PX
        for record in mine:
            row = _row(record, scale, y_px, SHAPES[number % len(SHAPES)])
            rows.append(replace(row, label=shortened(record["arm"])) if effects else row)
            y_px += ROW_PX
    description = (
        f"One row {'an effect' if effects else 'a model'} and arm: the estimate in points with "
        f"its {coverage(run)} interval; the upright line is zero. A dashed line without a "
        "marker shows bounds, where answers are lacking. The table below holds the same figures."
    )
    return Plot(
        key=key,
        title=title[:1].upper() + title[1:],
        description=description,
        rows=rows,
        headings=headings,
        ticks=[(f"{tick:+g}" if tick else "0", scale.at(tick)) for tick in scale.ticks()],
        zero=scale.at(0.0),
        height_px=y_px,
    )


def _row(record: Any, scale: Scale, y_px: int, shape: str) -> Row:
    arm, baseline = record["arm"], record["baseline"]
    more, less = (baseline, arm) if record["effect"] == HEADROOM else (arm, baseline)
    name = more if less == BASELINE else f"{more} less {less}"
    bounds = record["status"] == "incomplete"
    estimate, low, high = (
        None if math.isnan(record[key]) else scale.at(100 * record[key])
        for key in ("estimate", "ci_low", "ci_high")
    )
    interval = between(record["ci_low"], record["ci_high"], points)
    text = f"bounds {interval}" if bounds else f"{points(record['estimate'])} ({interval})"
    return Row(
        label=shortened(name),
        name=f"{record['model']}, {name}",
        text=NONE if low is None and estimate is None else text,
        y_px=y_px,
        shape=shape,
        estimate=estimate,
        low=low,
        high=high,
        bounds=bounds,
    )


def shortened(text: str, most: int = LABEL_CHARACTERS) -> str:
    """Return text of at most so many characters, its middle left out if it is longer."""
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
        # The small slack keeps a value that lies on a step there, whatever its last digit.
        ends = math.floor(low / step + SLACK), math.ceil(high / step - SLACK)
        return cls(ends[0] * step, ends[1] * step, step)

    def at(self, value: float) -> float:
        """Return where a value in points stands, in per cent to four decimals."""
        share = (value - self.low) / (self.high - self.low)
        return round(LEFT + share * (RIGHT - LEFT), 4)

    def ticks(self) -> Iterator[float]:
        """Yield the multiples of the step from end to end."""
        first, last = round(self.low / self.step), round(self.high / self.step)
        yield from (index * self.step for index in range(first, last + 1))


def _step(width: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that makes few enough steps."""
    power = 10.0 ** math.floor(math.log10(width / STEPS_AT_MOST))
    sizes = (power * size for size in (1, 2, 5, 10))
    return next(size for size in sizes if width / size <= STEPS_AT_MOST)
