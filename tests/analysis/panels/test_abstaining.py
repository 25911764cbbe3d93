"""Risk against coverage, by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from ragbench.analysis.load import Run
from ragbench.analysis.panels.abstaining import ABSTAINING_COLUMNS, abstaining
from ragbench.report.evidence import abstaining_rows
from tests.analysis.making import edited, make_run, with_gold

# Ten questions of four options, the last of which is the abstention; the right one is 0, 1 or 2.
#        right wrong abstained unread
PICKS = "111   00    AAAA      ?"
GOLD_ = "110   10    1100      -"


def made(path: Path, picks: str = PICKS) -> Run:
    letters = picks.replace(" ", "")
    cells = {("m", "t", "bm25"): letters.replace("A", "0")}
    right = [number % 3 for number in range(len(letters))]
    questions = [
        {
            **{"id": f"q{n}", "text": f"Q{n}?", "query": "", "stratum": "", "cluster": None},
            **{"reference": "", "options": ["a", "b", "c", "no"], "answer": answer},
            "gold_doc_ids": [],
        }
        for n, answer in enumerate(right)
    ]
    run = make_run(path, cells, full=True, questions={"t": questions})
    scores = run.scores.copy()
    ways = {"A": [3] * len(right), "1": right, "0": [(r + 1) % 3 for r in right]}
    given = [ways[w][n] if w in ways else None for n, w in enumerate(letters)]
    scores["pick"] = pd.Series(given, index=scores.index, dtype="Int64")
    run = edited(replace(run, scores=scores), "identity.tasks.t.abstain", True)
    return with_gold(run, "bm25", GOLD_)


def row(run: Run) -> dict[str, Any]:
    (found,) = abstaining(run).to_dict(orient="records")
    return {str(key): value for key, value in found.items()}


def test_by_hand(tmp_path: Path) -> None:
    found = row(made(tmp_path / "run"))
    assert (found["n"], found["abstained"], found["answered"], found["wrong"]) == (10, 4, 6, 3)
    assert found["coverage"] == pytest.approx(0.6)
    assert found["risk"] == pytest.approx(3 / 6)  # a reply without an answer is wrong
    ends = (found["coverage_low"], found["coverage_high"])
    assert ends == pytest.approx(proportion_confint(6, 10, method="wilson"))
    ends = (found["risk_low"], found["risk_high"])
    assert ends == pytest.approx(proportion_confint(3, 6, method="wilson"))
    assert (found["gold_delivered"], found["abstained_with_gold"]) == (5, 2)
    assert (found["gold_missing"], found["abstained_without_gold"]) == (4, 2)
    # Accuracy, 3 of 10, is coverage times one less the risk.
    assert found["coverage"] * (1 - found["risk"]) == pytest.approx(3 / 10)


def test_rows(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    _, (cells,) = abstaining_rows(run, abstaining(run))
    assert cells[3:5] == ["10", "60.0 %"] and cells[6] == "50.0 %"
    assert cells[8:] == ["2 of 5", "2 of 4"]


def test_all_abstain(tmp_path: Path) -> None:
    found = row(made(tmp_path / "run", "A" * 10))
    assert found["coverage"] == 0 and math.isnan(found["risk"])


def test_failed_questions_have_no_shares(tmp_path: Path) -> None:
    run = made(tmp_path / "run", "x" + PICKS.replace(" ", "")[1:])
    assert row(run)["status"] == "incomplete"
    assert abstaining_rows(run, abstaining(run))[1] == []


def test_tasks_without_the_option_have_no_rows(tmp_path: Path) -> None:
    found = abstaining(make_run(tmp_path / "run", {("m", "t", "closed-book"): "10"}, full=True))
    assert found.empty and list(found) == ABSTAINING_COLUMNS
