"""Tables on replies without an answer: accuracy by policy, and how often each arm has them."""

from __future__ import annotations

import pandas as pd

from ragbench.analysis.load import Run
from ragbench.report.tables import NONE, Rows, between, coverage, p_value, percent, points, scored


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
