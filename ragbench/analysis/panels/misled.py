"""Planted errors: how often a model follows a wrong answer that its passages were made to give."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ragbench.analysis.clusters import cluster_codes
from ragbench.analysis.family import BASELINE
from ragbench.analysis.load import Run
from ragbench.analysis.statistics.estimate import Cells, Settings
from ragbench.analysis.statistics.intervals import interval_of_mean, seeded
from ragbench.analysis.stopping import fixed_test
from ragbench.runfolder.packed import read_packed

MISLED = "misled"  # the control
MISLED_COLUMNS = [
    "model",
    "task",
    "arm",
    "like",
    "n",
    "gold_delivered",
    "changed",
    "changed_share",
    "changed_low",
    "changed_high",
    "at_risk",
    "followed",
    "followed_share",
    "followed_low",
    "followed_high",
    "picked_unplanted",
    "accuracy",
    "like_accuracy",
    "difference",
    "difference_low",
    "difference_high",
    "p",
    "p_is_bound",
    "status",
]
COUNTS = ("n", "gold_delivered", "changed", "at_risk", "followed", "picked_unplanted")


def misled(run: Run) -> pd.DataFrame:
    """Return what a control that plants errors did, one row per model, task and such arm.

    ``changed`` are the questions whose passages could be changed: ``like`` delivered a gold
    passage (``gold_delivered``) that mentions the right answer. Only these count further.
    ``at_risk`` are those of them whose closed-book answer is not the planted option (all of them
    in a run without closed-book); ``followed`` is how many of these pick exactly the planted
    option, and ``picked_unplanted`` how many pick it with the unchanged passages of ``like``.
    ``accuracy`` and ``like_accuracy`` are over the changed questions, and ``difference`` is the
    one less the other. With failed questions among them a row is ``incomplete`` and has only the
    counts of questions.
    """
    rows = [
        _row(run, model, task, arm)
        for model in run.members("models")
        for task in run.members("tasks")
        for arm in run.arms(task)
        if run.config.arm(arm).control == MISLED
    ]
    table = pd.DataFrame(rows, columns=MISLED_COLUMNS)
    return table.astype(dict.fromkeys(COUNTS, "Int64") | {"p_is_bound": bool})


def _row(run: Run, model: str, task: str, arm: str) -> dict[str, Any]:
    like = run.config.arm(arm).like or BASELINE
    packed = read_packed(run.files.delivered(task, arm, model))
    planted = {name: p.planted for name, p in packed.items() if p.planted is not None}
    cells = {
        name: run.cell(model, task, name).set_index("question_id") for name in (arm, like, BASELINE)
    }
    # A run that stops early may have asked a cell more questions than another.
    shared = [question.id for question in run.shared(task)]
    cells = {name: cell[cell.index.isin(shared)] for name, cell in cells.items()}
    whole, names = cells[arm], [model, task, arm, MISLED]
    changed = whole.index.isin(list(planted))
    row: dict[str, Any] = {
        **{"model": model, "task": task, "arm": arm, "like": like, "n": len(whole)},
        "gold_delivered": int((cells[like].gold_delivered > 0).sum()),
        "changed": int(changed.sum()),
        **_rate(run, task, whole, changed, "changed", names),
        **{"p_is_bound": False, "status": "complete"},
    }
    held = {name: cell.loc[whole.index[changed]] for name, cell in cells.items() if len(cell)}
    if any((cell.outcome == "error").any() for cell in held.values()):
        return row | {"status": "incomplete"}
    if not len(held[arm]):
        return row
    wrong = pd.Series(planted, dtype="Int64").loc[held[arm].index]
    picks = {name: _picks(cell, wrong) for name, cell in held.items()}
    risk = ~picks.get(BASELINE, np.zeros(len(wrong), dtype=bool))
    row |= {
        "at_risk": int(risk.sum()),
        "followed": int(picks[arm][risk].sum()),
        **_rate(run, task, held[arm][risk], picks[arm][risk], "followed", names),
        "picked_unplanted": int(picks[like][risk].sum()),
    }
    return row | _difference(run, task, held[arm], held[like], names)


def _picks(cell: pd.DataFrame, wrong: pd.Series[int]) -> npt.NDArray[np.bool_]:
    """Return which questions picked exactly the planted option."""
    return (cell["pick"].astype("Int64") == wrong).fillna(False).to_numpy(dtype=bool)


def _rate(
    run: Run,
    task: str,
    cell: pd.DataFrame,
    flags: npt.NDArray[np.bool_],
    name: str,
    names: list[str],
) -> dict[str, float]:
    settings = Settings.of(run.config)
    values = flags.astype(np.float64)
    low, high = interval_of_mean(
        values,
        seeded(settings.seed, *names, name),
        clusters=cluster_codes(run, task, cell) if len(cell) else None,
        resamples=settings.resamples,
        alpha=settings.alpha,
    )
    share = float(values.mean()) if values.size else math.nan
    return {f"{name}_share": share, f"{name}_low": low, f"{name}_high": high}


def _difference(
    run: Run, task: str, cell: pd.DataFrame, like: pd.DataFrame, names: list[str]
) -> dict[str, Any]:
    """Return the accuracies of the changed questions with and without the planted error."""
    metric = run.metrics(task)[0]
    table = pd.concat([cell[metric], -like[metric]], axis=1).astype(float).dropna()
    if table.empty:
        return {}
    values = table.to_numpy(dtype=np.float64)
    cells = Cells(values, cluster_codes(run, task, cell.loc[table.index]))
    row = {
        "accuracy": float(values[:, 0].mean()),
        "like_accuracy": float(-values[:, 1].mean()),
        "difference": float(cells.differences.mean()),
    }
    found = fixed_test(run, cells, names)
    if found is None:
        return row
    ends = {"difference_low": found.low, "difference_high": found.high}
    return row | ends | {"p": found.p, "p_is_bound": found.is_bound}
