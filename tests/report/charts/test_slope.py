"""The slope chart of a pair holds the 2 x 2 of the results."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.analysis.results import results
from ragbench.report.charts.slope import slope_charts, value_of
from tests.analysis.making import make_run
from tests.analysis.test_pairs import (
    BIO_ARM_______,
    BIO_CLOSED____,
    GENERAL_ARM___,
    GENERAL_CLOSED,
)

CELLS = {
    ("general", "t", "closed-book"): GENERAL_CLOSED,
    ("general", "t", "bm25"): GENERAL_ARM___,
    ("bio", "t", "closed-book"): BIO_CLOSED____,
    ("bio", "t", "bm25"): BIO_ARM_______,
}


def test_four_points_by_hand(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", CELLS, bases={"bio": "general"}, full=True)
    (found,) = slope_charts(run, results(run))
    assert [line.name for line in found.series] == ["general: general", "biomedical: bio"]
    # 2 and 9 of 12; 4 and 6 of 12
    assert [line.legend for line in found.series] == [
        "closed-book 16.7 %, bm25 75.0 %",
        "closed-book 33.3 %, bm25 50.0 %",
    ]
    places = dict(found.side)
    hundredth = (places["0 %"] - places["20 %"]) / 20
    heights = [[(places["0 %"] - p.y) / hundredth for p in line.points] for line in found.series]
    assert heights == [
        pytest.approx([200 / 12, 900 / 12], abs=0.02),
        pytest.approx([400 / 12, 600 / 12], abs=0.02),
    ]
    assert [label for label, *_ in found.bottom] == ["closed-book", "bm25"]
    for point in (point for line in found.series for point in line.points):
        assert point.low is not None and point.high is not None
        assert point.low > point.y > point.high  # pixels count from the top


def test_no_chart_without_a_pair_an_arm_or_closed_book(tmp_path: Path) -> None:
    alone = make_run(tmp_path / "a", CELLS, full=True)
    assert slope_charts(alone, results(alone)) == []
    for number, arm in enumerate(("bm25", "closed-book")):
        cells = {key: text for key, text in CELLS.items() if key[2] != arm}
        run = make_run(tmp_path / str(number), cells, bases={"bio": "general"}, full=True)
        assert slope_charts(run, results(run)) == []


def test_an_incomplete_cell_is_not_drawn(tmp_path: Path) -> None:
    cells = CELLS | {("bio", "t", "bm25"): "x" + BIO_ARM_______[1:]}
    run = make_run(tmp_path / "run", cells, bases={"bio": "general"}, full=True)
    value = value_of(run, results(run), ("bio", "t", "bm25"), 1.0)
    assert value.value != value.value
    (found,) = slope_charts(run, results(run))
    assert [len(series.points) for series in found.series] == [2, 1]


def test_every_retrieval_arm_has_its_chart_to_one_scale(tmp_path: Path) -> None:
    cells = CELLS | {
        ("general", "t", "dense"): "1" * 12,
        ("bio", "t", "dense"): BIO_ARM_______,
        ("general", "t", "random"): GENERAL_CLOSED,
        ("bio", "t", "random"): GENERAL_CLOSED,
    }
    run = make_run(
        tmp_path / "run", cells, bases={"bio": "general"}, controls={"random": "bm25"}, full=True
    )
    one, other = slope_charts(run, results(run))
    assert [chart.bottom[1][0] for chart in (one, other)] == ["bm25", "dense"]
    assert one.side == other.side
    assert one.series[0].said == "16.7 % \N{RIGHTWARDS ARROW} 75.0 %"  # 2 and 9 of 12
    assert other.series[0].said == "16.7 % \N{RIGHTWARDS ARROW} 100.0 %"
