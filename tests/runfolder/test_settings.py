"""The settings of the analysis: one default for the config, for old runs and for effects."""

from __future__ import annotations

from typing import get_args

from ragbench.experiment.config.spec import AnalysisSpec
from ragbench.runfolder.schema import parse, to_json
from ragbench.runfolder.settings import (
    IMITATED,
    NOT_IMITATED,
    PRIMARY_EFFECTS,
    AnalysisSettings,
    PrimaryEffect,
    default_arm,
)


def test_defaults_are_those_of_the_config() -> None:
    assert to_json(AnalysisSettings()) == AnalysisSpec().model_dump(mode="json")
    assert set(PRIMARY_EFFECTS) <= set(get_args(PrimaryEffect))


def test_a_run_without_a_setting_has_the_default() -> None:
    found = parse(AnalysisSettings, {"alpha": 0.1, "resamples": 100}, "")
    assert (found.alpha, found.resamples, found.equivalence_margin) == (0.1, 100, 0.03)
    assert found.primary.effects == PRIMARY_EFFECTS


def test_the_arm_that_is_tested_by_default() -> None:
    assert default_arm(["k1", "k5", "k10"], {"k10", "k5"}) == ("k5", IMITATED)
    assert default_arm(["k1", "k5"], {"other"}) == ("k1", NOT_IMITATED)
    assert default_arm([], {"k1"}) is None
