"""The verdict: sentences about a run that are no stronger than its figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from ragbench.analysis.clusters import repeats
from ragbench.analysis.family import (
    BASELINE,
    BOTH,
    FINE_TUNING,
    GAIN,
    HEADROOM,
    INTERACTION,
    ITEMS,
    MACRO,
    OF_PAIR,
    OVER_TASKS,
    PLACEBO,
    PRIMARY,
    RETRIEVAL_OR_FINE_TUNING,
    primary_arm,
    primary_of,
    retrieval_arms,
)
from ragbench.analysis.load import Run
from ragbench.analysis.panels.policies import POLICIES, policies, unread_rates
from ragbench.base.pairs import Pair, pairs_of
from ragbench.report.tables import coverage, p_value, percent, points

# Text before the size of an effect that was shown (better, worse), and text after it.
SHOWN = {
    GAIN: ("retrieval ({arm}) gained", "retrieval ({arm}) lost", ""),
    FINE_TUNING: ("fine-tuning gained", "fine-tuning lost", ""),
    RETRIEVAL_OR_FINE_TUNING: (
        "the general model with {arm} was",
        "the general model with {arm} was",
        " {side} than the biomedical one without",
    ),
    BOTH: (
        "with {arm} the biomedical model was",
        "with {arm} the biomedical model was",
        " {side} than the general one",
    ),
    INTERACTION: (
        "retrieval gave the biomedical model",
        "retrieval gave the biomedical model",
        " {more} than the general one",
    ),
    PLACEBO: ("{arm} gave", "{arm} gave", " {more} than random passages of the same length"),
    HEADROOM: ("gold passages gave", "gold passages gave", " {more} than {arm}"),
}
Row = Mapping[str, Any]


def verdict(run: Run, effects: pd.DataFrame) -> list[str]:
    """Return sentences: what the run cannot show, then what it shows.

    The order is limits, primary effects, averages over tasks, replies without an answer, and the
    other retrieval arms. An effect is *shown* where its adjusted p is under alpha and its interval
    excludes zero. One that is not shown is never called absent: either the equivalence test finds
    it smaller than the margin, or the sentence gives the difference that this n detects.
    """
    pairs = pairs_of(run.config.bases())
    paired = {name for pair in pairs for name in (pair.biomedical, pair.general)}
    alone = [name for name in run.members("models") if name not in paired]
    lines = list(_cannot(run, pairs))
    for task in primary_of(run).tasks:
        for pair in pairs:
            lines += _of(run, effects, task, str(pair), pair)
        for model in alone:
            lines += _of(run, effects, task, model, None)
    for pair in pairs:
        lines += _averages(run, effects, str(pair), _of_pair(pair))
    for model in alone:
        lines += _averages(run, effects, model, {GAIN: (model, "")})
    return [*lines, *_unread(run), *_others(run, effects)]


def _cannot(run: Run, pairs: list[Pair]) -> Iterator[str]:
    """Yield the limits that the design of the run, or its answers, set."""
    if not pairs:
        yield (
            "The run has no biomedical model together with its base, so it cannot show an effect "
            "of fine-tuning."
        )
    for task in run.members("tasks"):
        arms = run.arms(task)
        if BASELINE not in arms:
            yield f"{task} has no closed-book arm, so the run cannot show a gain from retrieval."
        if not retrieval_arms(run, task):
            yield f"{task} has no retrieval arm, so the run cannot show a gain from retrieval."
        cells = run.scores[run.scores.task == task]
        n = cells.question_id.nunique()
        if n == 1:
            yield f"{task} has a single question, which supports no conclusion about others."
        if again := repeats(run, task):
            verb = "repeat" if again > 1 else "repeats"
            yield (
                f"{again:,} of the {n:,} questions of {task} {verb} another one; a question and "
                "its repeats count as one cluster."
            )
        yield from _failed(cells)
        yield from _short(run, task, cells)
        yield from _no_spread(run, task, cells)


def _failed(cells: pd.DataFrame) -> Iterator[str]:
    for (model, task, arm), cell in cells.groupby(["model", "task", "arm"], sort=False):
        if failed := int((cell.outcome == "error").sum()):
            yield (
                f"{model} on {task}, {arm}: {failed:,} of {len(cell):,} questions have no answer; "
                "its figures are bounds, and nothing is tested."
            )


def _short(run: Run, task: str, cells: pd.DataFrame) -> Iterator[str]:
    """Yield the random controls that deliver less than the arm that they imitate."""
    for arm in run.arms(task):
        spec = run.config.arm(arm)
        if spec.control != "random" or "shortfall_tokens" not in cells:
            continue
        cell = cells[cells.arm == arm].drop_duplicates("question_id")  # of all models the same
        short = cell[cell.shortfall_tokens > 0]
        if len(short):
            share = short.passage_tokens / (short.passage_tokens + short.shortfall_tokens)
            yield (
                f"{arm} on {task} is more than 10 % shorter than {spec.like} for {len(short):,} of "
                f"{len(cell):,} questions (down to {percent(float(share.min()))} of its tokens)."
            )


def _no_spread(run: Run, task: str, cells: pd.DataFrame) -> Iterator[str]:
    metric = run.metrics(task)[0]
    for model, cell in cells.groupby("model", sort=False):
        values = cell[metric].dropna()
        if len(cell) > 1 and len(values) == len(cell) and values.nunique() == 1:
            value = float(values.iloc[0])
            what = {1.0: "right", 0.0: "wrong"}.get(value, f"scored {value:g}")
            yield (
                f"{model} on {task}: every answer is {what} in every arm, so these questions "
                "cannot separate the arms."
            )


def _of(run: Run, effects: pd.DataFrame, task: str, name: str, pair: Pair | None) -> Iterator[str]:
    """Yield one sentence on the primary effects, and one on the controls."""
    arm = primary_arm(run, task)
    found = effects[(effects.task == task) & (effects.stratum == "")]
    model = name if pair is None else pair.general
    mine = found[(found.model == model) & (found.base == "")]
    if pair is not None:
        both = found[(found.model == pair.biomedical) & (found.base == pair.general)]
        mine = pd.concat([mine, both])
    rows = [{str(k): v for k, v in row.items()} for row in mine.to_dict(orient="records")]
    primary = [row for row in rows if row["family"] == PRIMARY]
    primary.sort(key=lambda row: list(OF_PAIR).index(row["effect"]))
    if primary:
        if any(row["status"] == "incomplete" for row in primary):
            yield f"{name} on {task}: some questions have no answer yet, so nothing is tested."
            return
        counts = f"n = {primary[0]['n']:,}" + _clusters(primary[0])
        yield f"{name} on {task}, {counts}: {'; '.join(_said(run, row) for row in primary)}."
    controls = [
        row
        for row in rows
        if row["effect"] in (PLACEBO, HEADROOM)
        and row["arm"] == arm
        and row["family"] != PRIMARY
        and row["status"] == "complete"
    ]
    if controls:
        said = "; ".join(_said(run, row) for row in controls)
        yield f"Controls, {model} on {task}: {said}."


def _clusters(row: Row) -> str:
    return "" if pd.isna(row["n_clusters"]) else f" in {row['n_clusters']} clusters"


def _said(run: Run, row: Row) -> str:
    """Return the clause on one effect, no stronger than its test and interval."""
    alpha = run.config.analysis.alpha
    margin = run.config.analysis.equivalence_margin
    low, high = row["ci_low"], row["ci_high"]
    by = " by Holm" if row["family"] == PRIMARY else ", exploratory"
    figures = f"{interval(run, low, high)}, p = {p_value(row['p_adjusted'])}{by}"
    outside = not math.isnan(low) and (low > 0 or high < 0)
    if outside and row["p_adjusted"] < alpha:
        return f"{_shown(row)} ({figures})"
    name = OF_PAIR[row["effect"]] if row["effect"] != GAIN else f"retrieval gain ({row['arm']})"
    text = f"{name} {points(row['estimate'])} points ({figures})"
    if row["p_equivalence"] < alpha:
        return (
            f"{text}, equivalent to zero within {100 * margin:g} points "
            f"(p = {p_value(row['p_equivalence'])})"
        )
    if outside and row["p"] < alpha:
        text += ", not shown after adjustment for the number of comparisons"
    elif not math.isnan(low):
        text += ", not shown to differ from zero"
    least = row["smallest_detectable"]
    if math.isnan(least):
        return text
    found = f"{100 * least:.1f} points would be found four times in five"
    return f"{text}; with this n, a true difference of {found}"


def _shown(row: Row) -> str:
    better, worse, after = SHOWN[row["effect"]]
    up = row["estimate"] > 0
    places = {
        "arm": row["arm"],
        "side": "better" if up else "worse",
        "more": "more" if up else "less",
    }
    size = f"{abs(100 * row['estimate']):.1f} points"
    return f"{(better if up else worse).format_map(places)} {size}{after.format_map(places)}"


def interval(run: Run, low: float, high: float) -> str:
    """Return an interval in points; a single cluster has none."""
    if math.isnan(low):
        return "one cluster, so no interval"
    return f"{coverage(run)} interval {points(low)} to {points(high)}"


def _averages(
    run: Run, effects: pd.DataFrame, name: str, wanted: dict[str, tuple[str, str]]
) -> Iterator[str]:
    """Yield both averages over tasks of each effect, and whether their signs differ."""
    arm = primary_arm(run, MACRO)
    found = effects[effects.stratum == ""]
    for effect, (model, base) in wanted.items():
        mine = found[(found.effect == effect) & (found.model == model) & (found.base == base)]
        if effect != FINE_TUNING:
            mine = mine[mine.arm == arm]
        macro, items = (
            mine[mine.task == kind].to_dict(orient="records") for kind in (MACRO, ITEMS)
        )
        if not macro or macro[0]["status"] == "incomplete":
            continue
        called = OF_PAIR[effect] if effect == FINE_TUNING else f"{OF_PAIR[effect]} ({arm})"
        one, other = (
            f"{points(row['estimate'])} ({interval(run, row['ci_low'], row['ci_high'])})"
            for row in (macro[0], items[0])
        )
        text = (
            f"{name}, {called} over {len(run.members('tasks'))} tasks: {one} with every task "
            f"counted the same, {other} with every question counted the same"
        )
        if macro[0]["estimate"] * items[0]["estimate"] < 0:
            text += "; the sign depends on the average, so neither should be quoted alone"
        yield text + "."


def _of_pair(pair: Pair) -> dict[str, tuple[str, str]]:
    mine = (pair.biomedical, pair.general)
    return {
        GAIN: (pair.general, ""),
        FINE_TUNING: mine,
        RETRIEVAL_OR_FINE_TUNING: mine,
        INTERACTION: mine,
    }


def _unread(run: Run) -> Iterator[str]:
    """Yield the arms that change how often a reply has no answer, with the gain by policy."""
    rates, counted = unread_rates(run), policies(run)
    alpha = run.config.analysis.alpha
    for row in rates[rates.p_adjusted < alpha].to_dict(orient="records"):
        cell = counted[
            (counted.model == row["model"])
            & (counted.task == row["task"])
            & (counted.arm == row["arm"])
        ].set_index("policy")
        wrong, chance, both = (points(float(cell.gain[name])) for name in POLICIES)
        yield (
            f"{row['model']} on {row['task']}: replies without an answer are "
            f"{percent(row['baseline_rate'])} closed-book and {percent(row['rate'])} with "
            f"{row['arm']} (p = {p_value(row['p_adjusted'])}, exploratory). The gain of "
            f"{row['arm']} is {wrong} points if they count as wrong, {chance} if as chance, and "
            f"{both} on the questions that have an answer in both arms."
        )


def _others(run: Run, effects: pd.DataFrame) -> Iterator[str]:
    """Yield the gains of retrieval arms and models that are not primary."""
    arms = {task: retrieval_arms(run, task) for task in run.members("tasks")}
    gains = effects[(effects.stratum == "") & (effects.effect == GAIN)]
    gains = gains[(gains.family != PRIMARY) & ~gains.task.isin(OVER_TASKS)]
    for gain in gains.to_dict(orient="records"):
        if gain["arm"] not in arms[gain["task"]] or gain["status"] == "incomplete":
            continue
        low, high = gain["ci_low"], gain["ci_high"]
        size = f"{abs(100 * gain['estimate']):.1f} points"
        changed = f"gained {size}" if gain["estimate"] > 0 else f"lost {size}"
        if gain["estimate"] == 0:
            changed = "neither gained nor lost"
        sure = "" if math.isnan(low) or low > 0 or high < 0 else "; the interval includes zero"
        yield (
            f"{gain['arm']} on {gain['task']} with {gain['model']} {changed} over {BASELINE} "
            f"({interval(run, low, high)}, n = {gain['n']:,}): "
            f"{gain['helped']} questions helped, {gain['hurt']} hurt, exploratory "
            f"p = {p_value(gain['p_adjusted'])}{sure}."
        )
