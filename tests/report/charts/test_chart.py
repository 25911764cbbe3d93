"""The geometry of line charts: where values stand, by hand."""

from __future__ import annotations

import math

import pytest

from ragbench.report.charts.chart import AREA_PX, LEFT, LEGEND_PX, RIGHT, Value, chart

NAN = float("nan")
TICKS = [("closed-book", 0.0), ("bm25", 1.0)]


def test_values_stand_where_the_scale_says() -> None:
    lines = {"one": [Value(0.0, 0.2, 0.1, 0.3), Value(1.0, 0.5, 0.4, 0.6)]}
    found = chart("k", "t", "d", lines, TICKS)
    assert found is not None
    # The scale holds zero and 60 %, in steps of 10: 60 % is on top, zero at the base.
    places = dict(found.side)
    assert (places["0 %"], places["60 %"]) == (found.base_px, found.top_px)
    assert len(places) == 7
    first, last = found.series[0].points
    assert (first.x, last.x) == (LEFT, RIGHT)
    assert first.y == pytest.approx(found.top_px + AREA_PX * (1 - 20 / 60), abs=0.01)
    assert (first.low, first.high) == pytest.approx(
        (found.top_px + AREA_PX * (1 - 10 / 60), found.top_px + AREA_PX * (1 - 30 / 60)), abs=0.01
    )
    assert found.series[0].legend == "closed-book 20.0 %, bm25 50.0 %"


def test_series_are_told_apart_and_do_not_cover_each_other() -> None:
    lines = {name: [Value(0.0, 0.5, 0.4, 0.6), Value(1.0, 0.5, NAN, NAN)] for name in "abc"}
    found = chart("k", "t", "d", lines, TICKS)
    assert found is not None
    assert len({s.shape for s in found.series}) == len({s.dash for s in found.series}) == 3
    assert len({s.points[0].x for s in found.series}) == 3
    assert found.series[0].points[1].low is None
    assert found.top_px == 3 * LEGEND_PX + 12


def test_what_is_missing_is_left_out() -> None:
    lines = {
        "a": [Value(0.0, NAN, NAN, NAN), Value(1.0, 0.5, 0.4, 0.6)],
        "b": [Value(0.0, NAN, NAN, NAN)],
    }
    found = chart("k", "t", "d", lines, TICKS)
    assert found is not None
    assert [s.name for s in found.series] == ["a"]
    assert len(found.series[0].points) == 1
    assert chart("k", "t", "d", {"b": lines["b"]}, TICKS) is None
    assert not any(math.isnan(p.y) for s in found.series for p in s.points)


def test_long_labels_are_written_inwards_and_close_ones_are_left_out() -> None:
    values = [Value(0.0, 0.5, 0.4, 0.6), Value(1.0, 0.5, 0.4, 0.6)]
    long = "bm25-of-a-corpus-with-a-very-long-name-10"
    found = chart("k", "t", "d", {"a": values}, [("closed-book", 0.0), (long, 1.0)])
    assert found is not None
    (first, _, left), (last, x, right) = found.bottom
    assert (first, left, right) == ("closed-book", "start", "end")
    assert len(last) == 26 and x <= 100
    # 76 per cent for four doublings: 19 each. 4.8 and 5 lie 1.1 apart, 9 are needed.
    ks = [1.0, 4.8, 5.0, 16.0]
    ticks = [(f"{k:g}", math.log2(k)) for k in ks]
    found = chart("k", "t", "d", {"a": [Value(math.log2(k), 0.5, 0.4, 0.6) for k in ks]}, ticks)
    assert found is not None
    assert [label for label, *_ in found.bottom] == ["1", "4.8", "16"]
    assert len(found.series[0].points) == 4
    assert "5 50.0 %" in found.series[0].legend


def test_charts_beside_each_other_have_one_scale_and_tell_their_values() -> None:
    one, other = [Value(0.0, 0.1, 0.1, 0.2)], [Value(0.0, 0.8, 0.7, 0.9)]
    alone = chart("k", "t", "d", {"a": one}, TICKS)
    found = chart("k", "t", "d", {"a": one}, TICKS, beside=other, said=True)
    assert alone is not None and found is not None
    assert (alone.side[-1][0], found.side[-1][0]) == ("20 %", "100 %")
    assert found.series[0].said == "closed-book 10.0 %"  # the other end is not known
    both = [*one, Value(1.0, 0.3, 0.2, 0.4)]
    found = chart("k", "t", "d", {"a" * 40: both}, TICKS, said=True)
    assert found is not None
    assert found.series[0].said == "10.0 % \N{RIGHTWARDS ARROW} 30.0 %"
    assert len(found.series[0].label) == 30
