"""The Markdown report: escaping, numbers as people read them, no claim beyond the figures."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ragbench.analysis.effects import effects
from ragbench.analysis.load import Run, load_run
from ragbench.analysis.results import results
from ragbench.report.headline import headline
from ragbench.report.markdown import escape, methods, report, table
from ragbench.report.sections import sections
from tests.analysis.making import edited


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


def test_report_has_every_part(tables: tuple[Run, pd.DataFrame, pd.DataFrame]) -> None:
    run, found, gains = tables
    parts = list(sections(run, found, gains))
    text = report(run, headline(run, found, gains), gains, parts, "accuracy.svg")
    for heading in (
        "What came out",
        "Accuracy, and the gain over closed-book",
        "Accuracy by stratum",
        "Retrieval quality",
        "What was delivered, per question",
        "Outcomes",
        "Methods",
        "Provenance",
    ):
        assert f"\n## {heading}\n" in text
    assert "positive control" in text
    assert "![Accuracy by arm with its interval](accuracy.svg)" in text


def test_methods_say_which_arm_is_primary_and_why(
    tables: tuple[Run, pd.DataFrame, pd.DataFrame],
) -> None:
    run = tables[0]
    text = methods(run)
    why = "(the first retrieval arm that a control imitates)"
    assert f"interaction, with bm25-5 {why} on icd10cm: their p values" in text
    assert "every task equally, (macro), counts as a comparison." in text
    run = edited(run, "config.analysis.primary", {"arm": "dense-5"})
    assert "with dense-5 (declared in the config) on icd10cm: " in methods(run)
    run = edited(run, "identity.tasks.icd10cm.arms", ["closed-book"])
    assert "interaction, without a retrieval arm on icd10cm: " in methods(run)
