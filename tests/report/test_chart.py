"""The geometry of line charts: where values stand, by hand."""

from __future__ import annotations

import math

import pytest

from ragbench.report.chart import AREA_PX, LEFT, LEGEND_PX, RIGHT, Value, chart

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
