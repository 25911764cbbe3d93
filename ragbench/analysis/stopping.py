"""Figures of effects in a run that may stop early."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from ragbench.analysis.load import Run
from ragbench.analysis.statistics.estimate import Cells, Settings, Tested, interval_and_p
from ragbench.base.errors import UsageError
from ragbench.runfolder.looks.stopped import EffectDecision, EffectLook

KEYS = ["effect", "model", "base", "task", "arm", "baseline"]
VOID = [
    *("ci_low", "ci_high", "p", "p_exact", "p_equivalence"),
    *("p_adjusted", "p_equivalence_adjusted", "smallest_detectable"),
]


def with_sequences(run: Run, table: pd.DataFrame) -> pd.DataFrame:
    """Return effects with the figures that hold for a run which may stop early.

    The primary effects have the interval and the p of their sequence, and of the last test where
    all questions were asked. Other effects of a stopped run have neither: when it stopped depended
    on the answers.
    """
    if run.stopped is None or not run.stopped.looks:
        return table
    table = table.copy()
    named = {effect.name: effect for effect in run.stopped.effects}
    for place, row in enumerate(table.to_dict(orient="records")):
        index = table.index[place]
        found = None if row["stratum"] else named.get(tuple(row[key] for key in KEYS))
        if row["status"] != "complete":
            continue
        if found is not None:
            last = found.looks[-1]
            for column, value in _figures(found, last):
                table.loc[index, column] = value
        elif run.is_stopped:
            table.loc[index, VOID] = math.nan
    return table


def _figures(found: EffectDecision, last: EffectLook) -> Iterator[tuple[str, float | bool]]:
    yield "ci_low", last.low
    yield "ci_high", last.high
    yield "p", last.p
    yield "p_exact", math.nan
    yield "p_is_bound", False
    yield "p_equivalence", last.p_equivalence
    yield "p_adjusted", found.p_adjusted
    yield "p_equivalence_adjusted", found.p_equivalence_adjusted


def fixed_test(run: Run, cells: Cells, names: Sequence[str]) -> Tested | None:
    """Return interval and test of a difference; None of a run that its answers have stopped."""
    if run.is_stopped:
        return None
    return interval_and_p([cells], Settings.of(run.config), names)


def check_whole(run: Run) -> None:
    """Check that a run was not stopped by its answers.

    Raises:
        UsageError: It was.
    """
    if run.is_stopped:
        raise UsageError(
            "the run stopped when its effects were decided, so that its answers decided how "
            "many questions it has",
            where=str(run.path),
            fix="ask the rest first: ragbench run CONFIG --until all",
        )


def trajectories(run: Run) -> pd.DataFrame:
    """Return one row per look and primary effect; empty for a run that is not looked at."""
    rows = [
        dict(zip(KEYS, effect.name, strict=True))
        | {"look": number, "n": look.n, "estimate": look.estimate}
        | {"low": look.low, "high": look.high, "e_value": look.e_value}
        | {"p": look.p, "p_equivalence": look.p_equivalence}
        | {"verdict": effect.verdict, "decided_at": effect.decided_at}
        for effect in (() if run.stopped is None else run.stopped.effects)
        for number, look in enumerate(effect.looks, 1)
    ]
    return pd.DataFrame(rows)
