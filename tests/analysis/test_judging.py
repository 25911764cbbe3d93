"""Judging a run: figures of the first look by hand."""

from __future__ import annotations

from math import comb
from pathlib import Path
from shutil import copytree

import pandas as pd
import pytest

from ragbench.analysis.effects import effects as effects_of
from ragbench.analysis.judging import judge
from ragbench.analysis.load import load_run
from ragbench.analysis.results import results
from ragbench.experiment.answering.rounds import Until
from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import run_experiment
from ragbench.report.headline import headline
from ragbench.report.stopping import methods
from tests.experiment.answering.stopping_home import (
    add_a_task,
    decisions,
    make_stopping_home,
    of,
)


def test_the_first_look_is_the_bet_in_closed_form(stopped_home: Path) -> None:
    (look, *_) = of("reads", decisions(stopped_home)).looks
    effects = pd.read_csv(stopped_home / "runs" / "stops" / "effects.csv")
    row = effects[(effects.model == "reads") & (effects.arm == "bm25-1")].iloc[0]
    helped, hurt = int(row.helped), int(row.hurt)
    assert look.n == row.n == 20
    assert hurt < helped
    # 2^(h+l) B(3+h, 3+l) / B(3, 3); B(a, b) = 1 / (a C(a+b-1, a)), and B(3, 3) is 1/30
    beta = 1 / ((3 + helped) * comb(5 + helped + hurt, 3 + helped))
    assert look.e_value == pytest.approx(2 ** (helped + hurt) * beta * 30, rel=1e-9)
    assert look.p == pytest.approx(5 / look.e_value, rel=1e-9)  # a fifth of alpha
    assert row.p_adjusted == pytest.approx(2 * look.p, rel=1e-9)  # Holm, two effects
    assert (row.ci_low, row.ci_high) == pytest.approx((look.low, look.high), rel=1e-9)


def test_an_average_over_tasks_stops_a_run(home: Path, stopped_home: Path) -> None:
    make_stopping_home(home)
    add_a_task(home)
    for name in ("corpora", "indexes"):
        copytree(stopped_home / name, home / name, dirs_exist_ok=True)
    run_experiment(*load_config(str(home / "stops.yaml")), until=Until(judge))
    stopped, run = decisions(home), load_run(home / "runs" / "stops")
    assert [effect.task for effect in stopped.effects] == ["(macro)", "(macro)"]
    shown, other = of("reads", stopped), of("guesses", stopped)
    assert (shown.verdict, shown.decided_at) == ("shown", 40)  # 20 questions of each task
    # All 60 and 24 questions, of which the second task has no more after the second look.
    assert (other.verdict, other.decided_at) == ("exhausted", 84)
    assert [look.n for look in other.looks] == [40, 49, 56, 64, 74, 84]
    assert set(shown.cells) == {
        ("reads", task, arm) for task in ("facts", "few") for arm in ("bm25-1", "closed-book")
    }
    effects = effects_of(run)
    rows = effects[(effects.family == "primary") & (effects.model == "reads")]
    (row,) = rows.to_dict(orient="records")
    mine = effects[(effects.model == "reads") & (effects.arm == "bm25-1")]
    gains = mine[mine.effect == "gain over closed-book"].set_index("task")["estimate"]
    assert row["estimate"] == pytest.approx((gains["facts"] + gains["few"]) / 2)
    last = shown.looks[-1]
    assert (row["ci_low"], row["ci_high"]) == (last.low, last.high)
    assert last.low > 0
    found = headline(run, results(run), effects)
    assert found.sentence == "Retrieval helped on average in 1 of 2 comparisons (2 models)."
    assert "stratified betting" in methods(run)
