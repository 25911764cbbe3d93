"""The 2 x 2 of each pair as a slope chart: closed-book and with retrieval, base and fine-tuned."""

from __future__ import annotations

import pandas as pd

from ragbench.analysis.family import BASELINE, primary_arm, retrieval_arms
from ragbench.analysis.load import Run
from ragbench.report.charts.chart import Chart, Value, chart
from ragbench.report.tables import coverage
from ragbench.runfolder.pairs import pairs_of

MOST_ARMS = 4  # retrieval arms with a chart, per pair and task


def slope_charts(run: Run, results: pd.DataFrame) -> list[Chart]:
    """Return a chart per pair, task and retrieval arm, the primary arm first.

    The charts of a pair and task have one scale; the arms after the first MOST_ARMS have none.
    """
    made = []
    pairs = pairs_of(run.config.bases())
    for number, pair in enumerate(pairs):
        kinds = {"general": pair.general, "biomedical": pair.biomedical}
        for place, task in enumerate(run.members("tasks")):
            first = primary_arm(run, task)
            if first is None or BASELINE not in run.arms(task):
                continue
            arms = [first, *(arm for arm in retrieval_arms(run, task) if arm != first)]
            lines = {
                arm: {
                    f"{kind}: {model}": [
                        value_of(run, results, (model, task, name), float(x))
                        for x, name in enumerate((BASELINE, arm))
                    ]
                    for kind, model in kinds.items()
                }
                for arm in arms[:MOST_ARMS]
            }
            every = [v for drawn in lines.values() for values in drawn.values() for v in values]
            for which, (arm, drawn) in enumerate(lines.items()):
                found = chart(
                    f"slope-{number}-{place}-{which}",
                    f"{pair} on {task}, {arm}: {run.metrics(task)[0]}",
                    f"One line per model, from {BASELINE} to {arm}, with {coverage(run)} "
                    "intervals. The rise of the general line is the retrieval gain, the distance "
                    "of the left ends the fine-tuning gain, the difference of the slopes the "
                    "interaction.",
                    drawn,
                    [(BASELINE, 0.0), (arm, 1.0)],
                    beside=every,
                    said=True,
                )
                if found is not None:
                    made.append(found)
    return made


def value_of(run: Run, results: pd.DataFrame, cell: tuple[str, str, str], x: float) -> Value:
    """Return the first metric of a cell; NaN where it is incomplete: bounds are no interval."""
    model, task, arm = cell
    found = results[
        (results.model == model)
        & (results.task == task)
        & (results.arm == arm)
        & (results.metric == run.metrics(task)[0])
    ]
    if not len(found) or found.iloc[0]["status"] != "complete":
        return Value(x, float("nan"), float("nan"), float("nan"))
    row = found.iloc[0]
    return Value(x, float(row["value"]), float(row["ci_low"]), float(row["ci_high"]))
