"""The report of a stopped run says what was done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ragbench.analysis.load import Run, load_run
from ragbench.report.stopping import limit, saved_rows
from ragbench.runfolder.config import Billing
from tests.experiment.answering.stopping_home import N


def test_the_report_says_how_it_stopped(stopped_home: Path) -> None:
    text = (stopped_home / "runs" / "stops" / "report.md").read_text(encoding="utf-8")
    asked, every = 4 * 20 + 2 * N, 6 * N
    assert f"it asked {asked} of {every} answers (44 % saved, about " in text  # 1 - 200/360
    assert "the sequence has 0.01, and the test of a fixed number of questions has 0.04" in text
    assert "What was decided, and when" in text
    assert "What stopping early saved" in text


@pytest.fixture
def stopped(stopped_home: Path) -> Run:
    """Return the stopped run as if each answer had taken 100 tokens and a reply of 5."""
    run = load_run(stopped_home / "runs" / "stops")
    scores = run.scores.assign(sent_tokens=100.0, cached_tokens=0.0, reply_tokens=5.0)
    return replace(run, scores=scores)


def priced(run: Run, **billing: Billing) -> Run:
    config = replace(run.config, billing=billing, currency="EUR")
    return replace(run, about=replace(run.about, config=config))


def test_tokens_and_money_saved_by_hand(stopped: Run) -> None:
    # 100 tokens of 200 EUR and 5 of 1,000 EUR per million: 0.025 EUR per question
    dear = Billing(input=200.0, output=1000.0)
    run = priced(stopped, reads=dear, guesses=dear)
    header, rows = saved_rows(run)
    assert header[-2:] == ["tokens saved", "EUR saved"]
    found = {tuple(row[:3]): row[3:] for row in rows}
    assert found["reads", "facts", "bm25-1"] == ["20", "60", "105", "4,200", "1.0000"]
    assert found["guesses", "facts", "bm25-1"] == ["60", "60", "105", "0", "0.0000"]
    # 160 answers of four cells
    assert "(44 % saved, about 16,800 tokens and 4.00 EUR)" in limit(run)
    hourly = stopped.scores.assign(elapsed_s=9.0, ended_at=float("nan"))
    rented = priced(replace(stopped, scores=hourly), reads=Billing(per_hour=2.0))
    # 120 answers of 9 s for 2 EUR per hour are 0.60 EUR; the other model has no price
    assert "16,800 tokens and at least 0.60 EUR)" in limit(rented)
    known = {tuple(row[:3]): row[-1] for row in saved_rows(rented)[1]}
    assert known["reads", "facts", "closed-book"] == "0.2000"
    assert known["guesses", "facts", next(arm for *_, arm in known if "random" in arm)] == "unknown"


def test_no_money_is_saved_on_the_own_machine_or_without_prices(stopped: Run) -> None:
    own = Billing(own_machine=True)
    run = priced(stopped, reads=own, guesses=own)
    assert {row[-1] for row in saved_rows(run)[1]} == {"0 (own machine)"}
    assert "(44 % saved, about 16,800 tokens)" in limit(run)
    bare = priced(stopped)
    assert saved_rows(bare)[0][-1] == "tokens saved"
    assert "(44 % saved, about 16,800 tokens)" in limit(bare)
