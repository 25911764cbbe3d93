"""Accuracy by arm, with its interval, as one figure."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ragbench.analysis.load import Run
from ragbench.files import atomic_file
from ragbench.report.tables import coverage

MARKERS = "osD^v<>P*X"


def draw(run: Run, results: pd.DataFrame, path: Path) -> None:
    """Write the figure as SVG: a panel a task, a row an arm, a marker a model.

    Args:
        run: The run.
        results: Its results table.
        path: The file.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    tasks, models = run.members("tasks"), run.members("models")
    most = max(len(run.arms(task)) for task in tasks)
    height = 1.2 + 0.35 * most * max(1, len(models) / 2)
    figure = Figure(figsize=(7, height * len(tasks)), layout="constrained")
    FigureCanvasSVG(figure)
    panels = figure.subplots(len(tasks), 1, squeeze=False)
    for panel, task in zip(panels[:, 0], tasks, strict=True):
        arms = run.arms(task)
        for place, model in enumerate(models):
            rows = results[
                (results.model == model)
                & (results.task == task)
                & (results.metric == run.metrics(task)[0])
            ].set_index("arm")
            shift = 0.25 * (place - (len(models) - 1) / 2)
            heights = [len(arms) - 1 - index + shift for index in range(len(arms))]
            percents = rows.loc[arms, ["value", "ci_low", "ci_high"]].to_numpy(dtype=float) * 100
            values, low, high = percents.T
            panel.errorbar(
                values,
                heights,
                xerr=[values - low, high - values],
                fmt=MARKERS[place % len(MARKERS)],
                capsize=3,
                label=model,
            )
        panel.set_yticks(range(len(arms)), list(reversed(arms)))
        panel.set_xlim(0, 100)
        panel.set_ylim(-0.6, len(arms) - 0.4)
        panel.set_xlabel(f"{run.metrics(task)[0]} (%), {coverage(run)} interval")
        panel.set_title(task)
        panel.grid(axis="x", alpha=0.3)
        panel.legend(fontsize="small")
    # A fixed salt and no date: the same figures give the same file.
    with rc_context({"svg.hashsalt": "ragbench"}), atomic_file(path) as handle:
        figure.savefig(handle, format="svg", metadata={"Date": None})
