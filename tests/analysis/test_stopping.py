"""Figures of a stopped run: only effects with a sequence have an interval and a p."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

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
