"""Sentences on the averages over tasks of each effect, with the spread of the tasks."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ragbench.analysis.family import (
    FINE_TUNING,
    GAIN,
    INTERACTION,
    ITEMS,
    MACRO,
    OF_PAIR,
    RANDOM_EFFECTS,
    RETRIEVAL_OR_FINE_TUNING,
    primary_arm,
)
from ragbench.analysis.load import Run
from ragbench.report.tables import interval, points
from ragbench.report.verdict.clauses import named
from ragbench.runfolder.pairs import Pair


def averages(run: Run, effects: pd.DataFrame, pair: Pair) -> Iterator[str]:
    """Yield a sentence per effect of a pair: both averages, and the spread of the tasks."""
    mine = (pair.biomedical, pair.general)
    yield from _sentence(run, effects, str(pair), GAIN, pair.general, "", " in the general model")
    for effect in (FINE_TUNING, RETRIEVAL_OR_FINE_TUNING, INTERACTION):
        yield from _sentence(run, effects, str(pair), effect, *mine)


def averages_alone(run: Run, effects: pd.DataFrame, model: str) -> Iterator[str]:
    """Yield the sentence on the retrieval gain of a model that is in no pair."""
    yield from _sentence(run, effects, model, GAIN, model, "")


def _sentence(
    run: Run,
    effects: pd.DataFrame,
    name: str,
    effect: str,
    model: str,
    base: str,
    where: str = "",
) -> Iterator[str]:
    arm = primary_arm(run, MACRO)
    mine = effects[(effects.stratum == "") & (effects.effect == effect)]
    mine = mine[(mine.model == model) & (mine.base == base)]
    averaged = mine if effect == FINE_TUNING else mine[mine.arm == arm]
    macro, items, likewise = (
        [{str(k): v for k, v in row.items()} for row in found.to_dict(orient="records")]
        for found in (averaged[averaged.task == kind] for kind in (MACRO, ITEMS, RANDOM_EFFECTS))
    )
    if not macro or macro[0]["status"] == "incomplete":
        return
    called = OF_PAIR[effect] if effect == FINE_TUNING else f"{OF_PAIR[effect]}{where} ({arm})"
    one, other = (
        f"{points(row['estimate'])} points ({interval(run, row)})" for row in (macro[0], items[0])
    )
    tasks = run.members("tasks")
    metric = named(run, tasks[0]).removeprefix(tasks[0])
    text = (
        f"{name}, {called} over {len(tasks)} tasks{metric}: {one} with every task "
        f"counted the same, {other} with every question counted the same"
    )
    if likewise:
        row = likewise[0]
        text += f", {points(row['estimate'])} points ({interval(run, row)}) for tasks like these"
        text += " by random effects"
    own = mine[(mine.arm == macro[0]["arm"]) & mine.task.isin(tasks)].to_dict(orient="records")
    low, high = (choose(own, key=lambda row: float(row["estimate"])) for choose in (min, max))
    least, most = points(low["estimate"]), points(high["estimate"])
    if least == most:
        text += f"; it is {most} points in every task"
    else:
        text += f"; the smallest by task is {least} ({low['task']}), "
        text += f"the largest {most} ({high['task']})"
    if low["estimate"] < 0 < high["estimate"]:
        text += "; the tasks have opposite signs, "
        certain = low["ci_high"] < 0 < high["ci_low"]
        text += "so the averages describe none of them" if certain else "which may be chance"
    if macro[0]["estimate"] * items[0]["estimate"] < 0:
        text += "; the sign depends on the average, so neither should be quoted alone"
    yield text + "."
