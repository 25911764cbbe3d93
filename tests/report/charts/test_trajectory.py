"""Charts of trajectories: a line per model, a point per look at new questions."""

from __future__ import annotations

from pathlib import Path

from ragbench.analysis.load import load_run
from ragbench.report.charts.trajectory import trajectory_charts


def test_a_line_ends_where_an_effect_was_decided(stopped_home: Path) -> None:
    (drawn,) = trajectory_charts(load_run(stopped_home / "runs" / "stops"))
    points = {series.name: len(series.points) for series in drawn.series}
    assert points == {"reads": 1, "guesses": 6}  # looks at 20, 25, 32, 40, 50, 60
    assert drawn.title == "retrieval gain of bm25-1 on facts by the number of questions"
    page = (stopped_home / "runs" / "stops" / "report.html").read_text(encoding="utf-8")
    assert drawn.title in page
