"""What arms cost, by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ragbench.analysis.effects import effects
from ragbench.analysis.panels.frontier import frontier
from ragbench.analysis.results import results
from ragbench.report.cost import (
    cost_rows,
    frontier_note,
    frontier_rows,
    runnable_rows,
    unpaid_sentences,
)
from ragbench.runfolder.retrieval import CallLine, RetrievalNote, sealed, write_calls
from tests.analysis.making import make_run
from tests.report.verdict.test_odd_runs import tango


def test_cost_by_hand(tmp_path: Path) -> None:
    cells = {("m", "t", "closed-book"): "1000", ("m", "t", "bm25"): "1110"}
    run = make_run(tmp_path / "run", cells, full=True)
    given = run.scores.arm == "bm25"
    run.scores.loc[given, ["prompt_tokens", "passage_tokens", "elapsed_s"]] = [600.0, 500.0, 1.5]
    header, rows = cost_rows(run, effects(run))
    closed, arm = (dict(zip(header, row, strict=True)) for row in rows)
    assert closed["prompt tokens"] == "100" and closed["seconds in all"] == "2.0"
    assert closed["points per 1,000 more tokens"] == "-"
    assert arm["prompt, times closed-book"] == "6.00"
    assert arm["seconds, times closed-book"] == "3.00"
    # 50 points for 500 tokens more
    assert arm["points per 1,000 more tokens"] == "+100.0"
    # Two of four were helped and none hurt, per 500 tokens; but p is 1 / 2^2, so zero is inside.
    low, high = tango(2, 0, 4)
    assert low < 0
    assert arm["95 % interval"] == f"{200 * low:+.1f} to {200 * high:+.1f}"
    assert arm["n"] == "4"


def test_what_was_not_answered_costs_nothing_known(tmp_path: Path) -> None:
    cells = {("m", "t", "closed-book"): "1000", ("m", "t", "bm25"): "11x0"}
    run = make_run(tmp_path / "run", cells, full=True)
    failed = run.scores.outcome == "error"
    run.scores.loc[failed, ["prompt_tokens", "elapsed_s"]] = float("nan")
    run.scores.loc[run.scores.arm == "closed-book", "elapsed_s"] = float("nan")
    header, rows = cost_rows(run, effects(run))
    closed, arm = (dict(zip(header, row, strict=True)) for row in rows)
    assert (closed["seconds in all"], closed["seconds a question"]) == ("-", "-")
    assert (arm["n"], arm["seconds in all"]) == ("3", "1.5")
    assert arm["points per 1,000 more tokens"] == "-"


def test_wall_seconds_count_what_is_side_by_side_once_and_no_break(tmp_path: Path) -> None:
    """Four answers of 2 s: two together, one that overlaps both by 1 s, one a day later."""
    cells = {("m", "t", "closed-book"): "1000", ("m", "t", "bm25"): "1110"}
    run = make_run(tmp_path / "run", cells, full=True)
    given = run.scores.arm == "bm25"
    run.scores["elapsed_s"] = 2.0
    run.scores["ended_at"] = float("nan")
    run.scores.loc[given, "ended_at"] = [1000.0, 87_400.0, 1000.0, 1001.0]
    header, rows = cost_rows(run, effects(run))
    closed, arm = (dict(zip(header, row, strict=True)) for row in rows)
    assert (arm["seconds in all"], arm["wall seconds"]) == ("8.0", "5.0")  # 998 to 1001, and 2
    assert (closed["seconds in all"], closed["wall seconds"]) == ("8.0", "-")  # of an earlier run


def test_wall_seconds_of_runs_from_before_are_unknown(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {("m", "t", "closed-book"): "1000"}, full=True)
    run.scores["ended_at"] = [1000.0, 1000.0, 1000.0, float("nan")]  # a run that was resumed
    header, (row,) = cost_rows(run, effects(run))
    assert dict(zip(header, row, strict=True))["wall seconds"] == "-"
    again = make_run(tmp_path / "run", {("m", "t", "closed-book"): "1000"}, full=True)
    assert "ended_at" not in again.scores
    header, (row,) = cost_rows(again, effects(again))
    assert dict(zip(header, row, strict=True))["wall seconds"] == "-"


def test_imported_answers_have_no_cost(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {("m", "t", "closed-book"): "10"}, full=True)
    run.scores["prompt_tokens"] = None
    assert cost_rows(run, effects(run))[1] == []


def test_calls_of_a_runnable_by_hand(tmp_path: Path) -> None:
    """Two questions of 1.5 s and 0.5 s with three calls, of which two report 10 + 5 and 20 + 7."""
    run = make_run(tmp_path / "run", {("m", "t", "closed-book"): "10"})
    one = CallLine(key="k", question_id="q0", passages=(), seconds=1.5)
    one = replace(one, model_calls=2, reported_calls=1, sent_tokens=10, written_tokens=5)
    two = replace(one, question_id="q1", seconds=0.5, model_calls=1, sent_tokens=20)
    gone = replace(one, question_id="gone", seconds=9.0)
    calls = [one, replace(two, written_tokens=7), gone]
    write_calls(run.files.retrieval("t", "theirs", "calls.jsonl"), map(sealed, calls))
    notes = {("t", "theirs"): RetrievalNote(kind="runnable"), ("t", "b"): RetrievalNote()}
    header, (row,) = runnable_rows(replace(run, retrievals=notes))
    assert dict(zip(header, row, strict=True)) == {
        **{"task": "t", "retriever": "theirs", "questions": "2", "seconds per question": "1.000"},
        **{"seconds in all": "2.0", "model calls": "3", "of them with tokens reported": "2"},
        **{"prompt tokens": "30", "reply tokens": "12"},
    }


def test_further_calls_without_a_shown_gain_have_a_sentence(tmp_path: Path) -> None:
    """Five calls help two and hurt one of four; the better arm of one call helps all eight."""
    letters = {"closed-book": "0" * 12, "a": "1" * 8 + "0" * 4, "b": "1" * 7 + "0110" + "0"}
    run = make_run(tmp_path / "run", {("m", "t", a): w for a, w in letters.items()}, full=True)
    sent = run.scores.arm.map({"closed-book": 50.0, "a": 100.0, "b": 100.0})
    scores = run.scores.assign(sent_tokens=sent, written_calls=4 * (run.scores.arm == "b"))
    wrote = 100 * (run.scores.arm == "b")
    run = replace(run, scores=scores.assign(written_sent_tokens=wrote))
    table = frontier(run, results(run))
    header, rows = frontier_rows(run, table)
    assert [row[2] for row in rows] == ["closed-book", "a", "b"]
    found = {row[2]: dict(zip(header, row, strict=True)) for row in rows}
    assert [found[arm]["calls"] for arm in letters] == ["1.0", "1.0", "5.0"]
    assert [found[arm]["on the frontier"] for arm in letters] == ["yes", "yes", "yes"]
    assert (found["b"]["tokens"], found["b"]["against"]) == ("202", "a")
    low, high = tango(2, 1, 12)
    assert list(unpaid_sentences(run, table)) == [
        "m on t: the 5 calls of b gained +8.3 points (95 % interval "
        f"{100 * low:+.1f} to {100 * high:+.1f}, adjusted p = 0.62), no gain shown, "
        "over the 1 call of a."
    ]
    assert "A control has the calls" in frontier_note(run, table)
