"""Which effects a run was made to test, and the adjustment of their p values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ragbench.analysis.load import Run
from ragbench.analysis.statistics.multiplicity import benjamini_hochberg, holm
from ragbench.base.errors import DataError
from ragbench.runfolder.config import CLOSED_BOOK
from ragbench.runfolder.pairs import pairs_of
from ragbench.runfolder.settings import (
    AVERAGE,
    DECLARED,
    PRIMARY_EFFECTS,
    PrimarySettings,
    default_arm,
)

BASELINE = CLOSED_BOOK
GAIN = "gain over closed-book"
PLACEBO = "placebo-corrected gain"
GOLD_MISSING = "headroom with gold missing"
GOLD_DELIVERED = "headroom with gold delivered"
HEADROOM = (GOLD_MISSING, GOLD_DELIVERED)
FINE_TUNING = "fine-tuning gain"
RETRIEVAL_OR_FINE_TUNING = "retrieval less fine-tuning"
BOTH = "fine-tuning gain with retrieval"
INTERACTION = "interaction"
MACRO, ITEMS = AVERAGE, "(items)"  # in the column task: no task can have such a name
RANDOM_EFFECTS = "(random effects)"
OVER_TASKS = (MACRO, ITEMS, RANDOM_EFFECTS)
# The questions that a pair answers, in their order, and what each is called in a table.
OF_PAIR = {
    GAIN: "retrieval gain",
    FINE_TUNING: FINE_TUNING,
    RETRIEVAL_OR_FINE_TUNING: RETRIEVAL_OR_FINE_TUNING,
    BOTH: BOTH,
    INTERACTION: INTERACTION,
    PLACEBO: PLACEBO,
    GOLD_MISSING: GOLD_MISSING,
    GOLD_DELIVERED: GOLD_DELIVERED,
}
PRIMARY, EXPLORATORY, NOT_COUNTED = "primary", "exploratory", "not counted"


def primary_of(run: Run) -> PrimarySettings:
    """Return what the config declares under ``analysis: primary``, or the defaults.

    By default: for each task the first retrieval arm that a control imitates, else its first one;
    every task; and retrieval gain, fine-tuning gain, retrieval less fine-tuning and interaction.

    Raises:
        DataError: The run declares an effect that ragbench does not have.
    """
    said = run.config.analysis.primary
    known = list(OF_PAIR.values())
    if unknown := next((name for name in said.effects if name not in known), None):
        raise DataError(
            f"there is no effect {unknown!r}",
            where=f"{run.files.run} (analysis.primary.effects)",
            fix=f"name some of: {', '.join(known)}",
        )
    return replace(
        said,
        effects=_stopping(run) or said.effects or PRIMARY_EFFECTS,
        tasks=said.tasks or tuple(run.members("tasks")),
    )


def _stopping(run: Run) -> tuple[str, ...]:
    """Return the effects that were judged while the run went on; they are its primary ones."""
    return () if run.stopped is None else run.stopped.settings.effects


def retrieval_arms(run: Run, task: str) -> list[str]:
    """Return the arms of a task that are no controls; of an average, those of every task.

    An arm that gave the same prompts as another one, in an average on any task, is left out.
    """
    tasks = run.members("tasks") if task in OVER_TASKS else [task]
    shared = [arm for arm in run.arms(tasks[0]) if all(arm in run.arms(t) for t in tasks)]
    return [
        arm
        for arm in shared
        if arm != BASELINE
        and run.config.arm(arm).control is None
        and not any(arm in run.same[t] for t in tasks)
    ]


def primary_arm(run: Run, task: str) -> str | None:
    """Return the retrieval arm of a task that the verdict is of; None where there is none."""
    found = chosen_arm(run, task)
    return None if found is None else found[0]


def chosen_arm(run: Run, task: str) -> tuple[str, str] | None:
    """Return the primary arm of a task, or of an average, and why it is that one."""
    arms, declared = retrieval_arms(run, task), primary_of(run).arm
    tasks = run.members("tasks") if task in OVER_TASKS else [task]
    if declared is None:
        own = [_imitated(run, t) for t in tasks]
        return default_arm(arms, set.intersection(*own))
    if task in OVER_TASKS:
        kept = {run.same[t].get(declared, declared) for t in tasks}
        arm = kept.pop() if len(kept) == 1 else declared
    elif declared in run.arms(task):
        arm = run.same[task].get(declared, declared)
    else:
        return None
    if arm == BASELINE:
        return None
    return arm, DECLARED if arm == declared else f"the same prompts as {declared}, {DECLARED}"


def _imitated(run: Run, task: str) -> set[str]:
    """Return the arms of a task that a control imitates with other prompts than theirs."""
    same = run.same[task]
    found = set()
    for name in run.arms(task):
        like = run.config.arm(name).like
        if like is not None and same.get(name, name) != same.get(like, like):
            found.add(same.get(like, like))
    return found


def adjusted(run: Run, table: pd.DataFrame) -> pd.DataFrame:
    """Return effects with their family and their p value adjusted within it.

    The primary effects, over pairs and tasks, are one family, adjusted by Holm's procedure;
    all others are exploratory, adjusted together by that of Benjamini and Hochberg. An average
    over tasks is one hypothesis, its ``(macro)`` row: the other averages are ``not counted`` and
    have no adjusted p. Tests of equivalence are adjusted by Holm's procedure within each family.

    Args:
        run: The run.
        table: Its effects.

    Returns:
        The table with the columns ``family``, ``p_adjusted``, ``p_equivalence_adjusted`` and
        ``level``: the level of the first step of Holm's procedure in the primary family, else the
        unadjusted one.
    """
    is_primary = primary_test(run)
    first = np.array(list(map(is_primary, table.to_dict(orient="records"))), dtype=bool)
    again = table["task"].isin(set(OVER_TASKS) - {MACRO}).to_numpy(dtype=bool)
    others = ~first & ~again
    p, outside = (table[name].to_numpy(dtype=float) for name in ("p", "p_equivalence"))
    found, equivalent = np.full(p.size, np.nan), np.full(p.size, np.nan)
    found[first] = holm(p[first])
    found[others] = benjamini_hochberg(p[others])
    for members in (first, others):
        equivalent[members] = holm(outside[members])
    alpha = run.config.analysis.alpha
    return table.assign(
        family=np.where(first, PRIMARY, np.where(again, NOT_COUNTED, EXPLORATORY)),
        p_adjusted=found,
        p_equivalence_adjusted=equivalent,
        level=np.where(first, alpha / max(1, int(first.sum())), alpha),
    )


def primary_test(run: Run) -> Callable[[Mapping[Any, Any]], bool]:
    """Return the function that says whether the row of an effect is a primary one."""
    declared = primary_of(run)
    arms = {task: primary_arm(run, task) for task in declared.tasks}
    pairs = pairs_of(run.config.bases())
    general = {pair.general for pair in pairs} or set(run.members("models"))
    return partial(_is_primary, declared, arms, general)


def _is_primary(
    declared: PrimarySettings,
    arms: Mapping[str, str | None],
    general: set[str],
    row: Mapping[Any, Any],
) -> bool:
    if row["stratum"] or row["task"] not in arms or row["effect"] not in OF_PAIR:
        return False
    if OF_PAIR[row["effect"]] not in declared.effects:
        return False
    if row["effect"] == FINE_TUNING:
        return True
    return row["arm"] == arms[row["task"]] and (bool(row["base"]) or row["model"] in general)
