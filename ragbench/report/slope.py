"""The 2 x 2 of each pair as a slope chart: closed-book and with retrieval, base and fine-tuned."""

from __future__ import annotations

import pandas as pd

from ragbench.analysis.family import BASELINE, primary_arm
from ragbench.analysis.load import Run
from ragbench.pairs import pairs_of
from ragbench.report.chart import Chart, Value, chart
from ragbench.report.tables import coverage


def slope_charts(run: Run, results: pd.DataFrame) -> list[Chart]:
    """Return a chart a pair and task, of closed-book and the primary retrieval arm.

    Args:
        run: The run.
        results: Its results table.

    Returns:
        The charts in the order of pairs and tasks.
    """
    made = []
    pairs = pairs_of((model["name"], model["base"]) for model in run.config["models"])
    for number, pair in enumerate(pairs):
        for place, task in enumerate(run.members("tasks")):
            arm = primary_arm(run, task)
            if arm is None or BASELINE not in run.arms(task):
                continue
            lines = {
                f"{kind}: {model}": [
                    value_of(run, results, (model, task, name), float(x))
                    for x, name in enumerate((BASELINE, arm))
                ]
                for kind, model in (("general", pair.general), ("biomedical", pair.biomedical))
            }
            metric = run.metrics(task)[0]
            found = chart(
                f"slope-{number}-{place}",
                f"{pair} on {task}: {metric}",
                f"One line a model, from {BASELINE} to {arm}, with {coverage(run)} intervals. "
                "The general line's rise is the retrieval gain, the distance of the left ends the "
                "fine-tuning gain, the difference of the slopes the interaction.",
                lines,
                [(BASELINE, 0.0), (arm, 1.0)],
            )
            if found is not None:
                made.append(found)
    return made


def value_of(run: Run, results: pd.DataFrame, cell: tuple[str, str, str], place: float) -> Value:
    """Return the first metric of a cell; bounds of an incomplete one are no interval."""
    model, task, arm = cell
    found = results[
        (results.model == model)
        & (results.task == task)
        & (results.arm == arm)
        & (results.metric == run.metrics(task)[0])
    ]
    if not len(found) or found.iloc[0]["status"] != "complete":
        return Value(place, float("nan"), float("nan"), float("nan"))
    row = found.iloc[0]
    return Value(place, float(row["value"]), float(row["ci_low"]), float(row["ci_high"]))
