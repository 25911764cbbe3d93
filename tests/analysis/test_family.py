"""Which effects are primary, and that each family is adjusted by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from ragbench.analysis.effects import effects
from ragbench.analysis.family import (
    OF_PAIR,
    adjusted,
    primary_arm,
    primary_of,
    retrieval_arms,
)
from ragbench.analysis.load import Run
from ragbench.base.errors import DataError
from ragbench.experiment.config.spec import PrimarySpec
from ragbench.runfolder.settings import PRIMARY_EFFECTS, PrimaryEffect
from tests.analysis.making import edited, make_run
from tests.analysis.test_pairs import (
    BIO_ARM_______,
    BIO_CLOSED____,
    GENERAL_ARM___,
    GENERAL_CLOSED,
    run_of,
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    cells = {
        (model, task, arm): text
        for task in ("a", "b")
        for (model, arm), text in {
            ("general", "closed-book"): GENERAL_CLOSED,
            ("general", "bm25"): GENERAL_ARM___,
            ("bio", "closed-book"): BIO_CLOSED____,
            ("bio", "bm25"): BIO_ARM_______,
        }.items()
    }
    return run_of(tmp_path, cells, ["seen"] * 6 + ["held-out"] * 6)


def test_names_are_those_of_the_config() -> None:
    assert set(get_args(PrimaryEffect)) == set(OF_PAIR.values())
    assert PrimarySpec().effects == PRIMARY_EFFECTS


def test_the_primary_effects_are_four_a_pair_and_task(run: Run) -> None:
    table = effects(run)
    primary = table[table.family == "primary"]
    assert sorted(zip(primary.task, primary.effect, primary.model, strict=True)) == sorted(
        (task, effect, model)
        for task in ("a", "b")
        for effect, model in (
            ("gain over closed-book", "general"),
            ("fine-tuning gain", "bio"),
            ("retrieval less fine-tuning", "bio"),
            ("interaction", "bio"),
        )
    )
    assert set(primary.stratum) == {""}


def test_each_family_is_adjusted_by_itself(run: Run) -> None:
    table = effects(run)
    for family, method in (("primary", "holm"), ("exploratory", "fdr_bh")):
        part = table[(table.family == family) & table.p.notna()]
        assert part.p_adjusted.to_numpy() == pytest.approx(
            multipletests(part.p.to_numpy(), method=method)[1]
        )
    again = table.task.isin(["(items)", "(pooled)", "(random effects)"])
    assert ((table.family == "not counted") == again).all()
    assert (table.p_adjusted.isna() == (table.p.isna() | again)).all()


def declare(run: Run, **primary: Any) -> Run:
    return edited(run, "config.analysis.primary", primary)


def test_what_the_config_declares_is_primary(run: Run) -> None:
    run = declare(run, arm="bm25", effects=["interaction"], tasks=["b"])
    table = effects(run)
    (row,) = table[table.family == "primary"].to_dict(orient="records")
    assert (row["effect"], row["task"]) == ("interaction", "b")
    assert row["p_adjusted"] == row["p"]  # one hypothesis
    run = declare(run, arm="bm25", effects=["headroom with gold missing"], tasks=["b"])
    assert not (effects(run).family == "primary").any()
    run = declare(run, effects=["headroom"])
    with pytest.raises(DataError, match="no effect 'headroom'") as caught:
        effects(run)
    assert "headroom with gold missing, headroom with gold delivered" in caught.value.fix


def test_an_arm_that_a_task_does_not_have_is_not_its_primary_one(run: Run) -> None:
    run = declare(run, arm="dense")
    assert primary_arm(run, "a") is None
    table = effects(run)
    assert set(table.effect[table.family == "primary"]) == {"fine-tuning gain"}


def test_without_a_pair_every_model_is_primary(run: Run) -> None:
    run = edited(run, "config.models.1.base", None)
    table = effects(run)
    primary = table[table.family == "primary"]
    assert set(zip(primary.effect, primary.model, strict=True)) == {
        ("gain over closed-book", "general"),
        ("gain over closed-book", "bio"),
    }


def test_the_arms_of_an_average_are_those_of_every_task(run: Run) -> None:
    assert retrieval_arms(run, "a") == retrieval_arms(run, "(items)") == ["bm25"]
    run = edited(run, "identity.tasks.a.arms", ["closed-book"])
    assert retrieval_arms(run, "(macro)") == []
    assert primary_arm(run, "a") is None
    assert primary_of(run).tasks == ("a", "b")


def test_by_default_the_arm_is_one_that_a_control_imitates(tmp_path: Path) -> None:
    arms = ("closed-book", "k1", "k5", "random")
    cells = {("m", task, arm): "10" for task in ("a", "b") for arm in arms}
    run = make_run(tmp_path / "run", cells, controls={"random": "k5"})
    assert [primary_arm(run, task) for task in ("a", "b", "(macro)")] == ["k5"] * 3
    table = effects(run)
    assert set(table.arm[table.family == "primary"]) == {"k5"}
    # In b nothing imitates k5, so its first arm is tested; an average is of one arm.
    run = edited(run, "identity.tasks.b.arms", list(arms[:3]))
    assert [primary_arm(run, task) for task in ("a", "b", "(macro)")] == ["k5", "k1", "k1"]


def test_an_average_is_one_hypothesis(run: Run) -> None:
    table = effects(run)
    averages = table[table.task.str.startswith("(")]
    kinds = averages.groupby("task").size()
    assert kinds["(macro)"] == kinds["(items)"]
    assert set(averages.family[averages.task == "(macro)"]) == {"exploratory"}
    # Six effects (a gain of each model and four of the pair), overall and in two strata, are 18
    # rows per task and average. Eight of the 36 rows of tasks are primary.
    assert table.family.value_counts().to_dict() == {
        "primary": 8,
        "exploratory": 36 - 8 + 18,
        "not counted": 18,
    }


def test_an_incomplete_effect_counts_as_a_hypothesis(run: Run) -> None:
    table = pd.DataFrame(effects(run))
    first = (table.family == "primary").to_numpy()
    place = np.flatnonzero(first)[0]
    table.loc[place, "p"] = np.nan
    again = adjusted(run, table)
    assert np.isnan(again.p_adjusted[place])
    smallest = again.p[first].min()
    assert again.p_adjusted[first].min() == pytest.approx(8 * smallest)
