"""Two runs against each other: the figures by hand, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragbench.analysis.compare import Names, compare
from ragbench.analysis.load import Run
from ragbench.analysis.statistics.paired import mcnemar_exact, mcnemar_mid_p
from ragbench.base.errors import DataError, UsageError
from tests.analysis.making import edited, make_run

FIRST = {("m", "t", "closed-book"): "1100 0000", ("m", "t", "bm25"): "1111 0000"}
SECOND = {("m", "t", "closed-book"): "1010 1100", ("m", "t", "bm25"): "1111 1000"}


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    return [make_run(tmp_path / name, c) for name, c in (("a", FIRST), ("b", SECOND))]


def rows(*given: Any) -> list[dict[str, Any]]:
    table = compare(*given)
    return [{str(k): v for k, v in row.items()} for row in table.to_dict(orient="records")]


def test_the_second_less_the_first_by_hand(runs: list[Run]) -> None:
    closed, arm = rows(*runs)
    # Questions 2, 4 and 5 are gained, 1 is lost.
    assert (closed["value"], closed["other_value"]) == (2 / 8, 4 / 8)
    assert closed["estimate"] == pytest.approx(2 / 8)
    assert (closed["helped"], closed["hurt"], closed["n"]) == (3, 1, 8)
    assert (closed["p"], closed["p_exact"]) == (mcnemar_mid_p(3, 1), mcnemar_exact(3, 1))
    assert arm["estimate"] == pytest.approx(1 / 8)
    # One of one for the better: mid-p 1; three of four: 2 (1/16 + 4/32) = 3/8, of two 3/4.
    assert arm["p"] == mcnemar_mid_p(arm["helped"], arm["hurt"])
    assert closed["p_adjusted"] == pytest.approx(min(2 * 3 / 8, arm["p"]))


def test_arms_and_models_of_other_names(tmp_path: Path, runs: list[Run]) -> None:
    names = Names(arms={"closed-book": "bm25", "bm25": "closed-book"})
    first, _ = rows(*runs, names)
    assert (first["arm"], first["other_arm"]) == ("closed-book", "bm25")
    assert first["estimate"] == pytest.approx(5 / 8 - 2 / 8)
    other = make_run(tmp_path / "c", {("n", t, a): text for (_, t, a), text in SECOND.items()})
    with pytest.raises(UsageError, match="no task has a model and an arm of both") as refused:
        compare(runs[0], other)
    assert refused.value.what.endswith(
        "they share no model: a has m, and c has n; both have the arms closed-book, bm25"
    )
    assert refused.value.fix == "pair names that differ, as in --model m=n"
    assert len(rows(runs[0], other, Names(models={"m": "n"}))) == 2


def test_two_arms_of_one_run(runs: list[Run]) -> None:
    (row,) = rows(runs[0], runs[0], Names(arms={"closed-book": "bm25"}))
    assert row["estimate"] == pytest.approx(2 / 8)
    assert (row["helped"], row["hurt"]) == (2, 0)
    with pytest.raises(
        UsageError, match="two of its models or arms, and none are named"
    ) as refused:
        compare(runs[0], runs[0])
    assert refused.value.fix == "say which: --model A=B of m; --arm A=B of closed-book, bm25"


def test_other_questions_are_refused_and_named(tmp_path: Path, runs: list[Run]) -> None:
    longer = make_run(tmp_path / "c", {k: v + "1" for k, v in SECOND.items()})
    with pytest.raises(DataError, match="1 of the questions are only in c: q8"):
        compare(runs[0], longer)
    path = runs[1].path / "questions" / "t.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[3]["text"] = "Another?"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(
        DataError, match="1 questions have one id and other texts, options or answers: q3"
    ):
        compare(runs[0], runs[1])


def test_other_modes_metrics_and_tasks_are_refused(tmp_path: Path, runs: list[Run]) -> None:
    with pytest.raises(DataError, match="accuracy in one run and rougeL"):
        compare(runs[0], edited(runs[1], "identity.tasks.t.metrics", ["rougeL"]))
    with pytest.raises(DataError, match="mode correct, the other in mirage"):
        compare(runs[0], edited(runs[1], "config.mode", "mirage"))
    with pytest.raises(UsageError, match="share no task"):
        compare(runs[0], make_run(tmp_path / "c", {("m", "u", "closed-book"): "1"}))
    with pytest.raises(UsageError, match="no model 'n'"):
        compare(runs[0], runs[0], Names(models={"m": "n"}))


def test_a_cell_that_failed_is_not_tested(tmp_path: Path, runs: list[Run]) -> None:
    cells = SECOND | {("m", "t", "bm25"): "x1111000"}
    closed, arm = rows(runs[0], make_run(tmp_path / "c", cells))
    assert (closed["status"], arm["status"]) == ("complete", "incomplete")
    assert np.isnan(arm["p"]) and np.isnan(arm["p_adjusted"])
    assert closed["p_adjusted"] == closed["p"]


def test_few_clusters_are_not_tested(tmp_path: Path) -> None:
    clusters = [0, 0, 0, 0, 1, 1, 2, 2]
    pair = [
        make_run(tmp_path / name, c, clusters=clusters) for name, c in (("a", FIRST), ("b", SECOND))
    ]
    closed, _ = rows(*pair)
    assert closed["n_clusters"] == 3
    assert np.isnan(closed["p"]) and np.isnan(closed["ci_low"])  # three clusters say nothing
    assert closed["estimate"] == pytest.approx(2 / 8)
