"""The tables of evidence use, with the counts of the panel's hand example."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.analysis.panels.evidence import evidence
from ragbench.report.charts.shares import evidence_bars
from ragbench.report.evidence import changed_rows, quadrant_rows, share_rows
from tests.analysis.panels.test_evidence import ARM___, CLOSED, GOLD__, made


def test_rows_by_hand(tmp_path: Path) -> None:
    run = made(tmp_path / "run", CLOSED, GOLD__, ARM___)
    table = evidence(run)
    header, (row,) = share_rows(table)
    found = dict(zip(header, row, strict=True))
    assert (found["n"], found["questions without known gold"]) == ("12", "2")
    # Wilson's interval of 3 of 12.
    assert found["found and used"] == "25.0 % (8.9 to 53.2)"
    assert found["not found, but right anyway"] == "1 of 3"
    _, (row,) = changed_rows(run, table)
    # Wilson's intervals of 3 of 5 and of 1 of 3.
    assert row[3:] == ["5", "60.0 %", "23.1 % to 88.2 %", "3", "33.3 %", "6.1 % to 79.2 %"]
    _, (row,) = quadrant_rows(table)
    assert [cell.split(" (")[0] for cell in row[3:]] == [
        "12",
        "33.3 %",
        "25.0 %",
        "16.7 %",
        "25.0 %",
    ]


def test_failed_questions_are_bounds(tmp_path: Path) -> None:
    run = made(tmp_path / "run", "1x0", "110", "x1x")
    table = evidence(run)
    _, (row,) = share_rows(table)
    assert row[4] == "bounds 0.0 % to 33.3 %" and row[9] == "-"
    assert changed_rows(run, table)[1] == []
    assert evidence_bars(run, table) == []


def test_bars_by_hand(tmp_path: Path) -> None:
    run = made(tmp_path / "run", CLOSED, GOLD__, ARM___)
    (drawn,) = evidence_bars(run, evidence(run))
    (bar,) = drawn.bars
    assert [(part.kind, part.share) for part in bar.parts] == [
        ("already known", "16.7 %"),
        ("found and used", "25.0 %"),
        ("not found", "25.0 %"),
        ("found and not used", "16.7 %"),
        ("broken by context", "16.7 %"),
    ]
    assert len({part.look for part in bar.parts}) == 5
    assert sum(part.width for part in bar.parts) == pytest.approx(100)
    lowest = max(key.y_px for key in drawn.legend.values())
    assert lowest == drawn.height_px - 18
