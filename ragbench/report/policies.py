"""Replies without an answer: accuracy by policy, how often arms have them, assumed answers."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ragbench.analysis.load import Run
from ragbench.base.records import DEFAULT_RULE, ERROR_MESSAGE, REPLY_BEFORE
from ragbench.report.tables import NONE, Rows, between, coverage, p_value, percent, points, scored

ASSUMED = {
    DEFAULT_RULE: "A where no rule finds an answer",
    REPLY_BEFORE: "that in the reply to the question before where there is no reply",
    ERROR_MESSAGE: "what the rules find in an error message",
}


def assumed_answers(run: Run) -> Iterator[str]:
    """Yield a sentence on the answers that a published mode assumed, if there are any."""
    replies = run.scores[run.scores.outcome != "error"]
    mine = replies[replies.outcome == "assumed"]
    if mine.empty:
        return
    shares = [
        (float((cell.outcome == "assumed").mean()), f"{model} on {task}, {arm}")
        for (model, task, arm), cell in replies.groupby(["model", "task", "arm"], sort=False)
    ]
    most, where = max(shares, key=lambda share: share[0])
    numbers = mine.rule.value_counts()
    ways = [f"{text} ({numbers[rule]:,})" for rule, text in ASSUMED.items() if rule in numbers]
    listed = " and ".join(filter(None, [", ".join(ways[:-1]), ways[-1]]))
    yield (
        f"The mode {run.config.mode} assumes an answer where a reply gives none, as the "
        f"benchmark's script does: {len(mine):,} of {len(replies):,} answers "
        f"({percent(len(mine) / len(replies))}) are assumed, most in {where} ({percent(most)}). "
        f"The assumed answer is {listed}."
    )


def policy_rows(run: Run, policies: pd.DataFrame) -> Rows:
    """Return accuracy and gain, one row per cell and policy."""
    rows = [
        [
            *(str(row[key]) for key in ("model", "task", "arm", "policy")),
            str(row["n"]),
            *scored(row),
            NONE if pd.isna(row["gain_n"]) else str(row["gain_n"]),
            points(row["gain"]),
            between(row["gain_low"], row["gain_high"], points),
            p_value(row["gain_p"], is_bound=row["gain_p_is_bound"] is True),
        ]
        for row in policies.to_dict(orient="records")
    ]
    interval = f"{coverage(run)} interval"
    header = ["model", "task", "arm", "if unread", "n", "accuracy", interval]
    return [*header, "n of the gain", "gain (points)", interval, "p"], rows


def unread_rows(rates: pd.DataFrame) -> Rows:
    """Return how often replies have no answer, against closed-book, one row per cell."""
    rows = [
        [
            *(str(row[key]) for key in ("model", "task", "arm", "n")),
            percent(row["rate"]),
            percent(row["baseline_rate"]),
            f"{row['more']} / {row['fewer']}",
            *(p_value(row[key], is_bound=row["p_is_bound"]) for key in ("p", "p_adjusted")),
        ]
        for row in rates.to_dict(orient="records")
    ]
    header = ["model", "task", "arm", "n", "no answer", "no answer closed-book"]
    return [*header, "questions more / fewer", "p", "adjusted p"], rows
