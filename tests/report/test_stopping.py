"""The report of a stopped run says what was done."""

from __future__ import annotations

from pathlib import Path

from tests.experiment.answering.stopping_home import N


def test_the_report_says_how_it_stopped(stopped_home: Path) -> None:
    text = (stopped_home / "runs" / "stops" / "report.md").read_text(encoding="utf-8")
    asked, every = 4 * 20 + 2 * N, 6 * N
    assert f"it asked {asked} of {every} answers (44 % saved)" in text  # 1 - 200/360
    assert "the sequence has 0.01, and the test of a fixed number of questions has 0.04" in text
    assert "What was decided, and when" in text
    assert "What stopping early saved" in text
