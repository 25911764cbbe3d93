"""Headroom in two figures, by hand: what better retrieval could add, and what the rest costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ragbench.analysis.effects import effects
from ragbench.analysis.load import Run
from tests.analysis.making import make_run, with_arms, with_gold

# Ten questions: bm25 delivers the gold passage of five, not of four, and of one no gold is known.
DELIVERED = "11112 0000 -"
BM25_____ = "11100 0010 0"
ORACLE___ = "11011 1111 1"
# Delivered: 0, 0, -1, +1, +1; missing: +1, +1, 0, +1. The last question, +1, is in neither.
FILLED___ = "11100 0110 0"  # delivered: 0 throughout; missing: 0, +1, 0, 0
CONTROL: dict[str, Any] = {"control": "oracle", "like": "bm25"}
MISSING, HELD = "headroom with gold missing", "headroom with gold delivered"


def run_of(path: Path, tasks: tuple[str, ...] = ("t",)) -> Run:
    cells = {}
    for task in tasks:
        cells["m", task, "closed-book"] = "0" * 10
        cells["m", task, "bm25"] = BM25_____
        cells["m", task, "oracle"] = ORACLE___
        cells["m", task, "filled"] = FILLED___
    run = make_run(path / "run", cells, full=True)
    run = with_arms(run, oracle=CONTROL, filled=CONTROL | {"fill": "retrieved"})
    for task in tasks:
        run = with_gold(run, "bm25", DELIVERED, task)
    return run


def found(run: Run, task: str = "t", baseline: str = "oracle") -> dict[tuple[str, str], Any]:
    """Return estimate, n, helped and hurt by effect and stratum."""
    table = effects(run)
    mine = table[(table.task == task) & (table.baseline == baseline)]
    return {
        (row["effect"], row["stratum"]): (row["estimate"], row["n"], row["helped"], row["hurt"])
        for row in mine.to_dict(orient="records")
    }


def test_headroom_is_split_by_what_the_arm_delivered(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    assert found(run) == {
        (MISSING, ""): (pytest.approx(3 / 4), 4, 3, 0),
        (HELD, ""): (pytest.approx(1 / 5), 5, 2, 1),
    }
    assert found(run, baseline="filled") == {
        (MISSING, ""): (pytest.approx(1 / 4), 4, 1, 0),
        (HELD, ""): (0.0, 5, 0, 0),
    }


def test_strata_are_those_of_the_questions_that_count(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    strata = ["seen", "seen", "new", "new", "new", "seen", "new", "new", "new", "rare"]
    held = found(replace(run, scores=run.scores.assign(stratum=strata * 4)))
    assert held == {
        (MISSING, ""): (pytest.approx(3 / 4), 4, 3, 0),
        (MISSING, "seen"): (1.0, 1, 1, 0),
        (MISSING, "new"): (pytest.approx(2 / 3), 3, 2, 0),
        (HELD, ""): (pytest.approx(1 / 5), 5, 2, 1),
        (HELD, "seen"): (0.0, 2, 0, 0),
        (HELD, "new"): (pytest.approx(1 / 3), 3, 2, 1),
    }
    # All whose gold is missing are of one stratum: its row would be the whole once more.
    strata[5] = "new"
    again = found(replace(run, scores=run.scores.assign(stratum=strata * 4)))
    assert {stratum for effect, stratum in again if effect == MISSING} == {""}


@pytest.mark.parametrize(
    ("delivered", "left"), [("1111111111", HELD), ("0000000000", MISSING), ("-" * 10, None)]
)
def test_no_row_without_a_question(tmp_path: Path, delivered: str, left: str | None) -> None:
    run = with_gold(run_of(tmp_path), "bm25", delivered)
    assert {effect for effect, _ in found(run)} == ({left} if left else set())


def test_an_average_needs_questions_in_every_task(tmp_path: Path) -> None:
    run = run_of(tmp_path, ("a", "b"))
    run = with_gold(run, "bm25", "1111111111", "b")
    # Oracle less bm25 in task b: -1 once, +1 six times, of 10.
    assert found(run, "b") == {(HELD, ""): (pytest.approx(5 / 10), 10, 6, 1)}
    assert set(found(run, "a")) == {(MISSING, ""), (HELD, "")}
    assert found(run, "(macro)") == {(HELD, ""): (pytest.approx((1 / 5 + 5 / 10) / 2), 15, 8, 2)}
    assert found(run, "(items)") == {(HELD, ""): (pytest.approx(6 / 15), 15, 8, 2)}


def test_a_pair_has_the_headroom_of_each_model(tmp_path: Path) -> None:
    cells = {
        (model, "t", arm): text
        for model in ("bio", "general")
        for arm, text in (("closed-book", "0" * 10), ("bm25", BM25_____), ("oracle", ORACLE___))
    }
    run = make_run(tmp_path / "run", cells, full=True, bases={"bio": "general"})
    run = with_gold(with_arms(run, oracle=CONTROL), "bm25", DELIVERED)
    table = effects(run)
    mine = table[table.effect == MISSING]
    assert list(zip(mine.model, mine.base, mine.n, strict=True)) == [
        ("bio", "", 4),
        ("general", "", 4),
    ]
