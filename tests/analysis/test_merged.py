"""Arms with the same prompts are one arm: in effects, in families, and on curves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ragbench.analysis.effects import effects
from ragbench.analysis.family import chosen_arm, primary_arm, retrieval_arms
from ragbench.analysis.load import Run
from ragbench.analysis.panels.curves import curves
from ragbench.analysis.panels.policies import unread_rates
from ragbench.analysis.results import results
from tests.analysis.making import edited, make_run, with_arms, write_prompts

PROMPTS = {
    "closed-book": ["p0", "p1", "p2"],
    "k1": ["a0", "a1", "a2"],
    "k10": ["b0", "b1", "b2"],
    "k50": ["b0", "b1", "b2"],
    "placebo": ["c0", "c1", "c2"],
}


def fresh(run: Run) -> Run:
    """Return a run that has not yet looked for arms with the same prompts."""
    return replace(run)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    cells = {
        (model, "t", arm): text
        for model in ("m", "n")
        for arm, text in zip(PROMPTS, ("100", "110", "111", "111", "000"), strict=True)
    }
    passages = {"k1": ["d1"], "k10": ["d1", "d2"], "k50": ["d1", "d2"], "placebo": ["d9"]}
    made = make_run(
        tmp_path / "run",
        cells,
        full=True,
        controls={"placebo": "k50"},
        packed={arm: {f"q{i}": found for i in range(3)} for arm, found in passages.items()},
    )
    made = with_arms(
        made, **{arm: {"retriever": "r", "k": int(arm[1:])} for arm in ("k1", "k10", "k50")}
    )
    for arm, digests in PROMPTS.items():
        write_prompts(made, arm, digests)
    return made


def test_the_later_arm_is_the_earlier_one(run: Run) -> None:
    assert run.same == {"t": {"k50": "k10"}}
    assert retrieval_arms(run, "t") == ["k1", "k10"]
    table = effects(run)
    assert set(table.arm) == {"k1", "k10", "placebo"}
    gains = table[(table.effect == "gain over closed-book") & (table.model == "m")]
    # k10 less closed-book is 0, 1, 1.
    assert dict(zip(gains.arm, gains.estimate, strict=True)) == {
        "k1": pytest.approx(1 / 3),
        "k10": pytest.approx(2 / 3),
        "placebo": pytest.approx(-1 / 3),
    }


def test_both_cells_stay_in_the_results(run: Run) -> None:
    table = results(run)
    accuracy = table[(table.metric == "accuracy") & (table.model == "m")].set_index("arm").value
    assert accuracy["k10"] == accuracy["k50"] == 1.0


def test_a_control_of_the_later_arm_is_one_of_the_earlier(run: Run) -> None:
    table = effects(run)
    (row,) = table[(table.effect == "placebo-corrected gain") & (table.model == "m")].to_dict(
        orient="records"
    )
    assert (row["arm"], row["baseline"], row["estimate"]) == ("k10", "placebo", 1.0)
    assert chosen_arm(run, "t") == ("k10", "the first retrieval arm that a control imitates")


def test_a_declared_arm_is_the_one_that_is_kept(run: Run) -> None:
    run = edited(run, "config.analysis.primary", {"arm": "k50"})
    assert chosen_arm(run, "t") == ("k10", "the same prompts as k50, declared in the config")
    table = effects(run)
    assert set(table.arm[table.family == "primary"]) == {"k10"}


def test_every_prompt_must_be_known_and_the_same(run: Run) -> None:
    write_prompts(run, "k50", ["b0", "b1", "other"])
    assert fresh(run).same == {"t": {}}
    write_prompts(run, "k50", ["b0", "b1", ""])
    assert fresh(run).same == {"t": {}}
    write_prompts(run, "k50", ["b0", "b1"])
    assert fresh(run).same == {"t": {}}
    write_prompts(run, "k50", PROMPTS["k50"])
    run.files.records("n", "t", "k50").unlink()
    assert fresh(run).same == {"t": {}}


def test_nothing_is_merged_in_an_imported_run(run: Run) -> None:
    assert edited(run, "identity.imported_from", {"samples.jsonl": "0" * 64}).same == {"t": {}}


def test_closed_book_and_retrieval_arms_are_kept_before_controls(tmp_path: Path) -> None:
    arms = ("control", "b", "a", "closed-book")
    cells = {("m", "t", arm): "10" for arm in arms}
    run = make_run(tmp_path / "run", cells, full=True, controls={"control": "a"})
    for arm in arms[:3]:
        write_prompts(run, arm, ["x", "y"])
    assert run.same == {"t": {"a": "b", "control": "b"}}
    table = effects(run)
    assert list(table.arm) == ["b"] and list(table.effect) == ["gain over closed-book"]
    write_prompts(run, "closed-book", ["x", "y"])
    run = fresh(run)
    assert run.same == {"t": dict.fromkeys(("b", "a", "control"), "closed-book")}
    assert effects(run).empty
    assert primary_arm(run, "t") is None
    assert chosen_arm(edited(run, "config.analysis.primary", {"arm": "a"}), "t") is None


def test_two_tasks_merge_by_themselves(tmp_path: Path) -> None:
    arms = ("closed-book", "x", "y")
    cells = {("m", task, arm): "10" for task in ("s", "t") for arm in arms}
    run = make_run(tmp_path / "run", cells, full=True)
    for arm in ("x", "y"):
        write_prompts(run, arm, ["p", "q"], "t")
    assert run.same == {"s": {}, "t": {"y": "x"}}
    table = effects(run)
    assert set(table.arm[table.task == "s"]) == {"x", "y"}
    # y is no arm of its own in t, so it has no average.
    assert set(table.arm[table.task == "(macro)"]) == {"x"}
    assert retrieval_arms(run, "(macro)") == ["x"]


def test_a_curve_has_the_point_once(run: Run) -> None:
    delivered = run.scores.arm.map({"k1": 1, "k10": 2, "k50": 2}).fillna(0).astype(int)
    run = replace(run, scores=run.scores.assign(delivered_k=delivered))
    trend = curves(run).trends
    assert set(trend.points) == {2}
    assert all("2 different numbers" in reason for reason in trend.refused)


def test_replies_without_an_answer_count_once(run: Run) -> None:
    scores = run.scores.copy()
    scores.loc[scores.arm == "k10", "outcome"] = "unparsed"
    assert list(unread_rates(replace(run, scores=scores)).arm) == ["k1", "k10", "placebo"] * 2
