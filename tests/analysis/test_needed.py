"""How many questions a run's effects need."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.analysis.effects import effects
from ragbench.analysis.load import load_run
from ragbench.analysis.needed import needed_by_run
from ragbench.analysis.statistics.power import questions_needed, smallest_difference


def test_what_a_run_could_see(mixed_home: Path) -> None:
    run = load_run(mixed_home / "runs" / "mixed")
    table, known = needed_by_run(run, 0.05), effects(run)
    known = known[(known.status == "complete") & (known.stratum == "")]
    (level,) = set(known.level[known.family == "primary"])
    assert level == 0.05 / (known.family == "primary").sum()
    seen = 0
    for row in table[~table.task.str.startswith("(")].to_dict(orient="records"):
        same = known[(known.effect == row["effect"]) & (known.task == row["task"])]
        same = same[(same.arm == row["arm"]) & (same.model == row["model"])].iloc[0]
        level, sees = float(row["level"]), float(row["sees"])
        assert level == same["level"]
        assert sees == pytest.approx(same["smallest_detectable"], nan_ok=True)
        # Two cells of right and wrong answers: by the share of the questions that changed.
        share = float(same["helped"] + same["hurt"]) / 6
        assert sees == pytest.approx(smallest_difference(6, share, alpha=level), nan_ok=True)
        assert row["questions"] == questions_needed(0.05, max(share, 0.05), alpha=level)
        seen += 1
    assert seen >= 12


def test_a_level_that_is_asked_for(mixed_home: Path) -> None:
    run = load_run(mixed_home / "runs" / "mixed")
    strict, loose = (needed_by_run(run, 0.1, alpha=alpha) for alpha in (0.001, 0.05))
    assert set(strict.level) == {0.001}
    assert (strict.questions.dropna() > loose.questions[strict.questions.notna()]).all()
