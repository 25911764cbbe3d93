"""Figures for papers and slides: accuracy, effects, and every chart of the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pandas as pd

from ragbench.analysis.family import OVER_TASKS
from ragbench.analysis.load import Run
from ragbench.report.charts.drawing import Drawing, figure
from ragbench.report.charts.forest import Plot, Scale, pair_plots, plots, row_of, shortened, stacked
from ragbench.report.tables import coverage, percent

ALL = Scale(0, 100, 20)


def figures(
    run: Run, results: pd.DataFrame, effects: pd.DataFrame, drawings: Iterable[Drawing]
) -> Iterator[tuple[str, str]]:
    """Yield the name and the SVG of each figure.

    They are accuracy by arm, each effect of single models with its averages over tasks, the
    effects of pairs, and one figure per further drawing of the page.
    """
    yield "accuracy", accuracy(run, results)
    for kind in effects.effect[effects.base == ""].unique():
        if drawn := plots(run, effects, str(kind), over_tasks=list(OVER_TASKS)):
            yield f"effect {kind}", figure(drawn)
    if drawn := pair_plots(run, effects):
        yield "effects of pairs", figure(drawn)
    for drawing in drawings:
        if not isinstance(drawing, Plot):
            yield drawing.key, figure([drawing])


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
