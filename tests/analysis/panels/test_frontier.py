"""Scores against all calls, by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ragbench.analysis.load import Run
from ragbench.analysis.panels.frontier import frontier
from ragbench.analysis.results import results
from ragbench.runfolder.config import Billing
from ragbench.runfolder.retrieval import CallLine, sealed, write_calls
from tests.analysis.making import edited, make_run
from tests.report.verdict.test_odd_runs import tango

# Right of 8: 2, 4, 6, 4, 8; tokens by answer are 100, 300, 300, 500, 300.
CELLS = {
    "closed-book": "11000000",
    "bm25": "11110000",
    "queries": "11111100",
    "long": "01111000",
    "random-bm25": "11111111",
}
SENT = {"closed-book": 98, "bm25": 298, "queries": 298, "long": 498, "random-bm25": 298}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a run with replies of two tokens, and four calls of 50 + 10 tokens for ``queries``."""
    cells = {("m", "t", arm): letters for arm, letters in CELLS.items()}
    made = make_run(tmp_path / "run", cells, full=True, controls={"random-bm25": "bm25"})
    scores = made.scores.assign(sent_tokens=made.scores.arm.map(SENT).astype(float))
    wrote = scores.arm == "queries"
    for name, value in (("calls", 4), ("sent_tokens", 200), ("reply_tokens", 40), ("seconds", 2.0)):
        scores[f"written_{name}"] = wrote * value
    return replace(made, scores=scores)


def by_arm(run: Run) -> pd.DataFrame:
    return frontier(run, results(run)).set_index("arm")


def test_every_call_counts_and_the_frontier_is_by_hand(run: Run) -> None:
    table = by_arm(run)
    assert dict(table.tokens) == {
        **{"closed-book": 100, "bm25": 300, "queries": 540, "long": 500, "random-bm25": 300}
    }
    assert dict(table.calls) == {
        **{"closed-book": 1, "bm25": 1, "queries": 5, "long": 1, "random-bm25": 1}
    }
    parts = ["answer_sent_tokens", "answer_reply_tokens"]
    parts += ["written_sent_tokens", "written_reply_tokens"]
    assert [table.loc["queries", part] for part in parts] == [298, 2, 200, 40]
    assert (table.loc["queries", "seconds"], table.loc["bm25", "seconds"]) == (2.5, 0.5)
    # ``long`` is as good as ``bm25`` for more; the control is best of all, and no choice.
    assert sorted(table.index[table.on_frontier]) == ["bm25", "closed-book", "queries"]
    assert table.on_money_frontier.isna().all()
    assert list(table.n) == [8] * 5


def test_gains_over_the_best_cheaper_arm_are_paired_and_adjusted_together(run: Run) -> None:
    table = by_arm(run)
    assert dict(table.against) == {
        **{"closed-book": "", "bm25": "closed-book", "queries": "bm25", "long": "bm25"},
        "random-bm25": "",
    }
    assert table.loc["queries", "against_calls"] == 1
    gain = table.loc["queries"]
    assert gain.gain == 0.25
    low, high = tango(2, 0, 8)
    assert (gain.gain_low, gain.gain_high) == pytest.approx((low, high), abs=1e-6)
    # McNemar's mid-p of 2 to 0 is 2 (1/4) - 1/4, of 1 to 1 it is 1; Holm over the three of them.
    assert table.loc[["bm25", "queries"], "p"].tolist() == [0.25, 0.25]
    assert table.loc["long", "gain"] == 0 and table.loc["long", "p"] == 1
    assert table.loc[["bm25", "queries", "long"], "p_adjusted"].tolist() == [0.75, 0.75, 1.0]


def test_an_unanswered_question_keeps_a_cell_off_the_frontier(run: Run) -> None:
    scores = run.scores.copy()
    failed = (scores.arm == "bm25") & (scores.question_id == scores.question_id.iloc[0])
    scores.loc[failed, "outcome"] = "error"
    scores.loc[failed, "accuracy"] = float("nan")
    table = by_arm(replace(run, scores=scores))
    assert table.loc["bm25", "status"] == "incomplete" and not table.loc["bm25", "on_frontier"]
    assert table.loc["queries", "against"] == "long"


def test_money_by_hand(run: Run) -> None:
    """A million tokens sent cost 10, of replies 100: 98 + 2 tokens are 0.00118."""
    priced = replace(run.about.config, billing={"m": Billing(input=10, output=100)})
    scores = run.scores.assign(cached_tokens=0.0, written_calls=0)
    table = by_arm(replace(run, about=replace(run.about, config=priced), scores=scores))
    assert table.loc["closed-book", "money"] == pytest.approx(0.00118)
    assert table.loc["bm25", "money"] == pytest.approx(0.00318)
    # Without the records of its calls, ``queries`` costs as much as ``bm25``, and is better.
    assert sorted(table.index[table.on_money_frontier.fillna(False)]) == ["closed-book", "queries"]


def test_calls_in_the_answers_of_a_runnable_count_if_all_tokens_are_known(run: Run) -> None:
    """Half of the answers took 2 calls of models and the others 3."""
    calls = [2, 3] * (len(run.scores) // 2)
    scores = run.scores.assign(model_calls=calls)
    assert by_arm(replace(run, scores=scores)).loc["closed-book", "calls"] == 2.5
    first = (scores.arm == "bm25") & (scores.question_id == scores.question_id.iloc[0])
    scores.loc[first, "prompt_tokens"] = None
    assert "bm25" not in by_arm(replace(run, scores=scores)).index


def test_calls_of_a_runnable_count_if_all_of_them_were_reported(run: Run) -> None:
    place = run.members("arms").index("long")
    arm = {"name": "long", "runnable": {"name": "theirs"}, "k": 3}
    run = edited(run, f"config.arms.{place}", arm)
    call = CallLine(key="k", question_id="", passages=(), seconds=1.0, model_calls=2)
    call = replace(call, reported_calls=2, sent_tokens=100, written_tokens=20)
    calls = [replace(call, question_id=question.id) for question in run.questions("t")]
    path = run.files.retrieval("t", "theirs", "calls.jsonl")
    write_calls(path, map(sealed, calls))
    found = by_arm(run).loc["long"]
    assert (found.calls, found.tokens, found.seconds) == (3, 620, 1.5)
    write_calls(path, map(sealed, [replace(calls[0], reported_calls=1), *calls[1:]]))
    found = by_arm(run).loc["long"]
    assert (str(found.tokens), bool(found.on_frontier), found.against) == ("nan", False, "")
