"""Charts and tables of k-curves and of places."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from ragbench.analysis.panels.curves import PLACE_COLUMNS, curves
from ragbench.report.charts.kcurve import (
    curve_charts,
    curve_rows,
    place_charts,
    place_rows,
    trend_rows,
)
from tests.analysis.panels.test_curves import curve_run


def test_a_chart_stands_on_doublings(tmp_path: Path) -> None:
    run = curve_run(tmp_path, {1: 1.0, 2: 2.0, 4: 4.0})
    found = curves(run)
    (drawn,) = curve_charts(run, found)
    assert [label for label, *_ in drawn.bottom] == ["1", "2", "4"]
    places = [x for _, x, _ in drawn.bottom]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=1e-3)
    assert [line.legend for line in drawn.series] == ["1 20.0 %, 2 40.0 %, 4 60.0 %"]
    header, rows = curve_rows(run, found)
    assert [row[:7] for row in rows] == [
        ["m", "t", "bm25", f"bm25-{k}", f"{k:.2f}", "10", f"{20 * i:.1f} %"]
        for i, k in enumerate((1, 2, 4), 1)
    ]
    assert len(header) == len(rows[0])
    header, rows = trend_rows(run, found)
    # 20, 40, 60 % at 1, 2, 4 passages: 20 points by doubling
    assert rows[0][:5] == ["m", "t", "bm25", "3", "+20.0"]
    assert rows[0][6] == "-"


def test_a_refused_curve_says_why(tmp_path: Path) -> None:
    run = curve_run(tmp_path, {1: 1.0, 2: 2.0, 4: 2.0})
    found = curves(run)
    assert curve_charts(run, found) == [] and curve_rows(run, found)[1] == []
    ((*_, slope, interval, reason),) = trend_rows(run, found)[1]
    assert (slope, interval) == ("-", "-")
    assert "a curve takes 3" in reason


def test_places_in_a_table(tmp_path: Path) -> None:
    run = curve_run(tmp_path, {1: 1.0})
    values = ["m", "t", "bm25", 2, 1, "accuracy", 3, 2 / 3, 0.2, math.nan]
    table = pd.DataFrame([values], columns=PLACE_COLUMNS)
    header, rows = place_rows(run, table)
    assert rows[0][:7] == ["m", "t", "bm25", "2", "1", "3", "66.7 %"]
    assert len(header) == len(rows[0])
    _, rows = place_rows(run, table.assign(k=pd.array([pd.NA], dtype="Int64")))
    assert rows[0][3] == "-"  # a control asks for nothing


def test_places_that_a_control_makes_have_a_chart(tmp_path: Path) -> None:
    run = curve_run(tmp_path, {1: 1.0})
    rows = [
        ["m", "t", curve, pd.NA, place, "accuracy", 10, value, value - 0.1, value + 0.1]
        for curve in ("bm25", "bm25-5, shuffled", "bm25-5, gold moved")
        for place, value in ((1, 0.6), (3, 0.4), (5, 0.5))
    ]
    shuffled, moved = place_charts(run, pd.DataFrame(rows, columns=PLACE_COLUMNS))
    assert "shuffled" in shuffled.title and "gold moved" in moved.title
    assert [label for label, *_ in moved.bottom] == ["1", "3", "5"]
    first, middle, last = (x for _, x, _ in moved.bottom)
    assert middle - first == pytest.approx(last - middle)
    assert moved.series[0].legend == "1 60.0 %, 3 40.0 %, 5 50.0 %"
    assert place_charts(run, pd.DataFrame([], columns=PLACE_COLUMNS)) == []
