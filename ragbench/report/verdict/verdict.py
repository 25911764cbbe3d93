"""The verdict: sentences about a run that are no stronger than its figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from ragbench.analysis.family import (
    BASELINE,
    BOTH,
    GAIN,
    GOLD_MISSING,
    HEADROOM,
    OF_PAIR,
    OVER_TASKS,
    PLACEBO,
    PRIMARY,
    primary_arm,
    primary_of,
    retrieval_arms,
)
from ragbench.analysis.load import Run
from ragbench.report.tables import interval, p_is, points
from ragbench.report.verdict.averages import averages, averages_alone
from ragbench.report.verdict.clauses import (
    DEPENDS,
    in_clusters,
    is_shown,
    named,
    small,
    together,
)
from ragbench.report.verdict.limits import limits
from ragbench.report.verdict.unanswered import Unanswered
from ragbench.runfolder.pairs import Pair, pairs_of

Row = Mapping[str, Any]


def verdict(run: Run, effects: pd.DataFrame) -> list[str]:
    """Return sentences: what the run cannot show, then what it shows.

    The order is limits, primary effects, averages over tasks, replies without an answer, and the
    other retrieval arms. An effect is *shown* where its adjusted p is under alpha and its interval
    excludes zero, however replies without an answer count. One that is not shown is never called
    absent: either the equivalence test finds it smaller than the margin, or the sentence gives the
    difference that this n detects.
    """
    pairs = pairs_of(run.config.bases())
    paired = {name for pair in pairs for name in (pair.biomedical, pair.general)}
    alone = [name for name in run.members("models") if name not in paired]
    lines, unanswered = list(limits(run, pairs)), Unanswered(run)
    for task in (task for task in primary_of(run).tasks if task not in OVER_TASKS):
        for pair in pairs:
            lines += _of(run, effects, task, str(pair), pair, unanswered)
        for model in alone:
            lines += _of(run, effects, task, model, None, unanswered)
    for pair in pairs:
        lines += averages(run, effects, pair)
    for model in alone:
        lines += averages_alone(run, effects, model)
    return [*lines, *unanswered.sentences(effects), *_others(run, effects, unanswered)]


def _of(
    run: Run,
    effects: pd.DataFrame,
    task: str,
    name: str,
    pair: Pair | None,
    unanswered: Unanswered,
) -> Iterator[str]:
    """Yield one sentence on the primary effects, and one on the controls."""
    arm = primary_arm(run, task)
    found = effects[(effects.task == task) & (effects.stratum == "")]
    model = name if pair is None else pair.general
    mine = found[(found.model == model) & (found.base == "")]
    if pair is not None:
        both = found[(found.model == pair.biomedical) & (found.base == pair.general)]
        mine = pd.concat([mine, both])
    rows = [
        {str(key): value for key, value in row.items()} | {"in_pair": pair is not None}
        for row in mine.to_dict(orient="records")
    ]

    def clauses(of: Sequence[Row]) -> str:
        return together(run, of, [unanswered.leaves_in_doubt(row) for row in of])

    primary = [row for row in rows if row["family"] == PRIMARY]
    if not primary and BASELINE not in run.arms(task):  # all that a pair can be compared by then
        primary = [row for row in rows if row["effect"] == BOTH and row["arm"] == arm]
    primary.sort(key=lambda row: list(OF_PAIR).index(row["effect"]))
    if primary:
        yield f"{name} on {named(run, task)}{_counts(primary)}: {clauses(primary)}."
    controls = [
        row
        for row in rows
        if row["effect"] in (PLACEBO, *HEADROOM)
        and row["arm"] == arm
        and row["family"] != PRIMARY
        and row["status"] == "complete"
    ]
    controls = [row for row in controls if _best_oracle(run, row, controls)]
    if controls:
        yield f"Controls, {model} on {named(run, task)}{_counts(controls)}: {clauses(controls)}."


def _counts(rows: Sequence[Row]) -> str:
    """Return how many questions effects are of; a headroom has its own, in its clause."""
    whole = [row for row in rows if row["effect"] not in HEADROOM]
    return f", n = {whole[0]['n']:,}{in_clusters(whole[0])}" if whole else ""


def _best_oracle(run: Run, row: Row, rows: Sequence[Row]) -> bool:
    """Return whether no other oracle arm is more to the point of a row's headroom.

    Retrieval that finds the gold passage delivers others beside it, so ``fill: retrieved`` shows
    what it could add; gold passages alone show what the others cost.
    """
    if row["effect"] not in HEADROOM:
        return True
    wanted = "retrieved" if row["effect"] == GOLD_MISSING else "none"
    fills = {run.config.arm(r["baseline"]).fill for r in rows if r["effect"] == row["effect"]}
    return run.config.arm(row["baseline"]).fill == wanted or wanted not in fills


def _others(run: Run, effects: pd.DataFrame, unanswered: Unanswered) -> Iterator[str]:
    """Yield the gains of retrieval arms and models that are not primary."""
    arms = {task: retrieval_arms(run, task) for task in run.members("tasks")}
    gains = effects[(effects.stratum == "") & (effects.effect == GAIN)]
    gains = gains[(gains.family != PRIMARY) & ~gains.task.isin(OVER_TASKS)]
    for record in gains.to_dict(orient="records"):
        gain = {str(key): value for key, value in record.items()}
        if gain["arm"] not in arms[gain["task"]] or gain["status"] == "incomplete":
            continue
        changed, ending = f": {points(gain['estimate'])} points", ", not shown"
        if is_shown(run, gain) and unanswered.leaves_in_doubt(gain).sign:
            ending = f", {DEPENDS}"
        elif is_shown(run, gain):
            up = gain["estimate"] > 0
            changed = f" {'gained' if up else 'lost'} {abs(100 * gain['estimate']):.1f} points"
            ending = small(run, gain, "gain" if up else "loss")
        figures = f"{interval(run, gain)}, n = {gain['n']:,}{in_clusters(gain)}"
        if math.isnan(gain["p_adjusted"]) or gain["n"] == 1:
            ending = ", so it is not tested"
        else:
            figures += f", {p_is(gain['p_adjusted'], is_bound=bool(gain['p_is_bound']))}"
        helped = f"{gain['helped']:,} question{'' if gain['helped'] == 1 else 's'} helped"
        yield (
            f"{gain['arm']} on {named(run, gain['task'])} with {gain['model']}{changed} over "
            f"{BASELINE} ({figures}, exploratory){ending}; {helped}, {gain['hurt']:,} hurt."
        )
