"""Replies without an answer in tables, and the same answer to every question."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from ragbench.analysis.effects import effects
from ragbench.analysis.load import Run
from ragbench.analysis.panels.policies import policies, unread_rates
from ragbench.analysis.results import results
from ragbench.report.charts.shares import share_bars
from ragbench.report.policies import assumed_answers, policy_rows, unread_rows
from ragbench.report.tables import outcome_rows
from ragbench.report.verdict.verdict import verdict
from tests.analysis.making import edited, make_run


def test_rows_by_hand(tmp_path: Path) -> None:
    cells = {("m", "t", "closed-book"): "11100 00000", ("m", "t", "bm25"): "11?11 ?!>10"}
    run = make_run(tmp_path / "run", cells)
    header, rows = policy_rows(run, policies(run))
    assert len(rows) == 6 and all(len(row) == len(header) for row in rows)
    last = dict(zip(header, rows[-1], strict=True))
    assert (last["if unread"], last["n"], last["accuracy"]) == ("excluded", "6", "83.3 %")
    # Three of six were helped: the mid-p is half of the exact one, 2 / 2^3.
    assert (last["n of the gain"], last["gain (points)"], last["p"]) == ("6", "+50.0", "0.12")
    assert rows[0][7:9] == ["-", "-"]  # closed-book has no gain over itself
    header, rows = unread_rows(unread_rates(run))
    # Four of ten: 1 / 2^4.
    assert rows == [["m", "t", "bm25", "10", "40.0 %", "0.0 %", "4 / 0", "0.062", "0.062"]]
    assert len(header) == len(rows[0])


def test_no_rows_where_every_reply_has_an_answer(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {("m", "t", "closed-book"): "10"})
    assert policy_rows(run, policies(run))[1] == []
    assert unread_rows(pd.DataFrame(unread_rates(run)))[1] == []


def assuming(path: Path) -> Run:
    """Ten questions in two arms: 1 and 4 assumed answers, of which 1 and 1 are right."""
    cells = {("m", "t", "closed-book"): "11100 0000x", ("m", "t", "medrag-32"): "11011 00010"}
    run = make_run(path / "run", cells, full=True)
    scores = run.scores.assign(rule="mirage 1")
    for arm, number, rule in [
        ("closed-book", 0, "default A"),
        ("medrag-32", 1, "default A"),
        ("medrag-32", 2, "default A"),
        ("medrag-32", 5, "reply before"),
        ("medrag-32", 6, "error message"),
    ]:
        here = (scores.arm == arm) & (scores.question_id == f"q{number}")
        scores.loc[here, ["outcome", "rule"]] = ["assumed", rule]
    return edited(replace(run, scores=scores), "config.mode", "mirage")


def test_assumed_answers_are_said_with_their_number(tmp_path: Path) -> None:
    run = assuming(tmp_path)
    (line,) = assumed_answers(run)
    # 5 of the 19 that were answered; 4 of the 10 with passages.
    assert line == (
        "The mode mirage assumes an answer where a reply gives none, as the benchmark's script "
        "does: 5 of 19 answers (26.3 %) are assumed, most in m on t, medrag-32 (40.0 %). The "
        "assumed answer is A where no rule finds an answer (3), that in the reply to the question "
        "before where there is no reply (1) and what the rules find in an error message (1)."
    )
    assert verdict(run, effects(run)).count(line) == 1


def test_one_way_of_assuming_needs_no_list(tmp_path: Path) -> None:
    run = assuming(tmp_path)
    scores = run.scores[run.scores.arm == "closed-book"]
    (line,) = assumed_answers(replace(run, scores=scores))
    assert line.endswith("The assumed answer is A where no rule finds an answer (1).")


def test_assumed_answers_are_never_shown_as_parsed(tmp_path: Path) -> None:
    run = assuming(tmp_path)
    table = results(run)
    rates = table.set_index(["arm", "metric"]).value
    assert rates["medrag-32", "assumed_rate"] == 0.4
    assert rates["medrag-32", "parsed_rate"] == 0.6
    assert rates["medrag-32", "accuracy"] == 0.5  # an assumed answer that is right counts
    header, rows = outcome_rows(run, table)
    assert header[3:6] == ["parsed", "assumed", "unparsed"]
    assert [row[2:6] for row in rows] == [
        ["closed-book", "80.0 %", "10.0 %", "0.0 %"],
        ["medrag-32", "60.0 %", "40.0 %", "0.0 %"],
    ]
    (bars,) = share_bars(run)
    assert [(part.kind, part.width) for part in bars.bars[1].parts] == [
        ("right", 40.0),
        ("wrong", 20.0),
        ("assumed", 40.0),
    ]
    assert list(bars.legend) == ["right", "wrong", "assumed", "no answer", "failed"]


def test_a_run_without_assumed_answers_has_no_word_on_them(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {("m", "t", "closed-book"): "10?"}, full=True)
    assert list(assumed_answers(run)) == []
    assert "assumed" not in outcome_rows(run, results(run))[0]
    assert "assumed" not in share_bars(run)[0].legend
