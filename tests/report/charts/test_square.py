"""The bars of a 2 x 2: where their ends are, and what has none."""

from __future__ import annotations

import math

from ragbench.report.charts.square import LEFT, RIGHT, Score, square


def test_bars_end_at_their_scores() -> None:
    scores = {
        "General: g": [Score("closed-book", 0.25, 0.15, 0.4, False)],
        "Biomedical: b": [Score("closed-book", 1.0, math.nan, math.nan, False)],
    }
    found = square("key", "title", "description", scores)
    one, other = found.bars
    assert (LEFT, RIGHT) == (1, 97)
    assert one.width == 24  # a quarter of 96
    assert (one.low, one.high) == (15.4, 39.4)  # 1 + 0.15 x 96, 1 + 0.4 x 96
    assert (one.text, one.interval) == ("25.0 %", "15.0 % to 40.0 %")
    assert other.width == 96
    assert (other.low, other.high, other.interval) == (None, None, "-")
    assert [text for text, _ in found.headings] == ["General: g", "Biomedical: b"]
    places = [y for _, y in found.headings] + [bar.y_px for bar in found.bars]
    assert len(set(places)) == 4
    assert max(places) < found.base_px < found.height_px


def test_a_score_that_is_missing_has_no_bar() -> None:
    missing = Score("with bm25", math.nan, math.nan, math.nan, True)
    (bar,) = square("key", "title", "description", {"g": [missing]}).bars
    assert (bar.width, bar.text) == (None, "-")
