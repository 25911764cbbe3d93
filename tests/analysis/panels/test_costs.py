"""Money of answers and of calls before them, by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from ragbench.analysis.load import Run
from ragbench.analysis.panels.costs import (
    answers_money,
    before_means,
    calls_money,
    cell_cost,
    written_money,
)
from ragbench.runfolder.config import Billing
from ragbench.runfolder.records import Record, write_imported_records
from tests.analysis.making import edited, make_run, with_arms


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a run whose arm ``asked`` has queries of the writer ``w``, one call per question."""
    made = make_run(tmp_path / "run", {("m", "t", "asked"): "1100"}, full=True)
    made = edited(made, "config.queries", {"r": {"by": "w", "write": "rationale"}})
    made = with_arms(made, asked={"retriever": "bm25", "k": 1, "queries": "r"})
    call = Record(key="", prompt="", question_id="", log_likelihoods=None, error=None, reply="x")
    call = replace(call, prompt_tokens=1000, reply_tokens=50, elapsed_s=2.0)
    path = made.files.written.records("w", "t", "queries.r")
    path.parent.mkdir(parents=True)
    asked = made.questions("t")
    write_imported_records(path, [replace(call, question_id=question.id) for question in asked])
    return made


def priced(run: Run, **billing: Billing) -> Run:
    return replace(run, about=replace(run.about, config=replace(run.config, billing=billing)))


def test_calls_before_the_answers_cost_what_their_writer_costs(run: Run) -> None:
    """Four calls of 1,000 tokens at 2 and 50 at 20 per million are 4 x 0.003."""
    known = priced(run, w=Billing(input=2, output=20), m=Billing(own_machine=True))
    assert written_money(known, "m", "t", "asked") == pytest.approx(0.012)
    hourly = priced(run, w=Billing(per_hour=3600, in_flight=2))
    assert written_money(hourly, "m", "t", "asked") == pytest.approx(4)  # 8 s, two at a time
    assert written_money(priced(run, m=Billing(own_machine=True)), "m", "t", "asked") is None
    assert calls_money(known, "w", []) == 0


def test_answers_cost_what_was_sent_and_replied(run: Run) -> None:
    """Four answers of 300 tokens at 10, of which 100 were cached at 1, and 2 at 100."""
    scores = run.scores.assign(sent_tokens=300.0, cached_tokens=100.0)
    billing = Billing(input=10, cached_input=1, output=100)
    run = priced(replace(run, scores=scores), m=billing)
    cost = cell_cost(run.cell("m", "t", "asked"))
    assert (cost.n, cost.sent, cost.prompt, cost.reply) == (4, 300, 100, 2)
    assert answers_money(run, "m", cost) == pytest.approx(4 * (200 * 10 + 100 + 2 * 100) / 1e6)
    assert answers_money(priced(run), "m", cost) is None


def test_means_before_the_answers_and_of_runs_without_such_calls(run: Run) -> None:
    assert before_means(run.cell("m", "t", "asked")) == (0, 0, 0, 0)
    scores = run.scores.assign(written_calls=[1, 2, 1, 0], written_sent_tokens=8)
    scores = scores.assign(written_reply_tokens=2, written_seconds=0.5)
    assert before_means(replace(run, scores=scores).cell("m", "t", "asked")) == (1, 8, 2, 0.5)


def test_requests_that_were_not_counted_are_prompts(run: Run) -> None:
    cost = cell_cost(run.cell("m", "t", "asked"))
    assert cost.sent == cost.prompt == 100
    assert math.isnan(cost.sums[0])
