"""Replies without an answer leave in doubt what would be otherwise if they counted otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.analysis.effects import effects
from ragbench.report.verdict.clauses import Doubt
from ragbench.report.verdict.unanswered import Unanswered
from tests.analysis.making import make_run
from tests.report.verdict.test_verdict import said


def test_replies_without_an_answer_that_make_the_gain(tmp_path: Path) -> None:
    # With the arm 20 questions more have no answer, all of which were right before; of the
    # others it gains 20.
    cells = {
        ("m", "t", "closed-book"): "1" * 20 + "0" * 20 + "1" * 60,
        ("m", "t", "bm25"): "?" * 20 + "1" * 20 + "1" * 60,
    }
    (line,) = [x for x in said(make_run(tmp_path / "run", cells)) if "without an answer" in x]
    assert "0.0 % closed-book and 20.0 % with bm25 (p = 9.5e-07, exploratory)" in line  # 1 / 2^20
    # (80 - 80) / 100; 20 quarters more; 80 - 60 of the 80 that have an answer in both
    assert "+0.0 points if they count as wrong, and +5.0 if as chance; it is +25.0 on the" in line


@pytest.mark.parametrize(
    ("closed", "arm", "doubt"),
    [
        # 4 options. By wrong, chance and left out: +20, +15 and 0 points.
        ("?" * 20 + "1" * 80, "1" * 100, Doubt(size=True, sign=True)),
        # -20, -15, and +25 of 80 points.
        ("1" * 20 + "0" * 20 + "1" * 60, "?" * 40 + "1" * 60, Doubt(size=True, sign=True)),
        # +36, +35.5 and +32 of 96 points, 4 % in one cell: of one sign, and outside of the margin.
        ("?" * 4 + "0" * 32 + "1" * 64, "1" * 100, Doubt(size=True, sign=False)),
        # 0, +0.25 and 0 points, with one reply without an answer.
        ("0" + "1" * 99, "?" + "1" * 99, Doubt(size=False, sign=True)),
        ("0" * 50 + "1" * 50, "0" * 40 + "1" * 60, Doubt()),
    ],
)
def test_doubt_by_hand(tmp_path: Path, closed: str, arm: str, doubt: Doubt) -> None:
    run = make_run(tmp_path / "run", {("m", "t", "closed-book"): closed, ("m", "t", "bm25"): arm})
    (row,) = effects(run).to_dict(orient="records")
    assert Unanswered(run).leaves_in_doubt({str(k): v for k, v in row.items()}) == doubt


def test_fine_tuning_that_teaches_the_form_of_replies_alone(tmp_path: Path) -> None:
    # The general model answers 60 of 100 questions and is right in 45; the other answers all, and
    # is right in 40 of those 60, and in 20 of the other 40: 60 - 45 = +15 points, by chance of four
    # options 60 - 55 = +5, and 40 - 45 of 60 = -8.3 on the questions that both answer.
    cells = {
        ("general", "t", "closed-book"): "1" * 45 + "0" * 15 + "?" * 40,
        ("bio", "t", "closed-book"): "1" * 40 + "0" * 20 + "1" * 20 + "0" * 20,
    }
    lines = said(make_run(tmp_path / "run", cells, bases={"bio": "general"}))
    (line,) = [x for x in lines if x.startswith("bio against general on t, n = 100: ")]
    assert "fine-tuning gain +15.0 points (95 % interval +5.6 to +24.9, p = " in line
    assert "not shown, because it depends on how replies without an answer count" in line
    assert (
        "bio against general on t: the fine-tuning gain (closed-book) is +15.0 points if replies "
        "without an answer count as wrong, and +5.0 if as chance; it is -8.3 on the questions that "
        "have an answer on both sides. Its sign depends on how they count, so it shows no "
        "difference." in lines
    )
