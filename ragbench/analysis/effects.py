"""What each arm bought, paired by question: against closed-book, and against its controls."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from ragbench.analysis.intervals import bootstrap_mean, seeded
from ragbench.analysis.load import Run
from ragbench.analysis.paired import discordance

BASELINE = "closed-book"
GAIN = "gain over closed-book"
PLACEBO = "placebo-corrected gain"
HEADROOM = "headroom"
GOLD_GAIN = "gain from gold passages"
ORDER = "order effect"
# What a control says of the arm that it imitates; all are arm less control, but for headroom,
# which is control less arm.
OF_CONTROL = {
    "random": PLACEBO,
    "oracle": HEADROOM,
    "oracle-removed": GOLD_GAIN,
    "shuffled": ORDER,
}
EFFECT_COLUMNS = [
    "effect",
    "model",
    "task",
    "arm",
    "baseline",
    "stratum",
    "estimate",
    "ci_low",
    "ci_high",
    "p",
    "n",
    "helped",
    "hurt",
    "status",
]


def effects(run: Run) -> pd.DataFrame:
    """Return the effects of each arm, paired by question.

    ``gain over closed-book`` is arm less closed-book. Against the controls that imitate an arm:
    ``placebo-corrected gain`` (arm less random passages of the same length), ``gain from gold
    passages`` (arm less the same ranking without gold), ``order effect`` (arm less the same
    passages shuffled) and ``headroom`` (gold passages less arm); ``baseline`` names the control.
    The estimate is the difference of the accuracies; its interval is the percentile bootstrap
    over questions; p is McNemar's exact, not corrected for the number of comparisons. A pair
    with an incomplete cell has bounds and no p.

    Args:
        run: The run.

    Returns:
        The columns of EFFECT_COLUMNS; overall (empty stratum) and by stratum.
    """
    rows: list[dict[str, Any]] = []
    for model in run.members("models"):
        for task in run.members("tasks"):
            for effect, arm, baseline in _comparisons(run, task):
                less, more = (arm, baseline) if effect == HEADROOM else (baseline, arm)
                names = {
                    "effect": effect,
                    "model": model,
                    "task": task,
                    "arm": arm,
                    "baseline": baseline,
                }
                before, after = run.cell(model, task, less), run.cell(model, task, more)
                rows += _by_stratum(run, names, before, after)
    return pd.DataFrame(rows, columns=EFFECT_COLUMNS).astype(
        {"n": "Int64", "helped": "Int64", "hurt": "Int64"}
    )


def _comparisons(run: Run, task: str) -> Iterator[tuple[str, str, str]]:
    """Yield (effect, arm, baseline) of a task."""
    names = run.arms(task)
    specs = {arm["name"]: arm for arm in run.config["arms"]}
    if BASELINE in names:
        yield from ((GAIN, name, BASELINE) for name in names if name != BASELINE)
    for control, effect in OF_CONTROL.items():
        for name in names:
            if specs[name]["control"] == control:
                yield effect, specs[name]["like"], name


def _by_stratum(
    run: Run, names: dict[str, str], before: pd.DataFrame, after: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    joined = before.merge(after, on=["question_id", "stratum"], suffixes=("_before", "_after"))
    strata = [s for s in sorted(joined.stratum.unique()) if s]
    for stratum in ["", *(strata if len(strata) > 1 else [])]:
        part = joined[joined.stratum == stratum] if stratum else joined
        base = names | {"stratum": stratum}
        yield base | _effect(run, part, base)


def _effect(run: Run, part: pd.DataFrame, base: dict[str, Any]) -> dict[str, Any]:
    config = run.config
    metric = run.metrics(base["task"])[0]
    before = part[f"{metric}_before"].to_numpy(dtype=float)
    after = part[f"{metric}_after"].to_numpy(dtype=float)
    if np.isnan(before).any() or np.isnan(after).any():
        low = (np.nan_to_num(after, nan=0.0) - np.nan_to_num(before, nan=1.0)).mean()
        high = (np.nan_to_num(after, nan=1.0) - np.nan_to_num(before, nan=0.0)).mean()
        return {
            "estimate": math.nan,
            "ci_low": float(low),
            "ci_high": float(high),
            "p": math.nan,
            "n": len(part),
            "status": "incomplete",
        }
    found = discordance(before, after)
    draw = seeded(config["seed"], *(str(base[key]) for key in sorted(base)))
    low, high = bootstrap_mean(
        after - before,
        draw,
        resamples=config["analysis"]["resamples"],
        alpha=config["analysis"]["alpha"],
    )
    return {
        "estimate": float((after - before).mean()),
        "ci_low": low,
        "ci_high": high,
        "p": found.p,
        "n": found.n,
        "helped": found.helped,
        "hurt": found.hurt,
        "status": "complete",
    }
