"""One effect: its parts by hand, and equivalence against statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t
from statsmodels.stats.weightstats import ttost_paired

from ragbench.analysis.statistics.estimate import Cells, Settings, estimate
from ragbench.analysis.statistics.paired import equivalence, mcnemar_exact
from tests.analysis.making import about_of

SETTINGS = Settings(seed=1, alpha=0.05, resamples=2000, margin=0.1)


def changed(helped: int, hurt: int, n: int) -> Cells:
    """Return two cells of n questions, of which some were helped and some hurt."""
    after = np.array([1.0] * helped + [0.0] * hurt + [1.0] * (n - helped - hurt))
    before = np.array([0.0] * helped + [1.0] * hurt + [1.0] * (n - helped - hurt))
    return Cells(np.column_stack([after, -before]), None)


def test_an_effect_by_hand() -> None:
    found = estimate([changed(12, 3, 100)], SETTINGS, ["x"])
    assert found["estimate"] == pytest.approx(0.09)
    assert (found["helped"], found["hurt"]) == (12, 3)
    assert found["p"] == mcnemar_exact(12, 3)
    # variance of the differences: (15 - 9^2 / 100) / 99
    assert found["se"] == pytest.approx(math.sqrt((15 - 0.81) / 99 / 100))
    assert found["ci_low"] < 0.09 < found["ci_high"]


def test_equivalence_by_hand() -> None:
    # Bonett and Price add one question each way: 13 and 4 of 102.
    values = np.array([1.0] * 12 + [-1.0] * 3 + [0.0] * 85)
    mean, variance = 9 / 102, (17 - 81 / 102) / 101
    expected = t.sf((0.2 - mean) / math.sqrt(variance / 102), 101)
    assert equivalence([values], margin=0.2) == pytest.approx(expected)


def test_equivalence_is_the_larger_of_two_one_sided_tests() -> None:
    values = np.random.default_rng(4).normal(0.01, 0.2, size=150)
    longer = np.append(values, [1.0, -1.0])
    theirs, *_ = ttost_paired(longer, np.zeros(152), -0.05, 0.05)
    assert equivalence([values], margin=0.05) == pytest.approx(theirs)


def test_nothing_changed_is_no_proof_in_few_questions() -> None:
    few, many = (estimate([changed(0, 0, n)], SETTINGS, ["x"])["p_equivalence"] for n in (10, 400))
    assert few > 0.05 > many
    assert math.isnan(equivalence([np.zeros(1)], margin=0.1))
    one = np.zeros(6, dtype=np.int64)
    assert math.isnan(equivalence([np.zeros(6)], clusters=[one], margin=0.1))


def test_where_no_question_changed_the_interval_has_a_width() -> None:
    found = estimate([changed(0, 0, 20)], SETTINGS, ["x"])
    # A change of more than 1 - .025^(1/20) of the questions would have shown.
    assert found["ci_high"] == pytest.approx(1 - 0.025 ** (1 / 20))
    assert found["ci_low"] == -found["ci_high"]
    assert found["p"] == 1.0
    single = estimate([changed(1, 0, 1)], SETTINGS, ["x"])
    assert single["ci_high"] - single["estimate"] == pytest.approx(0.975)
    assert math.isnan(single["smallest_detectable"]) and math.isnan(single["se"])


def test_clusters_count_in_equivalence() -> None:
    values = np.tile([0.0, 0.0, 1.0, -1.0], 25)
    clusters = np.repeat(np.arange(10), 10).astype(np.int64)
    alone = equivalence([values], margin=0.2)
    together = np.repeat(np.tile([1.0, -1.0], 5), 10)  # whole clusters change
    assert equivalence([together], clusters=[clusters], margin=0.2) > 10 * alone


def test_settings_of_a_config_that_does_not_name_a_margin() -> None:
    analysis = {"alpha": 0.1, "resamples": 300}
    config = about_of({"seed": 2, "analysis": analysis}, {}).config
    assert Settings.of(config) == Settings(2, 0.1, 300, 0.03)
