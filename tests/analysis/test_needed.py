"""How many questions a run's effects need."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ragbench.analysis.effects import effects
from ragbench.analysis.load import load_run
from ragbench.analysis.needed import needed_by_run


def test_what_a_run_could_see(mixed_home: Path) -> None:
    run = load_run(mixed_home / "runs" / "mixed")
    table = needed_by_run(run, 0.05)
    known = effects(run)
    row = table[(table.effect == "gain over closed-book") & (table.task == "facts")].iloc[0]
    (same,) = known[
        (known.effect == row.effect) & (known.task == "facts") & (known.arm == row.arm)
    ].to_dict(orient="records")
    assert row.sees == pytest.approx(2.801585 * same["se"], rel=1e-5)
    assert row.questions == math.ceil(round(6 * (row.sees / 0.05) ** 2, 6))
