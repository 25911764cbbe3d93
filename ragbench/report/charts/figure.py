"""Figures for papers and slides, by matplotlib: accuracy, effects, slope charts, k-curves."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ragbench.analysis.family import BASELINE
from ragbench.analysis.load import Run
from ragbench.analysis.panels.curves import curves, places
from ragbench.base.files import atomic_file
from ragbench.report.charts.chart import APART, Chart
from ragbench.report.charts.forest import HEADING_CHARACTERS, shortened
from ragbench.report.charts.kcurve import curve_charts, place_charts
from ragbench.report.charts.slope import slope_charts
from ragbench.report.tables import coverage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BOUNDS = "_bounds"  # the lines of incomplete cells; the underscore keeps them out of the legend
MARKERS = "osD^v<>P*X"
LINES = ("-", "--", ":", "-.")
DPI = 200
LABEL = 26  # characters of a task or an arm beside a row
# No date, and a fixed salt for ids: the same figures give the same file.
METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
    "png": {"Software": None},
}


def have_matplotlib() -> bool:
    """Say whether figures can be drawn."""
    return find_spec("matplotlib") is not None


def figures(run: Run, results: pd.DataFrame, effects: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of a run under their names.

    Args:
        run: The run.
        results: Its results table.
        effects: Its effects.

    Yields:
        Accuracy by arm, each effect as a forest plot, each pair's slope charts, each curve.
    """
    yield "accuracy", accuracy(run, results)
    for kind in effects.effect.unique():
        found = effects[(effects.effect == kind) & (effects.stratum == "")]
        found = found[found.estimate.notna()]
        if len(found):
            yield f"effect {kind}", _forest(run, str(kind), found)
    for number, chart in enumerate(slope_charts(run, results)):
        yield f"slope {number}", _lines(chart)
    for number, chart in enumerate(curve_charts(run, curves(run))):
        yield f"k curve {number}", _lines(chart)
    for number, chart in enumerate(place_charts(run, places(run))):
        yield f"place {number}", _lines(chart)


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of its file's ending, png, svg or pdf; atomically.

    Args:
        figure: The figure.
        path: The file; its folder is made.
    """
    from matplotlib import rc_context

    kind = path.suffix.removeprefix(".")
    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context({"svg.hashsalt": "ragbench"}), atomic_file(path) as handle:
        figure.savefig(handle, format=kind, dpi=DPI, metadata=METADATA[kind])


def draw(run: Run, results: pd.DataFrame, path: Path) -> None:
    """Write the figure of accuracy by arm, as ``save`` does.

    Args:
        run: The run.
        results: Its results table.
        path: The file.
    """
    save(accuracy(run, results), path)


def accuracy(run: Run, results: pd.DataFrame) -> Figure:
    """Return the first metric by arm with its interval: a panel a task, a marker a model.

    Args:
        run: The run.
        results: Its results table.

    Returns:
        The figure.
    """
    from matplotlib.figure import Figure

    tasks, models = run.members("tasks"), run.members("models")
    most = max(len(run.arms(task)) for task in tasks)
    height = 1.2 + 0.35 * most * max(1, len(models) / 2)
    figure = Figure(figsize=(7, height * len(tasks)), layout="constrained")
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
            whole = (rows.loc[arms, "status"] == "complete").to_numpy()
            panel.errorbar(
                np.where(whole, values, np.nan),
                heights,
                xerr=np.maximum([values - low, high - values], 0),
                fmt=MARKERS[place % len(MARKERS)],
                capsize=3,
                label=shortened(model, HEADING_CHARACTERS),
            )
            # What is incomplete has bounds, and no estimate to mark.
            y = np.asarray(heights)[~whole]
            bounds = panel.hlines(y, low[~whole], high[~whole], colors="grey", linestyles="dashed")
            bounds.set_label(BOUNDS)
        panel.set_yticks(range(len(arms)), [shortened(arm) for arm in reversed(arms)])
        panel.set_xlim(-2, 102)
        panel.set_ylim(-0.6, len(arms) - 0.4)
        panel.set_xlabel(f"{run.metrics(task)[0]} (%), {coverage(run)} interval")
        panel.set_title(task)
        panel.grid(axis="x", alpha=0.3)
    _legend(figure)
    return figure


def _legend(figure: Figure) -> None:
    """Tell the models apart above the panels, where no value stands."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", fontsize="small")


def _forest(run: Run, kind: str, found: pd.DataFrame) -> Figure:
    """Return the rows of one effect: estimate and interval in points, zero marked."""
    from matplotlib.figure import Figure

    models = list(dict.fromkeys(found.model))
    figure = Figure(figsize=(7, 1.4 + 0.2 * len(models) + 0.3 * len(found)), layout="constrained")
    panel = figure.subplots()
    labels, named = [], set()
    for place, row in enumerate(found.to_dict(orient="records")):
        label = f"{shortened(row['task'], LABEL)}, {shortened(row['arm'], LABEL)}"
        if row["baseline"] not in (BASELINE, row["arm"]):
            label += f"\nover {shortened(row['baseline'], LABEL)}"  # a third name leaves no room
        labels.append(label)
        estimate, low, high = (100 * row[name] for name in ("estimate", "ci_low", "ci_high"))
        model = row["model"]
        panel.errorbar(
            [estimate],
            [len(found) - 1 - place],
            xerr=np.maximum([[estimate - low], [high - estimate]], 0),
            fmt=MARKERS[models.index(model) % len(MARKERS)],
            color="black",
            capsize=3,
            label="_" if model in named else shortened(model, HEADING_CHARACTERS),
        )
        named.add(model)
    _legend(figure)
    panel.axvline(0, color="black", linewidth=0.8)
    panel.set_yticks(range(len(found)), list(reversed(labels)), fontsize="small")
    panel.set_ylim(-0.6, len(found) - 0.4)
    panel.set_xlabel(f"points, {coverage(run)} interval")
    panel.set_title(kind)
    panel.grid(axis="x", alpha=0.3)
    return figure


def _lines(chart: Chart) -> Figure:
    """Return a line chart of the page, one line a model, told apart by marker and dash."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    panel = figure.subplots()
    ends = [place for _, place in chart.places]
    apart = APART / 100 * ((max(ends) - min(ends)) or 1)
    for number, (name, values) in enumerate(chart.lines.items()):
        shift = apart * (number - (len(chart.lines) - 1) / 2)
        y = [100 * value.value for value in values]
        spread = [[v.value - v.low for v in values], [v.high - v.value for v in values]]
        panel.errorbar(
            [value.place + shift for value in values],
            y,
            yerr=100 * np.maximum(spread, 0),
            marker=MARKERS[number % len(MARKERS)],
            linestyle=LINES[number % len(LINES)],
            capsize=3,
            label=shortened(name, HEADING_CHARACTERS),
        )
    labels = [shortened(label, LABEL) for label, _ in chart.places]
    panel.set_xticks(ends, labels)
    panel.set_ylabel("%")
    panel.set_xlabel(chart.below)
    panel.set_title(chart.title, fontsize="medium", wrap=True)
    panel.grid(axis="y", alpha=0.3)
    _legend(figure)
    return figure
