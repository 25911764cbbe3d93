"""The verdict: sentences about a run that are no stronger than its figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from ragbench.analysis.family import (
    BASELINE,
    BOTH,
    FINE_TUNING,
    GAIN,
    GOLD_DELIVERED,
    GOLD_MISSING,
    HEADROOM,
    INTERACTION,
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
from ragbench.report.averages import averages, averages_alone
from ragbench.report.tables import interval, p_value, percent, points

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
    GOLD_MISSING: (
        "on {questions} without a gold passage in {arm}, {gold} gave",
        "on {questions} without a gold passage in {arm}, {gold} gave",
        " {more} than {arm}",
    ),
    GOLD_DELIVERED: (
        "on {questions} with a gold passage in {arm}, {gold} gave",
        "on {questions} with a gold passage in {arm}, {gold} gave",
        " {more} than {arm}",
    ),
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
        lines += averages(run, effects, pair)
    for model in alone:
        lines += averages_alone(run, effects, model)
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
        yield from _merged(run, task)
        if not retrieval_arms(run, task):
            none = f"{task} has no retrieval arm"
            if any(run.config.arm(arm).control is None for arm in run.same[task]):
                none = f"No retrieval arm of {task} changes a prompt"
            yield f"{none}, so the run cannot show a gain from retrieval."
        cells = run.scores[run.scores.task == task]
        n = cells.question_id.nunique()
        if n == 1:
            yield f"{task} has a single question, which supports no conclusion about others."
        yield from _failed(cells)
        yield from _no_spread(run, task, cells)


def _merged(run: Run, task: str) -> Iterator[str]:
    """Yield the arms that are one arm, because each question had the same prompt in all of them."""
    same = run.same[task]
    for kept in dict.fromkeys(same.values()):
        *names, last = [kept, *(arm for arm, other in same.items() if other == kept)]
        yield (
            f"On {task}, the arms {', '.join(names)} and {last} gave the same prompts; they are "
            f"one arm, {kept}, in the tables of effects."
        )


def _failed(cells: pd.DataFrame) -> Iterator[str]:
    for (model, task, arm), cell in cells.groupby(["model", "task", "arm"], sort=False):
        if failed := int((cell.outcome == "error").sum()):
            yield (
                f"{model} on {task}, {arm}: {failed:,} of {len(cell):,} questions have no answer; "
                "its figures are bounds, and nothing is tested."
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
        whole = [row for row in primary if row["effect"] not in HEADROOM]  # which has its own n
        counts = f", n = {whole[0]['n']:,}" + _clusters(whole[0]) if whole else ""
        yield f"{name} on {task}{counts}: {'; '.join(_said(run, row) for row in primary)}."
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
        said = "; ".join(_said(run, row) for row in controls)
        yield f"Controls, {model} on {task}: {said}."


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
        return f"{_shown(run, row)} ({figures})"
    name = OF_PAIR[row["effect"]]
    if row["effect"] == GAIN:
        name += f" ({row['arm']})"
    if row["effect"] in HEADROOM:
        name += f" ({row['baseline']}, n = {row['n']:,})"
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


def _shown(run: Run, row: Row) -> str:
    better, worse, after = SHOWN[row["effect"]]
    up = row["estimate"] > 0
    places = {
        "arm": row["arm"],
        "side": "better" if up else "worse",
        "more": "more" if up else "less",
        "questions": "the one question" if row["n"] == 1 else f"the {row['n']:,} questions",
        "gold": "gold passages",
    }
    if row["effect"] in HEADROOM:
        filled = run.config.arm(row["baseline"]).fill == "retrieved"
        places["gold"] += " with retrieved ones" if filled else " alone"
    size = f"{abs(100 * row['estimate']):.1f} points"
    text = f"{(better if up else worse).format_map(places)} {size}{after.format_map(places)}"
    what = ("gain" if up else "loss") if row["effect"] in (GAIN, FINE_TUNING) else "difference"
    return text + _small(run, row, what)


def _small(run: Run, row: Row, what: str) -> str:
    """Return what is added to the size of a shown effect that does not matter by the margin."""
    margin = run.config.analysis.equivalence_margin
    within = abs(row["estimate"]) < margin
    return f", a small {what} within the margin of {100 * margin:g} points" if within else ""


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
    for record in gains.to_dict(orient="records"):
        gain = {str(key): value for key, value in record.items()}
        if gain["arm"] not in arms[gain["task"]] or gain["status"] == "incomplete":
            continue
        low, high = gain["ci_low"], gain["ci_high"]
        outside = not math.isnan(low) and (low > 0 or high < 0)
        changed, ending = f": {points(gain['estimate'])} points", ", not shown"
        if outside and gain["p_adjusted"] < run.config.analysis.alpha:
            up = gain["estimate"] > 0
            changed = f" {'gained' if up else 'lost'} {abs(100 * gain['estimate']):.1f} points"
            ending = _small(run, gain, "gain" if up else "loss")
        yield (
            f"{gain['arm']} on {gain['task']} with {gain['model']}{changed} over {BASELINE} "
            f"({interval(run, low, high)}, n = {gain['n']:,}){ending}: "
            f"{gain['helped']} questions helped, {gain['hurt']} hurt, exploratory "
            f"p = {p_value(gain['p_adjusted'])}."
        )
