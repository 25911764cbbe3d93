"""Clauses on single effects, no stronger than their test and interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
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


def in_clusters(row: Row) -> str:
    """Return the number of clusters, as a text after the number of questions."""
    return "" if pd.isna(row["n_clusters"]) else f" in {row['n_clusters']} clusters"


def is_shown(run: Run, row: Row) -> bool:
    """Return whether an effect is shown: by its adjusted test, and by its interval."""
    outside = row["ci_low"] > 0 or row["ci_high"] < 0
    return bool(outside and row["p_adjusted"] < run.config.analysis.alpha)


def said(run: Run, row: Row, *, in_doubt: bool = False) -> str:
    """Return the clause on one effect; nothing is equivalent that is ``in_doubt``."""
    if is_shown(run, row):
        return f"{_shown(run, row)} ({_figures(run, row)})"
    name = OF_PAIR[row["effect"]]
    if row["effect"] == GAIN:
        name += f" ({row['arm']})"
    if row["effect"] in HEADROOM:
        name += f" ({row['baseline']}, n = {row['n']:,})"
    text = f"{name} {points(row['estimate'])} points ({_figures(run, row)})"
    if math.isnan(row["ci_low"]):
        return f"{text}, so nothing is tested"
    alpha = run.config.analysis.alpha
    if row["p"] < alpha:
        return f"{text}, not shown after adjustment for the number of comparisons" + _finds(row)
    if row["p_equivalence_adjusted"] < alpha and not in_doubt:
        margin = run.config.analysis.equivalence_margin
        return (
            f"{text}, equivalent to zero within {100 * margin:g} points "
            f"({p_is(row['p_equivalence_adjusted'])}{_by(row)})"
        )
    return f"{text}, not shown to differ from zero" + _finds(row)


def _figures(run: Run, row: Row) -> str:
    if math.isnan(row["ci_low"]):
        return interval(run, row)
    p = p_is(row["p_adjusted"], is_bound=bool(row["p_is_bound"]))
    return f"{interval(run, row)}, {p}{_by(row)}"


def _by(row: Row) -> str:
    return " by Holm" if row["family"] == PRIMARY else ", exploratory"


def _finds(row: Row) -> str:
    """Return what the test of an effect finds with the changes that were observed."""
    least = row["smallest_detectable"]
    n = f"with n = {row['n']:,}"
    if row["metric"] == "accuracy" and row["effect"] != INTERACTION and row["n"]:
        n += f" and {100 * (row['helped'] + row['hurt']) / row['n']:.0f} % discordant"
    if math.isnan(least):
        return f"; {n}, no true difference would be found four times in five"
    return f"; {n}, a true difference of {100 * least:.1f} points would be found four times in five"


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
    return text + small(run, row, what)


def small(run: Run, row: Row, what: str) -> str:
    """Return what is added to the size of a shown effect that does not matter by the margin."""
    margin = run.config.analysis.equivalence_margin
    within = abs(row["estimate"]) < margin
    return f", a small {what} within the margin of {100 * margin:g} points" if within else ""
