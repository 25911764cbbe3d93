"""What retrieval and fine-tuning bought, paired by question: each effect is a sum of cells."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ragbench.analysis.intervals import bootstrap_mean_of_means, seeded
from ragbench.analysis.load import Run
from ragbench.analysis.paired import discordance, sign_flip, smallest_detectable

BASELINE = "closed-book"
GAIN = "gain over closed-book"
PLACEBO = "placebo-corrected gain"
HEADROOM = "headroom"
GOLD_GAIN = "gain from gold passages"
ORDER = "order effect"
FINE_TUNING = "fine-tuning gain"
RETRIEVAL_OR_FINE_TUNING = "retrieval less fine-tuning"
BOTH = "fine-tuning gain with retrieval"
INTERACTION = "interaction"
# What a control says of the arm that it imitates; all are arm less control, but for headroom,
# which is control less arm.
OF_CONTROL = {
    "random": PLACEBO,
    "oracle": HEADROOM,
    "oracle-removed": GOLD_GAIN,
    "shuffled": ORDER,
}
MACRO, ITEMS = "(macro)", "(items)"  # in the column task: no task can have such a name
EFFECT_COLUMNS = [
    "effect",
    "model",
    "base",
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
    "smallest_detectable",
    "status",
]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Contrast:
    """One effect: cells of one task, each added or taken away, question by question.

    Attributes:
        effect: Its name.
        model: The model; of a pair the biomedical one.
        base: The general model of a pair; empty where the effect is of one model.
        arm: The arm.
        baseline: What stands against it.
        terms: (sign, model, arm) of each cell.
    """

    effect: str
    model: str
    base: str
    arm: str
    baseline: str
    terms: tuple[tuple[int, str, str], ...]


def effects(run: Run) -> pd.DataFrame:
    """Return the effects of retrieval and of fine-tuning, paired by question.

    Of one model: ``gain over closed-book`` (arm less closed-book), and against the controls that
    imitate an arm ``placebo-corrected gain`` (arm less random passages of the same length),
    ``gain from gold passages`` (arm less the same ranking without gold), ``order effect`` (arm
    less the same passages shuffled) and ``headroom`` (gold passages less arm).

    Of a pair, a biomedical model and the general one it was made from: ``fine-tuning gain``
    (biomedical less general, closed-book), ``retrieval less fine-tuning`` (general with the arm
    less biomedical closed-book), ``fine-tuning gain with retrieval`` (biomedical less general,
    with the arm) and ``interaction`` (gain of the arm in the biomedical model less that in the
    general one).

    The estimate is the mean over questions; its interval is the percentile bootstrap over
    questions. p is McNemar's exact where two cells of 0 and 1 are compared, else that of a
    sign-flip permutation; neither is corrected for the number of comparisons. The rows of the
    tasks ``(macro)`` and ``(items)`` average over all tasks, each task counting the same, or each
    question. An effect with an incomplete cell has bounds and no p.

    Args:
        run: The run.

    Returns:
        The columns of EFFECT_COLUMNS; overall (empty stratum) and by stratum.
    """
    rows: list[dict[str, Any]] = []
    tasks = run.members("tasks")
    found: dict[Contrast, dict[str, dict[str, Values]]] = {}
    for model in run.config["models"]:
        for task in tasks:
            for contrast in _contrasts(run, task, model):
                parts = _values(run, task, contrast)
                found.setdefault(contrast, {})[task] = parts
                for stratum, values in parts.items():
                    rows.append(_row(run, contrast, task, stratum, [values]))
        if len(tasks) > 1:
            for contrast, by_task in found.items():
                if contrast.model == model["name"] and len(by_task) == len(tasks):
                    rows += _averages(run, contrast, by_task)
    return pd.DataFrame(rows, columns=EFFECT_COLUMNS).astype(
        {"n": "Int64", "helped": "Int64", "hurt": "Int64"}
    )


def _contrasts(run: Run, task: str, model: dict[str, Any]) -> Iterator[Contrast]:
    """Yield the effects of a model on a task, then those of it and its base."""
    names = run.arms(task)
    specs = {arm["name"]: arm for arm in run.config["arms"]}
    me, base = model["name"], model["base"]
    others = [name for name in names if name != BASELINE]
    if BASELINE in names:
        for arm in others:
            yield Contrast(GAIN, me, "", arm, BASELINE, ((1, me, arm), (-1, me, BASELINE)))
    for control, effect in OF_CONTROL.items():
        for name in names:
            if specs[name]["control"] == control:
                arm = specs[name]["like"]
                sign = -1 if effect == HEADROOM else 1
                yield Contrast(effect, me, "", arm, name, ((sign, me, arm), (-sign, me, name)))
    if base is None:
        return
    if BASELINE in names:
        closed = ((1, me, BASELINE), (-1, base, BASELINE))
        yield Contrast(FINE_TUNING, me, base, BASELINE, BASELINE, closed)
        for arm in others:
            terms = ((1, base, arm), (-1, me, BASELINE))
            yield Contrast(RETRIEVAL_OR_FINE_TUNING, me, base, arm, BASELINE, terms)
    for arm in others:
        yield Contrast(BOTH, me, base, arm, arm, ((1, me, arm), (-1, base, arm)))
    if BASELINE in names:
        for arm in others:
            whole = ((1, me, arm), (-1, me, BASELINE), (-1, base, arm), (1, base, BASELINE))
            yield Contrast(INTERACTION, me, base, arm, BASELINE, whole)


def _values(run: Run, task: str, contrast: Contrast) -> dict[str, Values]:
    """Return, for all questions and for each stratum, an (N, terms) array of signed values."""
    metric = run.metrics(task)[0]
    columns = []
    for sign, model, arm in contrast.terms:
        cell = run.cell(model, task, arm).set_index("question_id")
        columns.append(sign * cell[metric])
        strata = cell.stratum
    table = pd.concat(columns, axis=1, join="inner")
    strata = strata.loc[table.index]
    names = [name for name in sorted(strata.unique()) if name]
    values = table.to_numpy(dtype=float)
    parts = {"": values}
    if len(names) > 1:
        parts |= {name: values[(strata == name).to_numpy()] for name in names}
    return parts


def _averages(
    run: Run, contrast: Contrast, by_task: dict[str, dict[str, Values]]
) -> Iterator[dict[str, Any]]:
    """Yield the averages over tasks; by stratum where every task has the same strata."""
    strata = [list(parts) for parts in by_task.values()]
    for stratum in strata[0] if all(names == strata[0] for names in strata) else [""]:
        values = [parts[stratum] for parts in by_task.values()]
        yield _row(run, contrast, MACRO, stratum, values)
        yield _row(run, contrast, ITEMS, stratum, [np.concatenate(values)])


def _row(
    run: Run, contrast: Contrast, task: str, stratum: str, values: list[Values]
) -> dict[str, Any]:
    """Return one row; ``values`` holds an array for each task that counts the same."""
    base = {
        "effect": contrast.effect,
        "model": contrast.model,
        "base": contrast.base,
        "task": task,
        "arm": contrast.arm,
        "baseline": contrast.baseline,
        "stratum": stratum,
        "n": sum(len(part) for part in values),
    }
    signs = np.array([sign for sign, _, _ in contrast.terms], dtype=float)
    if any(np.isnan(part).any() for part in values):
        # What is lacking may be 0, or 1 with its sign.
        ends = [
            np.mean([np.where(np.isnan(part), worst, part).sum(axis=1).mean() for part in values])
            for worst in (np.minimum(signs, 0), np.maximum(signs, 0))
        ]
        nan = {"estimate": math.nan, "p": math.nan, "smallest_detectable": math.nan}
        low, high = (float(end) for end in ends)
        return base | nan | {"ci_low": low, "ci_high": high, "status": "incomplete"}
    return base | _estimate(run, base, values) | {"status": "complete"}


def _estimate(run: Run, base: dict[str, Any], values: list[Values]) -> dict[str, Any]:
    config = run.config
    alpha, resamples = config["analysis"]["alpha"], config["analysis"]["resamples"]
    differences = [part.sum(axis=1) for part in values]
    names = [str(base[key]) for key in ("arm", "baseline", "effect", "model", "stratum", "task")]
    low, high = bootstrap_mean_of_means(
        differences, seeded(config["seed"], *names), resamples=resamples, alpha=alpha
    )
    pooled = np.concatenate(differences)
    exact = len(values) == 1 and values[0].shape[1] == 2
    if exact:
        p = discordance(-values[0].min(axis=1), values[0].max(axis=1)).p
    else:
        p = sign_flip(differences, seeded(config["seed"], "sign-flip", *names), draws=resamples)
    return {
        "estimate": float(np.mean([part.mean() for part in differences])),
        "ci_low": low,
        "ci_high": high,
        "p": p,
        "helped": int((pooled > 0).sum()),
        "hurt": int((pooled < 0).sum()),
        "smallest_detectable": smallest_detectable(differences, alpha=alpha),
    }
