"""The tables: numbers as people read them, every effect, what was delivered."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from ragbench.base.files import read_jsonl
from ragbench.report.tables import (
    between,
    delivered_rows,
    effect_rows,
    effect_table,
    p_value,
    percent,
    points,
    scored,
)
from tests.report.conftest import Analysed


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.5"), (0.0112, "0.011"), (1.72e-12, "1.7e-12"), (math.nan, "-")]
)
def test_p_values_are_never_zero(value: float, text: str) -> None:
    assert p_value(value) == text


def test_rates_and_points() -> None:
    assert percent(0.9249) == "92.5 %"
    assert points(-0.03) == "-3.0"
    assert points(0.62) == "+62.0"
    assert percent(math.nan) == "-"


def test_each_effect_has_a_table_of_its_own(mixed: Analysed) -> None:
    run, found = mixed.run, mixed.effects
    for kind in found.effect.unique():
        header, rows = effect_table(run, found, kind)
        wanted = found[found.effect == kind]
        assert len(rows) == len(wanted)
        assert [row[header.index("points")] for row in rows] == [
            points(value) for value in wanted.estimate
        ]
    of_tasks = found[~found.task.str.startswith("(")]
    assert len(effect_rows(run, found)[1]) == (of_tasks.effect != "gain over closed-book").sum()


def test_strata_get_a_column_where_there_are_any(mixed: Analysed) -> None:
    row = {
        "effect": "headroom with gold missing",
        "model": "m",
        "task": "t",
        "arm": "a",
        "baseline": "oracle",
        "stratum": "",
        "estimate": 0.25,
        "ci_low": -0.125,
        "ci_high": 0.5,
        "p": 0.5,
        "p_adjusted": 0.75,
        "p_is_bound": False,
        "n": 8,
        "helped": 3,
        "hurt": 1,
        "status": "complete",
    }
    frame = pd.DataFrame([row, row | {"stratum": "rare", "n": 2}])
    header, rows = effect_table(mixed.run, frame, "headroom with gold missing")
    assert header[:6] == ["model", "task", "arm", "control", "stratum", "n"]
    assert rows[0] == ["m", "t", "a", "oracle", "all", "8", *rows[0][6:]]
    assert rows[0][6:] == ["+25.0", "-12.5 to +50.0", "3 / 1", "0.5", "0.75"]
    assert rows[1][4:6] == ["rare", "2"]
    assert "stratum" not in effect_table(mixed.run, frame[:1], "headroom with gold missing")[0]


def test_delivered_is_what_was_packed(mixed: Analysed) -> None:
    """Means of the packings' own lines, one arm at a time."""
    run = mixed.run
    header, rows = delivered_rows(run)
    assert len(rows) == sum(len(run.arms(task)) for task in run.members("tasks"))
    for row in rows:
        path = run.path / "packed" / f"{row[0]}+{row[1]}.jsonl"
        lines = [line for _, line in read_jsonl(path)]
        n = len(lines)
        cell = dict(zip(header, row, strict=True))
        assert cell["passages"] == f"{sum(len(li['passages']) for li in lines) / n:.1f}"
        assert cell["tokens"] == f"{sum(li['tokens'] for li in lines) / n:.0f}"
        short = sum(li["shortfall_tokens"] > 0 for li in lines)
        assert cell["questions short"] == f"{100 * short / n:.1f} %"
        gold, known = (sum(li[key] > 0 for li in lines) for key in ("gold", "gold_known"))
        expected = f"{100 * gold / known:.1f} %" if known else "-"  # closed-book has no corpus
        assert cell["with a gold passage"] == expected
        assert cell["answer cut off"] == "0.0 %"  # no arm here gives whole documents


def test_bounds_are_called_so() -> None:
    row = {"value": 0.5, "ci_low": 0.25, "ci_high": 0.75}
    assert scored(row) == ["50.0 %", "25.0 % to 75.0 %"]
    assert scored(row | {"status": "complete"}) == ["50.0 %", "25.0 % to 75.0 %"]
    incomplete = row | {"value": math.nan, "status": "incomplete"}
    assert scored(incomplete) == ["-", "25.0 % to 75.0 % (bounds)"]


def test_an_interval_that_there_is_not_is_a_dash() -> None:
    assert between(float("nan"), float("nan"), percent) == "-"
    assert between(-0.5, 0.25, points) == "-50.0 to +25.0"
