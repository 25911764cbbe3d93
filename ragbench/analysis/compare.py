"""Cells of two runs against each other, question by question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ragbench.analysis.clusters import cluster_codes
from ragbench.analysis.load import Run
from ragbench.analysis.statistics.estimate import NO_FIGURES, Cells, Settings, estimate, spread
from ragbench.analysis.statistics.multiplicity import benjamini_hochberg
from ragbench.analysis.stopping import check_whole
from ragbench.base.errors import DataError, UsageError
from ragbench.base.records import Question

COMPARE_COLUMNS = [
    "task",
    "model",
    "other_model",
    "arm",
    "other_arm",
    "metric",
    "n",
    "value",
    "other_value",
    "estimate",
    "ci_low",
    "ci_high",
    "p",
    "p_adjusted",
    "helped",
    "hurt",
    "smallest_detectable",
    "p_equivalence",
    "n_clusters",
    "status",
    "p_exact",
    "p_is_bound",
]
SHOWN_IDS = 5


@dataclass(frozen=True)
class Names:
    """Under which name the second run has a model or an arm of the first, where it differs."""

    models: Mapping[str, str] = field(default_factory=dict)
    arms: Mapping[str, str] = field(default_factory=dict)


def compare(first: Run, second: Run, names: Names | None = None) -> pd.DataFrame:
    """Return the second run less the first, in every cell that both have.

    Args:
        first: A run.
        second: Another, or the same, of the same questions.
        names: Which model or arm of the second stands against which of the first.

    Returns:
        COMPARE_COLUMNS; p is adjusted over all rows by Benjamini and Hochberg's procedure.

    Raises:
        DataError: The questions of a task, the mode or the metric are not the same.
        UsageError: The runs share no task or no cell, a name leads nowhere, or a run has stopped
            early.
    """
    names = names or Names()
    tasks = [task for task in first.members("tasks") if task in second.members("tasks")]
    both = f"{first.path} and {second.path}"
    if not tasks:
        raise UsageError(
            "the runs share no task",
            where=both,
            fix=f"theirs are {', '.join(first.members('tasks'))} and "
            f"{', '.join(second.members('tasks'))}",
        )
    for run in (first, second):
        check_whole(run)
    _check_names(first, second, names)
    if first.config.mode != second.config.mode:
        raise DataError(
            f"one run is scored in the mode {first.config.mode}, the other in {second.config.mode}",
            where=both,
            fix="figures of two modes are never compared; run one of them again",
        )
    rows = []
    for task in tasks:
        _check_questions(first, second, task)
        rows += list(_rows(first, second, task, names))
    if not rows:
        raise _no_cell(first, second, names)
    table = pd.DataFrame(rows, columns=COMPARE_COLUMNS)
    table["p_adjusted"] = benjamini_hochberg(table["p"].to_numpy(dtype=float))
    return table.astype(dict.fromkeys(("n", "helped", "hurt", "n_clusters"), "Int64"))


def _no_cell(first: Run, second: Run, names: Names) -> UsageError:
    """Return the error of runs without a common cell, with what each has."""
    if first.path == second.path:
        return UsageError(
            "a run is compared with itself by two of its models or arms, and none are named",
            where=str(first.path),
            fix=f"say which: --model A=B of {', '.join(first.members('models'))}; --arm A=B of "
            f"{', '.join(first.members('arms'))}",
        )
    said, pairs = [], []
    for kind, given in (("model", names.models), ("arm", names.arms)):
        mine, theirs = (run.members(f"{kind}s") for run in (first, second))
        if common := [name for name in mine if given.get(name, name) in theirs]:
            said.append(f"both have the {kind}s {', '.join(common)}")
            continue
        pairs.append(f"--{kind} {mine[0]}={theirs[0]}")
        said.append(
            f"they share no {kind}: {first.path.name} has {', '.join(mine)}, and "
            f"{second.path.name} has {', '.join(theirs)}"
        )
    return UsageError(
        f"the runs share questions, and no task has a model and an arm of both; {'; '.join(said)}",
        where=f"{first.path} and {second.path}",
        fix=f"pair names that differ, as in {' '.join(pairs or ['--arm A=B'])}",
    )


def _check_names(first: Run, second: Run, names: Names) -> None:
    for kind, given in (("models", names.models), ("arms", names.arms)):
        for mine, theirs in given.items():
            for run, name in ((first, mine), (second, theirs)):
                if name not in run.members(kind):
                    raise UsageError(
                        f"the run has no {kind[:-1]} {name!r}",
                        where=str(run.path),
                        fix=f"it has {', '.join(run.members(kind))}",
                    )


def _check_questions(first: Run, second: Run, task: str) -> None:
    """Refuse runs whose questions of a task are not the same, and say which."""
    where = f"{first.path} and {second.path}, task {task}"
    mine, theirs = ({q.id: q for q in run.questions(task)} for run in (first, second))
    for run, extra in (
        (first, [name for name in mine if name not in theirs]),
        (second, [name for name in theirs if name not in mine]),
    ):
        if extra:
            more = " ..." if len(extra) > SHOWN_IDS else ""
            raise DataError(
                f"{len(extra):,} of the questions are only in {run.path.name}: "
                f"{', '.join(extra[:SHOWN_IDS])}{more}",
                where=where,
                fix="compare runs of the same questions (the same limit and seed)",
            )
    changed = [name for name in mine if _asked(mine[name]) != _asked(theirs[name])]
    if changed:
        more = " ..." if len(changed) > SHOWN_IDS else ""
        raise DataError(
            f"{len(changed):,} questions have one id and other texts, options or answers: "
            f"{', '.join(changed[:SHOWN_IDS])}{more}",
            where=where,
            fix="compare runs of the same version of the task's data",
        )
    if first.metrics(task)[0] != second.metrics(task)[0]:
        raise DataError(
            f"the first metric is {first.metrics(task)[0]} in one run and "
            f"{second.metrics(task)[0]} in the other",
            where=where,
            fix="score both with the same first metric",
        )


def _asked(question: Question) -> tuple[object, ...]:
    return question.text, question.options, question.answer, question.reference


def _rows(first: Run, second: Run, task: str, names: Names) -> Iterator[dict[str, Any]]:
    metric = first.metrics(task)[0]
    for model in first.members("models"):
        other_model = names.models.get(model, model)
        for arm in first.arms(task):
            other_arm = names.arms.get(arm, arm)
            found = other_model in second.members("models") and other_arm in second.arms(task)
            same = first.path == second.path and (model, arm) == (other_model, other_arm)
            if not found or same:
                continue
            row = {"task": task, "model": model, "other_model": other_model, "arm": arm}
            row |= {"other_arm": other_arm, "metric": metric}
            cells = (
                second.cell(other_model, task, other_arm).set_index("question_id"),
                first.cell(model, task, arm).set_index("question_id"),
            )
            yield row | _difference(first, task, metric, cells, list(row.values()))


def _difference(
    run: Run, task: str, metric: str, cells: tuple[pd.DataFrame, pd.DataFrame], names: list[str]
) -> dict[str, Any]:
    theirs, mine = cells
    if any((cell.outcome == "error").any() for cell in cells):
        return {"n": len(mine), "status": "incomplete"} | NO_FIGURES
    table = pd.concat([theirs[metric], -mine[metric]], axis=1, join="inner").dropna()
    clusters = cluster_codes(run, task, mine.loc[table.index])
    settings, compared = Settings.of(run.config), [Cells(table.to_numpy(dtype=float), clusters)]
    found = estimate(compared, settings, names)
    if len(table):
        found["smallest_detectable"] = spread(compared).smallest(settings.alpha)
    return {
        "n": len(table),
        "value": float(-table.iloc[:, 1].mean()),
        "other_value": float(table.iloc[:, 0].mean()),
        "n_clusters": None if clusters is None else int(np.unique(clusters).size),
        "status": "complete",
        **found,
    }
