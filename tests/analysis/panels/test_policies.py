"""Replies without an answer, counted by hand under each policy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from ragbench.analysis.load import Run
from ragbench.analysis.panels.policies import counted, policies, tasks_of, unread_rates
from ragbench.analysis.statistics.intervals import wilson
from tests.analysis.making import make_run

#            0    5    0
CLOSED = "11100 00000"  # 3 of 10, every reply has an answer
ARM___ = "11?11 ?!>10"  # 5 right, 1 wrong, 4 without an answer


@pytest.fixture
def run(tmp_path: Path) -> Run:
    cells = {("m", "t", "closed-book"): CLOSED, ("m", "t", "bm25"): ARM___}
    return make_run(tmp_path / "run", cells)


def row(run: Run, policy: str, arm: str = "bm25") -> dict[str, Any]:
    table = policies(run)
    (found,) = table[(table.policy == policy) & (table.arm == arm)].to_dict(orient="records")
    return {str(key): value for key, value in found.items()}


def test_three_policies_by_hand(run: Run) -> None:
    wrong, chance, excluded = (row(run, name) for name in ("wrong", "chance", "excluded"))
    assert (wrong["n"], wrong["value"]) == (10, 0.5)
    assert (wrong["ci_low"], wrong["ci_high"]) == pytest.approx(wilson(5, 10))
    # Four replies count one in four each.
    assert (chance["n"], chance["value"]) == (10, pytest.approx(0.6))
    assert (excluded["n"], excluded["value"]) == (6, pytest.approx(5 / 6))


def test_gains_by_hand(run: Run) -> None:
    # 5 - 3 of 10; 6 - 3 of 10; without questions 2, 5, 6 and 7: 5 - 2 of 6.
    for policy, gain, n in (("wrong", 0.2, 10), ("chance", 0.3, 10), ("excluded", 3 / 6, 6)):
        found = row(run, policy)
        assert (found["gain"], found["gain_n"]) == (pytest.approx(gain), n)
        assert found["gain_low"] <= gain <= found["gain_high"]
    # wrong: 3, 4, 8 helped, 2 hurt. excluded: 3, 4, 8 helped, none hurt.
    # Mid-p: 2 (1 + 4 / 2) / 2^4, and 2 (1 / 2) / 2^3.
    assert row(run, "wrong")["gain_p"] == pytest.approx(6 / 16)
    assert row(run, "excluded")["gain_p"] == pytest.approx(1 / 8)
    assert math.isnan(row(run, "wrong", "closed-book")["gain"])


def test_the_rate_differs_by_arm_by_hand(run: Run) -> None:
    (found,) = unread_rates(run).to_dict(orient="records")
    assert (found["rate"], found["baseline_rate"]) == (0.4, 0.0)
    assert (found["more"], found["fewer"], found["n"]) == (4, 0, 10)
    assert found["p"] == found["p_adjusted"] == pytest.approx(1 / 2**4)


def test_a_rate_in_four_clusters_is_not_tested(tmp_path: Path) -> None:
    cells = {("m", "t", "closed-book"): CLOSED, ("m", "t", "bm25"): ARM___}
    run = make_run(tmp_path / "run", cells, clusters=[0, 0, 1, 1, 2, 2, 2, 2, 3, 3])
    (found,) = unread_rates(run).to_dict(orient="records")
    assert (found["more"], found["fewer"], found["n"]) == (4, 0, 10)
    assert math.isnan(found["p"]) and math.isnan(found["p_adjusted"])


def test_a_cell_that_failed_is_left_out(tmp_path: Path) -> None:
    cells = {("m", "t", "closed-book"): CLOSED, ("m", "t", "bm25"): "x" + ARM___[1:]}
    run = make_run(tmp_path / "run", cells)
    assert set(policies(run).arm) == {"closed-book"}
    assert unread_rates(run).empty


def test_where_every_reply_has_an_answer_there_is_nothing_to_say(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {("m", "t", "closed-book"): CLOSED})
    assert tasks_of(run) == []
    assert policies(run).empty and unread_rates(run).empty


def test_where_no_reply_has_an_answer(tmp_path: Path) -> None:
    cells = {("m", "t", "closed-book"): "???", ("m", "t", "bm25"): "???"}
    run = make_run(tmp_path / "run", cells)
    assert row(run, "excluded")["n"] == 0
    assert row(run, "chance")["value"] == pytest.approx(0.25)
    (found,) = unread_rates(run).to_dict(orient="records")
    assert (found["rate"], found["p"]) == (1.0, 1.0)


def test_scores_by_policy(tmp_path: Path) -> None:
    """Of four options: an answer is as it was, and one that is missing counts by the policy."""
    run = make_run(tmp_path / "run", {("m", "t", "closed-book"): "10?!x"})
    nan = float("nan")
    for policy, missing in (("wrong", 0.0), ("chance", 0.25), ("excluded", nan)):
        found = counted(run, policy).scores.accuracy.tolist()
        assert found == pytest.approx([1.0, 0.0, missing, missing, nan], nan_ok=True)
    assert run.scores.accuracy.tolist()[:4] == [1.0, 0.0, 0.0, 0.0]  # the run itself is as it was
