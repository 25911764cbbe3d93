"""Clauses on single effects, no stronger than their test and interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ragbench.analysis.family import (
    BOTH,
    FINE_TUNING,
    GAIN,
    GOLD_DELIVERED,
    GOLD_MISSING,
    HEADROOM,
    INTERACTION,
    OF_PAIR,
    PLACEBO,
    PRIMARY,
    RETRIEVAL_OR_FINE_TUNING,
)
from ragbench.analysis.load import Run
from ragbench.report.tables import interval, p_is, points

# Text before the size of an effect that was shown (better, worse), and text after it.
SHOWN = {
    GAIN: ("retrieval ({arm}) gained", "retrieval ({arm}) lost", "{general}"),
    FINE_TUNING: ("fine-tuning gained", "fine-tuning lost", " closed-book"),
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
DEPENDS = "not shown, because it depends on how replies without an answer count"
FOUND = "would be found four times in five"
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Doubt:
    """What replies without an answer leave open of an effect.

    Attributes:
        size: Whether it may be outside the margin if they counted otherwise.
        sign: Whether it may vanish or have the other sign if they counted otherwise.
    """

    size: bool = False
    sign: bool = False


def named(run: Run, task: str) -> str:
    """Return the name of a task, with its first metric unless that is accuracy."""
    metric = run.metrics(task)[0]
    return task if metric == "accuracy" else f"{task} ({metric})"


def in_clusters(row: Row) -> str:
    """Return the number of clusters, as a text after the number of questions."""
    number = row["n_clusters"]
    return "" if pd.isna(number) else f" in {number:,} cluster{'s' if number != 1 else ''}"


def is_shown(run: Run, row: Row) -> bool:
    """Return whether an effect is shown: by its adjusted test, and by its interval."""
    outside = row["ci_low"] > 0 or row["ci_high"] < 0
    return bool(outside and row["p_adjusted"] < run.config.analysis.alpha)


def together(run: Run, rows: Sequence[Row], doubts: Sequence[Doubt]) -> str:
    """Return the clauses on effects; a reason why none of them is tested is given once."""
    reasons = {interval(run, row) if _untested(row) else "" for row in rows}
    whole = all(row["status"] == "complete" and row["n"] for row in rows)
    if len(rows) < 2 or len(reasons) > 1 or "" in reasons or not whole:
        return "; ".join(said(run, row, doubt) for row, doubt in zip(rows, doubts, strict=True))
    bare = (f"{_name(row)} {points(row['estimate'])} points" for row in rows)
    return f"{'; '.join(bare)} (each with {reasons.pop()}), so none is tested"


def said(run: Run, row: Row, doubt: Doubt) -> str:
    """Return the clause on one effect; nothing is shown or equivalent that is in doubt."""
    complete = row["status"] == "complete"
    if complete and is_shown(run, row) and not doubt.sign:
        return f"{_shown(run, row)} ({_figures(run, row)})"
    name = _name(row)
    if not complete:
        low, high = points(row["ci_low"]), points(row["ci_high"])
        return (
            f"{name} between {low} and {high} points, depending on the answers that are missing "
            "because of errors, so it is not tested"
        )
    if not row["n"]:
        return f"{name} without a question that can be compared, so it is not tested"
    text = f"{name} {points(row['estimate'])} points ({_figures(run, row)})"
    if _untested(row):
        return f"{text}, so it is not tested"
    if is_shown(run, row):
        return f"{text}, {DEPENDS}"
    alpha = run.config.analysis.alpha
    if row["p"] < alpha:
        return f"{text}, not shown after adjustment for the number of comparisons" + _finds(row)
    if row["p_equivalence_adjusted"] < alpha and doubt.size:
        return (
            f"{text}, not shown to differ from zero, nor to be equivalent to it, because of the "
            "replies without an answer"
        )
    if row["p_equivalence_adjusted"] < alpha:
        margin = run.config.analysis.equivalence_margin
        return (
            f"{text}, equivalent to zero within {100 * margin:g} points "
            f"({p_is(row['p_equivalence_adjusted'])}{_by(row)})"
        )
    return f"{text}, not shown to differ from zero" + _finds(row)


def general(row: Row) -> str:
    """Return whose gain it is, in a sentence on a pair."""
    return " in the general model" if row["in_pair"] else ""


def _name(row: Row) -> str:
    name = OF_PAIR[row["effect"]]
    if row["effect"] == GAIN:
        name += f"{general(row)} ({row['arm']})"
    if row["effect"] in HEADROOM:
        name += f" ({row['baseline']}, n = {row['n']:,}{in_clusters(row)})"
    return name


def _untested(row: Row) -> bool:
    return math.isnan(row["ci_low"]) or row["n"] == 1


def _figures(run: Run, row: Row) -> str:
    if _untested(row):
        return interval(run, row)
    p = p_is(row["p_adjusted"], is_bound=bool(row["p_is_bound"]))
    return f"{interval(run, row)}, {p}{_by(row)}"


def _by(row: Row) -> str:
    return " by Holm" if row["family"] == PRIMARY else ", exploratory"


def _finds(row: Row) -> str:
    """Return what the test of an effect finds with the changes that were observed."""
    least, share = row["smallest_detectable"], (row["helped"] + row["hurt"]) / row["n"]
    answers = row["metric"] == "accuracy" and row["effect"] != INTERACTION
    mcnemar = answers and not in_clusters(row)
    n = f"with n = {row['n']:,}"
    if not share and not mcnemar:
        return f" (no question changed, so the difference that n = {row['n']:,} finds is unknown)"
    if math.isnan(least):
        return f" ({n}, no true difference {FOUND})"
    if 2 * least < row["ci_high"] - row["ci_low"]:  # so few that the power is a guess
        return f" (n = {row['n']:,} is too few to say what difference {FOUND})"
    true = f"a true difference of {100 * least:.1f} points {FOUND}"
    if mcnemar and least > share:  # more than changed has to change
        return f" ({n}, {true} if every change went the same way)"
    if answers and least <= share:
        n += f" and {100 * share:.{0 if share >= 0.01 else 1}f} % discordant"
    return f" ({n}, {true})"


def _shown(run: Run, row: Row) -> str:
    better, worse, after = SHOWN[row["effect"]]
    up = row["estimate"] > 0
    places = {
        "arm": row["arm"],
        "general": general(row),
        "side": "better" if up else "worse",
        "more": "more" if up else "less",
        "questions": f"the {row['n']:,} questions{in_clusters(row)}",  # one is never shown
        "gold": "gold passages",
    }
    if row["effect"] in HEADROOM:
        filled = run.config.arm(row["baseline"]).fill == "retrieved"
        places["gold"] += " with retrieved ones" if filled else " alone"
    size = f"{abs(100 * row['estimate']):.1f} points"
    text = f"{(better if up else worse).format_map(places)} {size}{after.format_map(places)}"
    what = ("gain" if up else "loss") if row["effect"] in (GAIN, FINE_TUNING) else "difference"
    return text + small(run, row, what)


def small(run: Run, row: Row, what: str) -> str:
    """Return what is added to the size of a shown effect that is less than the margin."""
    margin = run.config.analysis.equivalence_margin
    if abs(row["estimate"]) >= margin:
        return ""
    if -margin < row["ci_low"] and row["ci_high"] < margin:
        return f", a small {what} within the margin of {100 * margin:g} points"
    return f", less than the margin of {100 * margin:g} points, though its interval goes beyond it"
