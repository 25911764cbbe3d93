"""Replies without an answer, counted as wrong, as chance, or not at all.

A model that says "none of these" more often when it is given passages loses accuracy without
having lost knowledge; three policies side by side, and a test of the rate itself, tell the two
apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ragbench.analysis.clusters import cluster_codes
from ragbench.analysis.family import BASELINE
from ragbench.analysis.load import Run
from ragbench.analysis.statistics.estimate import Cells, Settings
from ragbench.analysis.statistics.intervals import interval_of_mean, seeded
from ragbench.analysis.statistics.multiplicity import benjamini_hochberg
from ragbench.analysis.stopping import fixed_test

POLICIES = ("wrong", "chance", "excluded")
UNREAD = ("unparsed", "refused", "truncated")
KEYS = ["model", "task", "arm"]
POLICY_COLUMNS = [
    *KEYS,
    "policy",
    "n",
    "value",
    "ci_low",
    "ci_high",
    "gain",
    "gain_low",
    "gain_high",
    "gain_n",
    "gain_p",
    "gain_p_is_bound",
]
RATE_COLUMNS = [
    *KEYS,
    "n",
    "rate",
    "baseline_rate",
    "more",
    "fewer",
    "p",
    "p_adjusted",
    "p_is_bound",
]


def tasks_of(run: Run) -> list[str]:
    """Return the tasks whose options are chosen in writing, some of them without a choice."""
    return [
        task
        for task in run.members("tasks")
        if run.metrics(task)[0] == "accuracy"
        and run.facts(task).scoring == "generate"
        and run.scores[run.scores.task == task].outcome.isin(UNREAD).any()
    ]


def counted(run: Run, policy: str) -> Run:
    """Return a run whose replies without an answer count by a policy.

    Those that are left out have no accuracy.
    """
    scores = run.scores.copy()
    for task in tasks_of(run):
        mine = scores.task == task
        cell = scores[mine].set_index("question_id")
        sizes = {question.id: len(question.options) for question in run.questions(task)}
        scores.loc[mine, "accuracy"] = _valued(cell, policy, sizes).to_numpy()
    return replace(run, scores=scores)


def policies(run: Run) -> pd.DataFrame:
    """Return accuracy, and the gain over closed-book, under each policy.

    ``wrong`` gives a reply without an answer 0, ``chance`` one divided by the number of options,
    and ``excluded`` leaves its question out: of accuracy where this arm has no answer, of the
    gain where either arm has none. Cells with failed questions have no rows, and tasks where every
    reply has an answer have none either.
    """
    rows = [row for task in tasks_of(run) for row in _policy_rows(run, task)]
    table = pd.DataFrame(rows, columns=POLICY_COLUMNS)
    return table.astype({"n": "Int64", "gain_n": "Int64"})


def _policy_rows(run: Run, task: str) -> Iterator[dict[str, Any]]:
    sizes = {question.id: len(question.options) for question in run.questions(task)}
    settings = Settings.of(run.config)
    for model in run.members("models"):
        cells = {arm: _whole(run, model, task, arm) for arm in run.arms(task)}
        for arm, cell in cells.items():
            if cell is None:
                continue
            base = cells.get(BASELINE)
            for policy in POLICIES:
                row = {"model": model, "task": task, "arm": arm, "policy": policy}
                names = [*row.values(), "policy"]
                values = _valued(cell, policy, sizes)
                row |= _level(run, task, cell, values, settings, names)
                if base is not None and arm != BASELINE:
                    row |= _gain(run, task, cell, values, _valued(base, policy, sizes), names)
                yield row


def _whole(run: Run, model: str, task: str, arm: str) -> pd.DataFrame | None:
    cell = run.cell(model, task, arm).set_index("question_id")
    return None if (cell.outcome == "error").any() else cell


def _valued(cell: pd.DataFrame, policy: str, sizes: dict[str, int]) -> pd.Series[float]:
    """Return accuracy by question; NaN where the policy leaves it out."""
    values = cell["accuracy"].astype(float)
    unread = cell.outcome.isin(UNREAD)
    if policy == "chance":
        chance = pd.Series([1 / sizes[str(name)] for name in cell.index], index=cell.index)
        return values.mask(unread, chance)
    return values.mask(unread) if policy == "excluded" else values.mask(unread, 0.0)


def _level(
    run: Run,
    task: str,
    cell: pd.DataFrame,
    values: pd.Series[float],
    settings: Settings,
    names: list[str],
) -> dict[str, Any]:
    held = values.dropna()
    if not len(held):
        return {"n": 0}
    clusters = cluster_codes(run, task, cell.loc[held.index])
    found = np.asarray(held, dtype=np.float64)
    low, high = interval_of_mean(
        found,
        seeded(settings.seed, *names),
        clusters=clusters,
        resamples=settings.resamples,
        alpha=settings.alpha,
    )
    return {"n": found.size, "value": float(found.mean()), "ci_low": low, "ci_high": high}


def _gain(
    run: Run,
    task: str,
    cell: pd.DataFrame,
    values: pd.Series[float],
    base: pd.Series[float],
    names: list[str],
) -> dict[str, Any]:
    both = pd.concat([values, -base], axis=1, join="inner").dropna()
    if not len(both):
        return {"gain_n": 0}
    clusters = cluster_codes(run, task, cell.loc[both.index])
    cells = Cells(both.to_numpy(dtype=float), clusters)
    found = fixed_test(run, cells, [*names, "gain"])
    gain = {"gain": float(cells.differences.mean()), "gain_n": len(both)}
    if found is None:
        return gain | {"gain_p_is_bound": False}
    return gain | {
        "gain_low": found.low,
        "gain_high": found.high,
        "gain_p": found.p,
        "gain_p_is_bound": found.is_bound,
    }


def unread_rates(run: Run) -> pd.DataFrame:
    """Return how often replies have no answer, and whether an arm changes it.

    Paired by question against closed-book: ``more`` counts the questions that have an answer
    closed-book and none in the arm, ``fewer`` the opposite. p as of any paired effect (McNemar's
    mid-p, or by clusters), ``p_adjusted`` by Benjamini and Hochberg over all rows.
    There are no rows where every reply has an answer, without closed-book, or for an arm with the
    prompts of another one.
    """
    rows: list[dict[str, Any]] = []
    for task in tasks_of(run):
        for model in run.members("models"):
            arms = run.arms(task)
            base = _whole(run, model, task, BASELINE) if BASELINE in arms else None
            for arm in arms:
                cell = _whole(run, model, task, arm)
                if base is None or cell is None or arm == BASELINE or arm in run.same[task]:
                    continue
                signs = [(1.0, cell), (-1.0, base)]
                both = pd.concat(
                    [sign * part.outcome.isin(UNREAD) for sign, part in signs],
                    axis=1,
                    join="inner",
                )
                clusters = cluster_codes(run, task, cell.loc[both.index])
                cells = Cells(both.to_numpy(dtype=float), clusters)
                found = None
                if len(both):
                    found = fixed_test(run, cells, [model, task, arm, "unread"])
                more, fewer = cells.counts
                rows.append(
                    {
                        **{"model": model, "task": task, "arm": arm, "n": len(both)},
                        "rate": float(cell.outcome.isin(UNREAD).mean()),
                        "baseline_rate": float(base.outcome.isin(UNREAD).mean()),
                        **{"more": more, "fewer": fewer},
                        "p": math.nan if found is None else found.p,
                        "p_is_bound": found is not None and found.is_bound,
                    }
                )
    table = pd.DataFrame(rows, columns=RATE_COLUMNS)
    table["p_adjusted"] = benjamini_hochberg(table["p"].to_numpy(dtype=float))
    return table
