"""Figures for papers and slides: accuracy, effects, and every chart of the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from ragbench.analysis.family import OVER_TASKS
from ragbench.analysis.load import Run
from ragbench.analysis.panels.frontier import frontier
from ragbench.report.charts.drawing import COLUMN, Drawing, figure, height_in
from ragbench.report.charts.forest import ALL, Plot, pair_plots, plots, row_of, shortened, stacked
from ragbench.report.charts.spent import spent_plots
from ragbench.report.tables import coverage, percent

COLUMN_IN = 8.0  # height of a column, less a caption of some lines


def figures(
    run: Run, results: pd.DataFrame, effects: pd.DataFrame, drawings: Iterable[Drawing]
) -> Iterator[tuple[str, str]]:
    """Yield the name and the SVG of each figure, as wide as a column of a journal.

    They are accuracy by arm, each effect of single models with its averages over tasks, the
    effects of pairs, scores by all tokens, and one figure per further drawing of the
    page. Panels that are together taller than a column go on in a figure ``NAME 2``.
    """
    yield from _columns("accuracy", [_panel(run, results, task) for task in run.members("tasks")])
    for kind in effects.effect[effects.base == ""].unique():
        if drawn := plots(run, effects, str(kind), over_tasks=list(OVER_TASKS)):
            yield from _columns(f"effect {kind}", drawn)
    if drawn := pair_plots(run, effects):
        yield from _columns("effects of pairs", drawn)
    if drawn := spent_plots(run, frontier(run, results)):
        yield from _columns("accuracy by tokens", drawn)
    for drawing in drawings:
        if not isinstance(drawing, Plot):
            yield drawing.key, figure([drawing], COLUMN)


def _columns(name: str, drawings: Sequence[Drawing]) -> Iterator[tuple[str, str]]:
    """Yield figures of as many drawings as a column holds, at least one each."""
    parts: list[list[Drawing]] = [[]]
    for drawing in drawings:
        if parts[-1] and height_in([*parts[-1], drawing], COLUMN) > COLUMN_IN:
            parts.append([])
        parts[-1].append(drawing)
    for number, part in enumerate(parts, 1):
        yield name if number == 1 else f"{name} {number}", figure(part, COLUMN)


def accuracy(run: Run, results: pd.DataFrame) -> str:
    """Return the figure of the first metric by arm with its interval, one panel per task."""
    return figure([_panel(run, results, task) for task in run.members("tasks")])


def _panel(run: Run, results: pd.DataFrame, task: str) -> Plot:
    metric = run.metrics(task)[0]
    found = results[(results.task == task) & (results.metric == metric)]
    cells = {(row["model"], row["arm"]): row for row in found.to_dict(orient="records")}
    return stacked(
        key=f"accuracy-{run.members('tasks').index(task)}",
        title=f"{task}: {metric}",
        description=(
            f"One row per model and arm with its {coverage(run)} interval. A dashed line without "
            "a marker shows bounds, where answers are missing."
        ),
        unit=f"{coverage(run)} interval",
        groups={
            model: [
                row_of(cells[model, arm], "value", ALL, percent, shortened(arm), f"{model}, {arm}")
                for arm in run.arms(task)
            ]
            for model in run.members("models")
        },
        ticks=[(f"{tick:g} %", ALL.at(tick)) for tick in ALL.ticks()],
        zero=None,
    )
