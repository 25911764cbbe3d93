"""Score against delivered passages, and against the place of the gold one: charts and tables."""

from __future__ import annotations

import math

import pandas as pd

from ragbench.analysis.load import Run
from ragbench.analysis.panels.curves import PLACING, Curves
from ragbench.report.charts.chart import Chart, Value, chart
from ragbench.report.tables import NONE, Rows, between, coverage, percent, points


def curve_charts(run: Run, curves: Curves) -> list[Chart]:
    """Return a chart a task and curve, a line a model.

    Args:
        run: The run.
        curves: Its curves.

    Returns:
        The charts in the order of the tasks.
    """
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
            f"One line a model with {coverage(run)} intervals; the axis below doubles. The table "
            "holds the same figures.",
            lines,
            ticks,
            below="passages delivered, on average",
        )
        if found is not None:
            made.append(found)
    return made


def place_charts(run: Run, places: pd.DataFrame) -> list[Chart]:
    """Return a chart a task and control that moves or shuffles passages, a line a model.

    Within a retrieval arm the places are not drawn by lot, so it has no chart.

    Args:
        run: The run.
        places: What ``analysis.curves.places`` returned.

    Returns:
        The charts in the order of the tasks.
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
            f"One line a model with {coverage(run)} intervals. The table holds the same figures.",
            lines,
            [(str(place), float(place)) for place in sorted(set(mine.place))],
            below="place of the first gold passage",
        )
        if found is not None:
            made.append(found)
    return made


def curve_rows(run: Run, curves: Curves) -> Rows:
    """Return the points of every curve.

    Args:
        run: The run.
        curves: Its curves.

    Returns:
        Header and rows, a row an arm.
    """
    rows = [
        [
            *(str(row[key]) for key in ("model", "task", "curve", "arm")),
            f"{row['delivered_k']:.2f}",
            str(row["n"]),
            percent(row["value"]),
            between(row["ci_low"], row["ci_high"], percent),
        ]
        for row in curves.points.to_dict(orient="records")
    ]
    header = ["model", "task", "retriever", "arm", "passages delivered", "n", "score"]
    return [*header, f"{coverage(run)} interval"], rows


def trend_rows(run: Run, curves: Curves) -> Rows:
    """Return what doubling the passages brings, a row a curve, or why there is none.

    Args:
        run: The run.
        curves: Its curves.

    Returns:
        Header and rows.
    """
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
    """Return the score by the place of the first gold passage.

    Args:
        run: The run.
        places: What ``analysis.curves.places`` returned.

    Returns:
        Header and rows.
    """
    rows = [
        [
            *(str(row[key]) for key in ("model", "task", "curve")),
            NONE if pd.isna(row["k"]) else str(row["k"]),
            *(str(row[key]) for key in ("place", "n")),
            percent(row["value"]),
            between(row["ci_low"], row["ci_high"], percent),
        ]
        for row in places.to_dict(orient="records")
    ]
    header = ["model", "task", "retriever", "k asked", "place of the first gold passage", "n"]
    return [*header, "score", f"{coverage(run)} interval"], rows
