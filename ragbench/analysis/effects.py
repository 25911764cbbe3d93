"""What retrieval and fine-tuning bought, paired by question: each effect is a sum of cells."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ragbench.analysis.clusters import cluster_codes
from ragbench.analysis.family import (
    BASELINE,
    BOTH,
    FINE_TUNING,
    GAIN,
    GOLD_DELIVERED,
    GOLD_MISSING,
    HEADROOM,
    INTERACTION,
    ITEMS,
    MACRO,
    OVER_TASKS,
    PLACEBO,
    RANDOM_EFFECTS,
    RETRIEVAL_OR_FINE_TUNING,
    adjusted,
)
from ragbench.analysis.load import Run
from ragbench.analysis.statistics.clustered import FEWEST_CLUSTERS, variance_of_mean
from ragbench.analysis.statistics.estimate import NO_FIGURES, Cells, Settings, estimate, spread
from ragbench.analysis.statistics.pooled import random_effects
from ragbench.analysis.statistics.power import Spread
from ragbench.analysis.stopping import with_sequences
from ragbench.runfolder.config import ArmEntry, ModelEntry

GOLD_GAIN = "gain from gold passages"
ORDER = "order effect"
NEAR_GAIN = "gain over another question's passages"
QUERY_GAIN = "gain from written queries"
FILTER_GAIN = "gain from the filter"
WRITING_GAIN = "gain from written queries and the filter"
ROUNDS_GAIN = "gain from rounds"
# What a control says of the arm that it imitates; all are arm less control, but for headroom,
# which is control less arm.
OF_CONTROL = {
    "random": (PLACEBO,),
    "near": (NEAR_GAIN,),
    "oracle": HEADROOM,
    "oracle-removed": (GOLD_GAIN,),
    "shuffled": (ORDER,),
}
EFFECT_COLUMNS = [
    "effect",
    "model",
    "base",
    "task",
    "arm",
    "baseline",
    "stratum",
    "estimate",
    "se",
    "ci_low",
    "ci_high",
    "p",
    "p_adjusted",
    "family",
    "n",
    "helped",
    "hurt",
    "smallest_detectable",
    "p_equivalence",
    "status",
    "metric",
    "n_clusters",
    "p_exact",
    "p_is_bound",
    "p_equivalence_adjusted",
    "level",
]


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
    ``gain over another question's passages`` (arm less the best ones of other questions),
    ``gain from gold passages`` (arm less the same ranking without gold), ``order effect`` (arm
    less the same passages shuffled). Headroom is gold passages less arm, once over the questions
    ``with gold missing`` from the arm's prompt, and once over those ``with gold delivered``; a
    question without known gold is in neither. ``gain from written queries``, ``gain from the
    filter`` and ``gain from written queries and the filter`` are an arm less the arm of the same
    retrieval without them.

    Of a pair, a biomedical model and the general one it was made from: ``fine-tuning gain``
    (biomedical less general, closed-book), ``retrieval less fine-tuning`` (general with the arm
    less biomedical closed-book), ``fine-tuning gain with retrieval`` (biomedical less general,
    with the arm) and ``interaction`` (gain of the arm in the biomedical model less that in the
    general one).

    Arms of a task with the same prompts are one arm (``analysis.merged``).

    The estimate is the mean over questions of the task's first metric; docs/statistics.md has the
    methods of its interval and tests, which are by cluster where questions come in clusters, and
    missing under eight of them. ``p_adjusted`` and ``p_equivalence_adjusted`` are corrected for the
    number of comparisons within the ``family`` (``analysis.family``); ``smallest_detectable`` is
    at the ``level``. ``p_is_bound`` says that p may be smaller, because random signs show no less.

    The rows of the tasks ``(macro)`` and ``(items)`` average over all tasks, each task counting the
    same, or each question, where all tasks have the same first metric; ``(random effects)`` is the
    meta-analysis of five tasks and more. An effect with an incomplete cell has bounds and no p.

    Args:
        run: The run.

    Returns:
        The columns of EFFECT_COLUMNS; overall (empty stratum) and by stratum.
    """
    return effects_and_spreads(run)[0]


def effects_and_spreads(run: Run) -> tuple[pd.DataFrame, list[Spread | None]]:
    """Return the effects, and for each row what decides the differences that it finds."""
    rows: list[dict[str, Any]] = []
    tasks = run.members("tasks")
    alike = len({run.metrics(task)[0] for task in tasks}) == 1
    for model in run.config.models:
        found: dict[Contrast, dict[str, dict[str, Cells]]] = {}
        for task in tasks:
            for contrast in contrasts(run, task, model):
                if parts := values_of(run, task, contrast):
                    found.setdefault(contrast, {})[task] = parts
                for stratum, cells in parts.items():
                    rows.append(_row(run, contrast, task, stratum, [cells]))
        if len(tasks) > 1 and alike:
            for contrast, by_task in found.items():
                if len(by_task) == len(tasks):
                    rows += _averages(run, contrast, by_task)
    spreads = [row.pop("spread", None) for row in rows]
    table = adjusted(run, pd.DataFrame(rows, columns=EFFECT_COLUMNS))
    levels = zip(spreads, table["level"], strict=True)
    table["smallest_detectable"] = [
        math.nan if found is None else found.smallest(float(level)) for found, level in levels
    ]
    table = with_sequences(run, table)
    counts = dict.fromkeys(("n", "helped", "hurt", "n_clusters"), "Int64")
    return table[EFFECT_COLUMNS].astype(counts | {"p_is_bound": bool}), spreads


def contrasts(run: Run, task: str, model: ModelEntry) -> Iterator[Contrast]:
    """Yield the effects of a model on a task, then those of it and its base."""
    names = [name for name in run.arms(task) if name not in run.same[task]]
    me, base = model.name, model.base
    others = [name for name in names if name != BASELINE]
    if BASELINE in names:
        for arm in others:
            yield Contrast(GAIN, me, "", arm, BASELINE, ((1, me, arm), (-1, me, BASELINE)))
    for control, told in OF_CONTROL.items():
        for effect in told:
            sign = -1 if effect in HEADROOM else 1
            for name, arm in _controls(run, task, control):
                yield Contrast(effect, me, "", arm, name, ((sign, me, arm), (-sign, me, name)))
    for effect, arm, plain in _with_calls(run, task):
        yield Contrast(effect, me, "", arm, plain, ((1, me, arm), (-1, me, plain)))
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


def _controls(run: Run, task: str, control: str) -> Iterator[tuple[str, str]]:
    """Yield the controls of a kind, each with the arm that it is compared with.

    A control may have the prompts of any other arm. It is left out if that is the arm that it
    imitates, or closed-book, or an earlier control of the same arm: nothing else is compared then.
    """
    same, seen = run.same[task], set()
    for name in run.arms(task):
        spec = run.config.arm(name)
        if spec.control == control and spec.like is not None:
            pair = same.get(name, name), same.get(spec.like, spec.like)
            if pair[0] != pair[1] and BASELINE not in pair and pair not in seen:
                seen.add(pair)
                yield name, pair[1]


def _with_calls(run: Run, task: str) -> Iterator[tuple[str, str, str]]:
    """Yield each arm with written queries or a filter, and the same retrieval without them.

    The two agree in retriever, k, budget and order. An arm with both is compared with the arms that
    have one of them or none. Arms with the same prompts are one arm.
    """
    arms = [run.config.arm(name) for name in run.arms(task) if name not in run.same[task]]
    ranked = [arm for arm in arms if arm.k is not None]
    for mine in ranked:
        for other in ranked:
            queries = mine.queries is not None and other.queries is None
            filtered = mine.filter is not None and other.filter is None
            if _retrieval(mine) != _retrieval(other):
                continue
            rounds = mine.rounds is not None and other.rounds is None
            if rounds and other.queries is None and mine.filter == other.filter:
                yield ROUNDS_GAIN, mine.name, other.name
            if mine.rounds != other.rounds:
                continue
            if queries and filtered:
                yield WRITING_GAIN, mine.name, other.name
            elif queries and mine.filter == other.filter:
                yield QUERY_GAIN, mine.name, other.name
            elif filtered and mine.queries == other.queries:
                yield FILTER_GAIN, mine.name, other.name


def _retrieval(arm: ArmEntry) -> ArmEntry:
    """Return an arm without name, queries, rounds and filter; only a fusion has its own depth."""
    depth = arm.depth if arm.fuse else None
    return replace(arm, name="", queries=None, rounds=None, filter=None, tasks=(), depth=depth)


def values_of(run: Run, task: str, contrast: Contrast) -> dict[str, Cells]:
    """Return the signed values for all questions, and for each stratum.

    There are none where no question counts for the headroom of an arm.
    """
    table = table_of(run, task, contrast)
    if table.empty and contrast.effect in HEADROOM:
        return {}
    _, model, arm = contrast.terms[-1]
    asked = run.cell(model, task, arm).set_index("question_id").loc[table.index]
    strata = asked.stratum
    names = [name for name in sorted(strata.unique()) if name]
    values = table.to_numpy(dtype=float)
    parts = {"": Cells(values, cluster_codes(run, task, asked))}
    if len(names) > 1:
        for name in names:
            held = (strata == name).to_numpy()
            parts[name] = Cells(values[held], cluster_codes(run, task, asked[held]))
    return parts


def table_of(run: Run, task: str, contrast: Contrast) -> pd.DataFrame:
    """Return the signed values by question, in the order asked, of what all its cells were asked.

    NaN is a missing answer.
    """
    metric = run.metrics(task)[0]
    columns, failed = [], []
    for sign, model, arm in contrast.terms:
        cell = run.cell(model, task, arm).set_index("question_id")
        columns.append(sign * cell[metric])
        failed.append(cell.outcome == "error")
    table = pd.concat(columns, axis=1, join="inner")
    missing = pd.concat(failed, axis=1, join="inner").any(axis=1)
    # A metric may have no value for a question that was answered: it is then not compared.
    table = table[missing.loc[table.index] | table.notna().all(axis=1)]
    if contrast.effect in HEADROOM:
        table = table[_gold(run, task, contrast).loc[table.index]]
    return table


def _gold(run: Run, task: str, contrast: Contrast) -> pd.Series[bool]:
    """Return by question whether headroom counts it: by what its arm delivered of known gold."""
    cell = run.cell(contrast.model, task, contrast.arm).set_index("question_id")
    wanted = {GOLD_MISSING: cell.gold_delivered == 0, GOLD_DELIVERED: cell.gold_delivered > 0}
    return cell.has_gold.astype(bool) & wanted[contrast.effect]


def _averages(
    run: Run, contrast: Contrast, by_task: dict[str, dict[str, Cells]]
) -> Iterator[dict[str, Any]]:
    """Yield the averages over tasks; by stratum where every task has the same strata."""
    strata = [list(parts) for parts in by_task.values()]
    for stratum in strata[0] if all(names == strata[0] for names in strata) else [""]:
        cells = [parts[stratum] for parts in by_task.values()]
        items = _row(run, contrast, ITEMS, stratum, [_joined(cells)])
        yield _row(run, contrast, MACRO, stratum, cells)
        yield items
        if items["status"] == "complete" and items["n"]:
            yield from _random_effects(run, items, cells)


def _random_effects(
    run: Run, items: dict[str, Any], cells: list[Cells]
) -> Iterator[dict[str, Any]]:
    """Yield what a model of all tasks says of the same effect."""
    parts = [(part.differences, part.clusters) for part in cells]
    few = any(c is not None and np.unique(c).size < FEWEST_CLUSTERS for _, c in parts)
    if few or not all(values.size for values, _ in parts):
        return
    over = random_effects(
        [float(values.mean()) for values, _ in parts],
        [variance_of_mean(values, clusters) for values, clusters in parts],
        alpha=run.config.analysis.alpha,
    )
    if not math.isnan(over.estimate):
        figures = {"estimate": over.estimate, "se": over.error, "p": over.p}
        figures |= {"ci_low": over.low, "ci_high": over.high}
        blank = {"helped": None, "hurt": None, "spread": None}
        yield items | {"task": RANDOM_EFFECTS} | NO_FIGURES | figures | blank


def _joined(cells: list[Cells]) -> Cells:
    """Return the questions of all tasks as one; a question without a cluster is one of its own."""
    values = np.concatenate([part.values for part in cells])
    if all(part.clusters is None for part in cells):
        return Cells(values, None)
    codes, start = [], 0
    for part in cells:
        own = np.arange(len(part.values)) if part.clusters is None else part.clusters
        codes.append(own + start)
        start += len(part.values)
    return Cells(values, np.concatenate(codes))


def _row(
    run: Run, contrast: Contrast, task: str, stratum: str, cells: list[Cells]
) -> dict[str, Any]:
    """Return one row; ``cells`` has a member for each task that counts the same."""
    values = [part.values for part in cells]
    base = {
        "effect": contrast.effect,
        "model": contrast.model,
        "base": contrast.base,
        "task": task,
        "arm": contrast.arm,
        "baseline": contrast.baseline,
        "stratum": stratum,
        "n": sum(len(part) for part in values),
        "metric": run.metrics(task if task not in OVER_TASKS else run.members("tasks")[0])[0],
        "n_clusters": _n_clusters(cells),
    }
    signs = np.array([sign for sign, _, _ in contrast.terms], dtype=float)
    if any(np.isnan(part).any() for part in values):
        # A missing answer may be 0, or 1 with its sign.
        ends = [
            np.mean([np.where(np.isnan(part), worst, part).sum(axis=1).mean() for part in values])
            for worst in (np.minimum(signs, 0), np.maximum(signs, 0))
        ]
        low, high = (float(end) for end in ends)
        return base | NO_FIGURES | {"ci_low": low, "ci_high": high, "status": "incomplete"}
    names = [str(base[key]) for key in ("arm", "baseline", "effect", "model", "stratum", "task")]
    found = estimate(cells, Settings.of(run.config), names)
    changes = spread(cells) if all(len(part) for part in values) else None
    return base | found | {"status": "complete", "spread": changes}


def _n_clusters(cells: list[Cells]) -> int | None:
    if all(part.clusters is None for part in cells):
        return None
    counts = [
        len(part.values) if part.clusters is None else np.unique(part.clusters).size
        for part in cells
    ]
    return int(sum(counts))
