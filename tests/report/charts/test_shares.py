"""Stacked bars of outcomes: counted by hand, whole, and told apart without colour."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.report.charts.shares import share_bars
from tests.analysis.making import edited, make_run


def test_parts_by_hand(tmp_path: Path) -> None:
    # 4 right, 2 wrong, 3 without an answer, 1 failed
    run = make_run(tmp_path / "run", {("m", "t", "closed-book"): "1111 00 ?!> x"})
    ((bar,),) = ([b for b in bars.bars] for bars in share_bars(run))
    assert [(p.kind, p.width) for p in bar.parts] == [
        ("right", 40.0),
        ("wrong", 20.0),
        ("no answer", 30.0),
        ("failed", 10.0),
    ]
    assert [p.start for p in bar.parts] == pytest.approx([0, 40, 60, 90])
    assert [p.text for p in bar.parts] == ["40.0 %", "20.0 %", "30.0 %", ""]
    assert [p.share for p in bar.parts] == ["40.0 %", "20.0 %", "30.0 %", "10.0 %"]


def test_other_metrics_have_no_bars(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {("m", "t", "closed-book"): "10"})
    assert share_bars(edited(run, "identity.tasks.t.metrics", ["rougeL"])) == []
