"""Planted errors, counted by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from ragbench.analysis.load import Run
from ragbench.analysis.panels.misled import MISLED_COLUMNS, misled
from ragbench.report.evidence import misled_rows, misled_sentences
from tests.analysis.making import make_run, with_arms, with_gold

# An error is planted in the passages of the first six of ten questions. Question i has the right
# option i % 4, and the one after it is planted.
CLOSED = "0111100000"
LIKE__ = "1011111111"
MISLED = "000100 1111"
PLANTED = {f"q{i}": (i + 1) % 4 for i in range(6)}
RIGHT = {f"q{i}": i % 4 for i in range(10)}
# What is picked where it is neither right nor without a reading: P the planted option, o another.
PICKS = {"closed-book": "P1111ooooo", "bm25": "1P11111111", "misled-bm25": "PPP1o?1111"}


def made(path: Path, **cells: str) -> Run:
    given = {"closed-book": CLOSED, "bm25": LIKE__, "misled-bm25": MISLED}
    given |= {name.replace("_", "-"): text for name, text in cells.items()}
    run = make_run(path, {("m", "t", arm): text for arm, text in given.items()}, full=True)
    run = with_arms(
        run,
        bm25={"retriever": "r", "k": 3},
        misled_bm25={"control": "misled", "like": "bm25"},
    )
    packing = run.files.packed("t", "misled-bm25")
    lines = [json.loads(line) for line in packing.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        if line["question_id"] in PLANTED:
            line["planted"] = PLANTED[line["question_id"]]
    packing.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    scores = run.scores.copy()
    scores["pick"] = [
        _pick(PICKS[arm][int(name[1:])], name)
        for arm, name in zip(scores.arm, scores.question_id, strict=True)
    ]
    return with_gold(replace(run, scores=scores.astype({"pick": "Int64"})), "bm25", "1111111000")


def _pick(letter: str, name: str) -> int | None:
    right = RIGHT[name]
    return {"1": right, "P": (right + 1) % 4, "o": (right + 2) % 4, "?": None}[letter]


def row(run: Run) -> dict[str, Any]:
    (found,) = misled(run).to_dict(orient="records")
    return {str(key): value for key, value in found.items()}


def test_by_hand(tmp_path: Path) -> None:
    found = row(made(tmp_path / "run"))
    assert (found["n"], found["gold_delivered"], found["changed"]) == (10, 7, 6)
    assert found["changed_share"] == pytest.approx(0.6)
    # Closed-book, question 0 has picked the planted option; 1 and 2 follow it, and 1 had picked it
    # with the unchanged passages.
    assert (found["at_risk"], found["followed"], found["picked_unplanted"]) == (5, 2, 1)
    ends = (found["changed_low"], found["changed_high"])
    assert ends == pytest.approx(proportion_confint(6, 10, method="wilson"))
    ends = (found["followed_low"], found["followed_high"])
    assert ends == pytest.approx(proportion_confint(2, 5, method="wilson"))
    # Of the six: 3 is right with the planted error, all but 1 are without it; 0, 2, 4 and 5 lose.
    assert found["accuracy"] == pytest.approx(1 / 6)
    assert found["like_accuracy"] == pytest.approx(5 / 6)
    assert found["difference"] == pytest.approx(-4 / 6)
    assert found["p"] == pytest.approx(2 * 0.5 / 2**4)  # McNemar's mid-p of 0 and 4
    assert found["difference_low"] <= -4 / 6 <= found["difference_high"]


def test_rows_and_sentence(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    header, (cells,) = misled_rows(run, misled(run))
    shown = dict(zip(header, cells, strict=True))
    assert (shown["arm imitated"], shown["changed"], shown["share changed"]) == (
        *("bm25", "6", "60.0 %"),
    )
    assert (shown["followed"], shown["share followed"]) == ("2 of 5", "40.0 %")
    assert list(misled_sentences(run, misled(run))) == [
        "m on t, misled-bm25: the passages of 6 of 10 questions could be changed, and the model "
        "followed the planted error in 2 of the 5 that it answers otherwise closed-book (40.0 %, "
        "95 % interval 11.8 % to 76.9 %)."
    ]


@pytest.mark.parametrize("cell", ["closed_book", "bm25", "misled_bm25"])
def test_failed_questions_leave_the_counts_of_questions(tmp_path: Path, cell: str) -> None:
    text = {"closed_book": CLOSED, "bm25": LIKE__, "misled_bm25": MISLED}[cell]
    found = row(made(tmp_path / "run", **{cell: "x" + text[1:]}))
    assert (found["status"], found["changed"]) == ("incomplete", 6)
    assert pd.isna(found["followed"]) and math.isnan(found["difference"])


def test_a_failed_question_that_was_not_changed_is_no_matter(tmp_path: Path) -> None:
    found = row(made(tmp_path / "run", bm25=LIKE__[:-1] + "x"))
    assert (found["status"], found["followed"]) == ("complete", 2)


def test_where_nothing_could_be_changed(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    packing = run.files.packed("t", "misled-bm25")
    packing.write_text(packing.read_text(encoding="utf-8").replace('"planted"', '"p"'), "utf-8")
    found = row(run)
    assert (found["changed"], found["changed_share"]) == (0, 0)
    (sentence,) = misled_sentences(run, misled(run))
    assert "no delivered gold passage mentions the right answer" in sentence
    _, (cells,) = misled_rows(run, misled(run))
    assert cells[6:10] == ["0", "0.0 %", "-", "-"]


def test_a_run_without_the_control_has_no_rows(tmp_path: Path) -> None:
    found = misled(make_run(tmp_path / "run", {("m", "t", "closed-book"): "10"}, full=True))
    assert found.empty and list(found) == MISLED_COLUMNS
