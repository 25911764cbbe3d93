"""The Markdown report: escaping, numbers as people read them, no claim beyond the figures."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ragbench.analysis.effects import effects
from ragbench.analysis.load import Run, load_run
from ragbench.analysis.results import results
from ragbench.report.markdown import escape, report, summary, table


@pytest.fixture
def tables(finished_home: Path) -> tuple[Run, pd.DataFrame, pd.DataFrame]:
    run = load_run(finished_home / "runs" / "small")
    return run, results(run), effects(run)


def test_cells_cannot_break_the_table_or_become_markup() -> None:
    text = table(["a"], [["x | y\n<script>alert(1)</script> [l](javascript:1) **b** `c`"]])
    assert text.count("\n") == 3
    assert "<script>" not in text
    assert "x \\| y" in text
    assert "\\[l\\](javascript:1)" in text
    assert escape("a\\b") == "a\\\\b"


def test_sentences_carry_the_figures(tables: tuple[Run, pd.DataFrame, pd.DataFrame]) -> None:
    run, found, gains = tables
    lines = summary(run, found, gains)
    assert len(lines) == 4  # one an arm beside closed-book
    row = gains[(gains.arm == "bm25-5") & (gains.stratum == "")].iloc[0]
    (line,) = [line for line in lines if line.startswith("bm25-5")]
    assert f"{abs(100 * row['estimate']):.1f} points" in line
    assert f"{row['helped']} questions helped, {row['hurt']} hurt" in line
    assert "n = 10" in line


def test_an_interval_that_holds_zero_is_said_to(
    tables: tuple[Run, pd.DataFrame, pd.DataFrame],
) -> None:
    run, found, gains = tables
    doubtful = gains.assign(ci_low=-0.1, ci_high=0.2)
    assert all("the interval holds zero" in line for line in summary(run, found, doubtful))
    lost = gains.assign(estimate=-0.2, ci_low=-0.3, ci_high=-0.1)
    assert all("lost 20.0 points" in line for line in summary(run, found, lost))
    partial = gains.assign(status="incomplete")
    assert all("nothing is tested" in line for line in summary(run, found, partial))


def test_report_has_every_part(tables: tuple[Run, pd.DataFrame, pd.DataFrame]) -> None:
    text = report(*tables, figure="accuracy.svg")
    for heading in (
        "What came out",
        "Accuracy, and the gain over closed-book",
        "By stratum",
        "Retrieval quality",
        "What was delivered",
        "Outcomes",
        "Methods",
        "Provenance",
    ):
        assert f"\n## {heading}\n" in text
    assert "positive control" in text
    assert "![Accuracy by arm with its interval](accuracy.svg)" in text
    assert "accuracy.svg" not in report(*tables, figure=None)
