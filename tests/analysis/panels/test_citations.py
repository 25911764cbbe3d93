"""What replies cite, by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from ragbench.analysis.load import Run
from ragbench.analysis.panels.citations import CITATION_COLUMNS, citations
from ragbench.report.evidence import citation_rows
from tests.analysis.making import edited, make_run, passage, question

PACKED = {"q0": ["d0#1", "d9"], "q1": ["d9", "d1"], "q2": ["d9", "d8"], "q3": ["d3"], "q4": ["d9"]}
GOLD = {"q0": ["d0"], "q1": ["d1"], "q2": ["d2"], "q3": ["d3"], "q4": []}
#         gold  other and 7     other  twice the same    question without known gold
REPLIES = ["A [1]", "B [1], [7]", "C [2]", "yes [1] and [1]", "no [1]"]


def made(path: Path, replies: list[str | None], outcomes: dict[str, str] | None = None) -> Run:
    lines = [question(name, f"{name}?", gold_doc_ids=gold) for name, gold in GOLD.items()]
    passages = [passage(name, "text") for name in ("d0#1", "d1", "d3", "d8", "d9")]
    run = make_run(
        path,
        questions={"t": lines},
        passages=passages,
        packed={"bm25": PACKED},
        full=True,
    )
    scores = run.scores.copy()
    scores["reply"] = pd.Series(replies, index=scores.index, dtype="string")
    scores["gold_delivered"] = [1, 1, 0, 1, 0]
    for name, outcome in (outcomes or {}).items():
        scores.loc[scores.question_id == name, "outcome"] = outcome
    return edited(replace(run, scores=scores), "identity.tasks.t.cite", True)


def row(run: Run) -> dict[str, Any]:
    (found,) = citations(run).to_dict(orient="records")
    return {str(key): value for key, value in found.items()}


def test_by_hand(tmp_path: Path) -> None:
    found = row(made(tmp_path / "run", [*REPLIES[:4], "no"]))
    assert (found["n"], found["citing"]) == (5, 4)
    ends = (found["citing_low"], found["citing_high"])
    assert ends[0] == pytest.approx(proportion_confint(4, 5, method="wilson")[0])
    # q0: gold. q1: not gold, and none. q2: not gold. q3: gold, once.
    assert (found["citations"], found["nonexistent"]) == (5, 1)
    assert (found["judged"], found["gold"]) == (4, 2)
    assert found["nonexistent_share"] == pytest.approx(1 / 5)
    assert found["gold_share"] == pytest.approx(2 / 4)


def test_without_known_gold_nothing_is_judged(tmp_path: Path) -> None:
    found = row(made(tmp_path / "run", [None, "", "-", "x", "no [1]"]))
    assert (found["citing"], found["citations"], found["judged"]) == (1, 1, 0)
    assert math.isnan(found["gold_share"])


def test_gold_by_the_place_of_the_answer_is_not_judged(tmp_path: Path) -> None:
    run = made(tmp_path / "run", list(REPLIES))
    scores = run.scores.copy()
    scores.loc[scores.question_id == "q0", "gold_delivered"] = 0  # another chunk has the answer
    found = row(replace(run, scores=scores))
    assert (found["citations"], found["judged"], found["gold"]) == (6, 3, 1)


def test_failed_questions_have_no_interval(tmp_path: Path) -> None:
    run = made(tmp_path / "run", list(REPLIES), {"q0": "error"})
    found = row(run)
    assert (found["status"], found["n"], found["citing"]) == ("incomplete", 4, 4)
    assert math.isnan(found["citing_low"])
    _, (cells,) = citation_rows(run, citations(run))
    assert cells[3:6] == ["4", "100.0 %", "-"]


def test_tasks_that_ask_for_none_have_no_rows(tmp_path: Path) -> None:
    found = citations(make_run(tmp_path / "run", {("m", "t", "closed-book"): "10"}, full=True))
    assert found.empty and list(found) == CITATION_COLUMNS
