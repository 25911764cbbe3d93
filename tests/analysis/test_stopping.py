"""Figures of a stopped run: only effects with a sequence have an interval and a p."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ragbench.analysis.compare import compare
from ragbench.analysis.load import load_run
from ragbench.analysis.needed import needed_by_run
from ragbench.base.errors import UsageError
from tests.experiment.answering.stopping_home import N


def test_only_effects_with_a_sequence_have_figures_of_inference(stopped_home: Path) -> None:
    effects = pd.read_csv(stopped_home / "runs" / "stops" / "effects.csv")
    assert (effects.status == "complete").all()
    others = effects[effects.family != "primary"]
    assert len(others) == 4
    columns = ["ci_low", "ci_high", "p", "p_exact", "p_adjusted", "p_equivalence_adjusted"]
    assert others[columns].isna().all(axis=None)
    results = pd.read_csv(stopped_home / "runs" / "stops" / "results.csv")
    assert (results.status == "complete").all()
    asked = results[(results.metric == "accuracy") & (results.model != "-")]
    assert set(asked.n) == {20, N}


def test_no_other_table_has_a_test_and_no_other_run_is_compared(stopped_home: Path) -> None:
    folder = stopped_home / "runs" / "stops"
    assert (
        pd.read_csv(folder / "frontier.csv")[["gain_low", "gain_high", "p"]].isna().all(axis=None)
    )
    assert pd.read_csv(folder / "policies.csv")[["gain_low", "gain_p"]].isna().all(axis=None)
    splits = pd.read_csv(folder / "leakage_splits.csv")
    gains = splits[splits.gain.notna()]
    assert len(gains) and gains[["gain_low", "gain_high"]].isna().all(axis=None)
    run = load_run(folder)
    refused: list[Callable[[], object]] = [
        lambda: compare(run, run),
        lambda: needed_by_run(run, 0.05),
    ]
    for refuse in refused:
        with pytest.raises(UsageError, match="stopped when its effects were decided") as caught:
            refuse()
        assert "--until all" in str(caught.value.fix)


def test_every_look_is_a_row(stopped_home: Path) -> None:
    table = pd.read_csv(stopped_home / "runs" / "stops" / "trajectory.csv")
    guesses = table[table.model == "guesses"]
    # 20, then the next whole number from 1.25 times the last on, to all
    assert guesses.n.tolist() == [20, 25, 32, 40, 50, 60]
    assert guesses.look.tolist() == [1, 2, 3, 4, 5, 6]
    assert (guesses.low.diff().dropna() >= 0).all()  # each sequence is within the one before
    assert (guesses.high.diff().dropna() <= 0).all()
    assert set(table[table.model == "reads"].n) == {20}
