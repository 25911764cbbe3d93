"""Charts and tables of scores by delivered passages and by the place of the gold passage."""

from __future__ import annotations

import math

import pandas as pd

from ragbench.analysis.load import Run
from ragbench.analysis.panels.curves import PLACING, Curves
from ragbench.report.charts.chart import Chart, Value, chart
from ragbench.report.tables import NONE, Rows, between, coverage, points, scored


def curve_charts(run: Run, curves: Curves) -> list[Chart]:
    """Return a chart per task and curve, with a line per model, in the order of the tasks."""
    made = []
    table = curves.points
    for number, (task, name) in enumerate(dict.fromkeys(zip(table.task, table.curve, strict=True))):
        mine = table[(table.task == task) & (table.curve == name)]
        ticks = [
            (f"{row.delivered_k:.3g}", math.log2(row.delivered_k))
            for row in mine.drop_duplicates("arm").itertuples()
        ]
        lines = {
            str(model): [
                Value(math.log2(r["delivered_k"]), r["value"], r["ci_low"], r["ci_high"])
                for r in part.to_dict(orient="records")
            ]
            for model, part in mine.groupby("model", sort=False)
        }
        found = chart(
            f"curve-{number}",
            f"{name} on {task}: {mine.metric.iloc[0]} by delivered passages",
            f"One line per model with {coverage(run)} intervals; the axis below doubles. The table "
            "holds the same figures.",
            lines,
            ticks,
            below="passages delivered, on average",
        )
        if found is not None:
            made.append(found)
    return made


def place_charts(run: Run, places: pd.DataFrame) -> list[Chart]:
    """Return a chart per task and control that moves or shuffles passages.

    Within a retrieval arm the places are not random, so it has no chart.
    """
    made = []
    table = places[places.curve.str.endswith(tuple(PLACING.values()))]
    for number, (task, name) in enumerate(dict.fromkeys(zip(table.task, table.curve, strict=True))):
        mine = table[(table.task == task) & (table.curve == name)]
        lines = {
            str(model): [
                Value(float(r["place"]), r["value"], r["ci_low"], r["ci_high"])
                for r in part.to_dict(orient="records")
            ]
            for model, part in mine.groupby("model", sort=False)
        }
        found = chart(
            f"place-{number}",
            f"{name}, on {task}: {mine.metric.iloc[0]} by the place of the gold passage",
            f"One line per model with {coverage(run)} intervals. The table holds the same figures.",
            lines,
            [(str(place), float(place)) for place in sorted(set(mine.place))],
            below="place of the first gold passage",
        )
        if found is not None:
            made.append(found)
    return made


def curve_rows(run: Run, curves: Curves) -> Rows:
    """Return the points of every curve, one row per arm."""
    rows = [
        [
            *(str(row[key]) for key in ("model", "task", "curve", "arm")),
            f"{row['delivered_k']:.2f}",
            str(row["n"]),
            *scored(row),
        ]
        for row in curves.points.to_dict(orient="records")
    ]
    header = ["model", "task", "retriever", "arm", "passages delivered", "n", "score"]
    return [*header, f"{coverage(run)} interval"], rows


def trend_rows(run: Run, curves: Curves) -> Rows:
    """Return the gain from doubling the passages, one row per curve, or why there is none."""
    rows = []
    for row in curves.trends.to_dict(orient="records"):
        said = [NONE, NONE]
        if not row["refused"]:
            said = [points(row["slope"]), between(row["ci_low"], row["ci_high"], points)]
        names = [str(row[key]) for key in ("model", "task", "curve", "points")]
        rows.append([*names, *said, row["refused"] or NONE])
    header = ["model", "task", "retriever", "arms", "points by doubling"]
    return [*header, f"{coverage(run)} interval", "no curve because"], rows


def place_rows(run: Run, places: pd.DataFrame) -> Rows:
    """Return the score by the place of the first gold passage."""
    rows = [
        [
            *(str(row[key]) for key in ("model", "task", "curve")),
            NONE if pd.isna(row["k"]) else str(row["k"]),
            *(str(row[key]) for key in ("place", "n")),
            *scored(row),
        ]
        for row in places.to_dict(orient="records")
    ]
    header = ["model", "task", "retriever", "k asked", "place of the first gold passage", "n"]
    return [*header, "score", f"{coverage(run)} interval"], rows
