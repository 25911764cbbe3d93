"""Risk against coverage, where a model may say that the passages do not answer the question."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ragbench.analysis.clusters import cluster_codes
from ragbench.analysis.load import Run
from ragbench.analysis.statistics.estimate import Settings
from ragbench.analysis.statistics.intervals import interval_of_mean, seeded

ABSTAINING_COLUMNS = [
    "model",
    "task",
    "arm",
    "n",
    "abstained",
    "coverage",
    "coverage_low",
    "coverage_high",
    "answered",
    "wrong",
    "risk",
    "risk_low",
    "risk_high",
    "gold_delivered",
    "abstained_with_gold",
    "gold_missing",
    "abstained_without_gold",
    "status",
]
COUNTS = [name for name in ABSTAINING_COLUMNS[3:-1] if "risk" not in name and "cov" not in name]


def abstaining(run: Run) -> pd.DataFrame:
    """Return coverage and risk of every cell whose questions have the option to abstain.

    ``coverage`` is the share of questions that get another answer than the abstention; a reply
    without an answer is not an abstention. ``risk`` is the share of wrong answers among those
    ``answered``. Accuracy counts an abstention as wrong: it is coverage times one less the risk.
    ``abstained_with_gold`` of ``gold_delivered`` questions abstain though a gold passage is in the
    prompt, and ``abstained_without_gold`` of ``gold_missing`` where known gold is not. A cell with
    failed questions is ``incomplete`` and has no shares.
    """
    rows = [
        _row(run, model, task, arm)
        for model in run.members("models")
        for task in run.members("tasks")
        if run.facts(task).abstain
        for arm in run.arms(task)
    ]
    return pd.DataFrame(rows, columns=ABSTAINING_COLUMNS).astype(dict.fromkeys(COUNTS, "Int64"))


def _row(run: Run, model: str, task: str, arm: str) -> dict[str, Any]:
    cell = run.cell(model, task, arm).set_index("question_id")
    row: dict[str, Any] = {"model": model, "task": task, "arm": arm, "n": len(cell)}
    if (cell.outcome == "error").any():
        return row | {"status": "incomplete"}
    last = {question.id: len(question.options) - 1 for question in run.questions(task)}
    ends = pd.Series(last, dtype="Int64").loc[cell.index]
    declined = (cell["pick"].astype("Int64") == ends).fillna(False).to_numpy(dtype=bool)
    wrong = ~(cell["pick"].astype("Int64") == cell["answer"]).fillna(False).to_numpy(dtype=bool)
    known = cell.has_gold.to_numpy(dtype=bool)
    delivered = known & (cell.gold_delivered > 0).to_numpy(dtype=bool)
    names = [model, task, arm]
    return row | {
        "abstained": int(declined.sum()),
        **_rate(run, cell, ~declined, "coverage", names),
        "answered": int((~declined).sum()),
        "wrong": int((wrong & ~declined).sum()),
        **_rate(run, cell[~declined], wrong[~declined], "risk", names),
        "gold_delivered": int(delivered.sum()),
        "abstained_with_gold": int((delivered & declined).sum()),
        "gold_missing": int((known & ~delivered).sum()),
        "abstained_without_gold": int((known & ~delivered & declined).sum()),
        "status": "complete",
    }


def _rate(
    run: Run, cell: pd.DataFrame, flags: npt.NDArray[np.bool_], name: str, names: list[str]
) -> dict[str, float]:
    settings = Settings.of(run.config)
    values = flags.astype(np.float64)
    low, high = interval_of_mean(
        values,
        seeded(settings.seed, *names, name),
        clusters=cluster_codes(run, names[1], cell) if len(cell) else None,
        resamples=settings.resamples,
        alpha=settings.alpha,
    )
    share = float(values.mean()) if values.size else math.nan
    return {name: share, f"{name}_low": low, f"{name}_high": high}
