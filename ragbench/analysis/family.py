"""Which effects a run was made to test, and the adjustment of their p values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ragbench.analysis.load import Run
from ragbench.analysis.statistics.multiplicity import benjamini_hochberg, holm
from ragbench.base.pairs import pairs_of
from ragbench.runfolder.settings import PRIMARY_EFFECTS, PrimarySettings

BASELINE = "closed-book"
GAIN = "gain over closed-book"
PLACEBO = "placebo-corrected gain"
HEADROOM = "headroom"
FINE_TUNING = "fine-tuning gain"
RETRIEVAL_OR_FINE_TUNING = "retrieval less fine-tuning"
BOTH = "fine-tuning gain with retrieval"
INTERACTION = "interaction"
MACRO, ITEMS = "(macro)", "(items)"  # in the column task: no task can have such a name
POOLED, RANDOM_EFFECTS = "(pooled)", "(random effects)"
OVER_TASKS = (MACRO, ITEMS, POOLED, RANDOM_EFFECTS)
# The questions that a pair answers, in their order, and what each is called in a table.
OF_PAIR = {
    GAIN: "retrieval gain",
    FINE_TUNING: FINE_TUNING,
    RETRIEVAL_OR_FINE_TUNING: RETRIEVAL_OR_FINE_TUNING,
    BOTH: BOTH,
    INTERACTION: INTERACTION,
    PLACEBO: PLACEBO,
    HEADROOM: HEADROOM,
}
PRIMARY, EXPLORATORY = "primary", "exploratory"


def primary_of(run: Run) -> PrimarySettings:
    """Return what the config declares under ``analysis: primary``, or the defaults.

    By default: the first retrieval arm of each task, every task, and retrieval gain, fine-tuning
    gain, retrieval less fine-tuning and interaction.
    """
    said = run.config.analysis.primary
    return replace(
        said,
        effects=said.effects or PRIMARY_EFFECTS,
        tasks=said.tasks or tuple(run.members("tasks")),
    )


def retrieval_arms(run: Run, task: str) -> list[str]:
    """Return the arms of a task that are no controls; of an average, those of every task."""
    tasks = run.members("tasks") if task in OVER_TASKS else [task]
    shared = [arm for arm in run.arms(tasks[0]) if all(arm in run.arms(t) for t in tasks)]
    return [arm for arm in shared if arm != BASELINE and run.config.arm(arm).control is None]


def primary_arm(run: Run, task: str) -> str | None:
    """Return the retrieval arm of a task that the verdict is of; None where there is none."""
    arms, declared = retrieval_arms(run, task), primary_of(run).arm
    if declared is not None:
        return declared if task in OVER_TASKS or declared in run.arms(task) else None
    return arms[0] if arms else None


def adjusted(run: Run, table: pd.DataFrame) -> pd.DataFrame:
    """Return effects with their family and their p value adjusted within it.

    The primary effects, over pairs and tasks, are one family, adjusted by Holm's procedure;
    all others are exploratory, adjusted together by that of Benjamini and Hochberg.

    Args:
        run: The run.
        table: Its effects.

    Returns:
        The table with the columns ``family`` and ``p_adjusted``.
    """
    declared = primary_of(run)
    arms = {task: primary_arm(run, task) for task in declared.tasks}
    pairs = pairs_of(run.config.bases())
    general = {pair.general for pair in pairs} or set(run.members("models"))
    first = np.array(
        [_is_primary(row, declared, arms, general) for row in table.to_dict(orient="records")],
        dtype=bool,
    )
    p = table["p"].to_numpy(dtype=float)
    found = np.full(p.size, np.nan)
    found[first] = holm(p[first])
    found[~first] = benjamini_hochberg(p[~first])
    return table.assign(family=np.where(first, PRIMARY, EXPLORATORY), p_adjusted=found)


def _is_primary(
    row: Mapping[Any, Any],
    declared: PrimarySettings,
    arms: Mapping[str, str | None],
    general: set[str],
) -> bool:
    if row["stratum"] or row["task"] not in arms or row["effect"] not in OF_PAIR:
        return False
    if OF_PAIR[row["effect"]] not in declared.effects:
        return False
    if row["effect"] == FINE_TUNING:
        return True
    return row["arm"] == arms[row["task"]] and (bool(row["base"]) or row["model"] in general)
