"""The score of the same answer to every question, without any model."""

from __future__ import annotations

import pandas as pd

from ragbench.report.tables import Rows, percent

CONSTANT = "constant_accuracy/"


def constant_rows(results: pd.DataFrame) -> Rows:
    """Return the accuracy of one answer to every question of a task, the best answer first."""
    found = results[results.metric.str.startswith(CONSTANT)]
    rows = [
        [
            str(row["task"]),
            str(row["metric"]).removeprefix(CONSTANT),
            str(row["n"]),
            percent(row["value"]),
        ]
        for task in found.task.unique()
        for row in found[found.task == task]
        .sort_values("value", ascending=False, kind="stable")
        .to_dict(orient="records")
    ]
    return ["task", "answer", "n", "accuracy"], rows
