"""The meta-analysis against statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t
from statsmodels.stats.meta_analysis import combine_effects

from ragbench.analysis.statistics.pooled import random_effects


def test_random_effects_equal_statsmodels() -> None:
    means = [0.12, 0.03, -0.05, 0.2, 0.08, 0.01]
    variances = [0.0004, 0.0009, 0.0016, 0.001, 0.0002, 0.0025]
    theirs = combine_effects(np.array(means), np.array(variances), method_re="dl")
    found = random_effects(means, variances)
    assert found.estimate == pytest.approx(theirs.mean_effect_re)
    # The Hartung-Knapp interval: scaled variance and t.
    assert theirs.tau2 > 0
    error = math.sqrt(theirs.var_hksj_re)
    assert found.error == pytest.approx(error)
    assert found.high - found.low == pytest.approx(2 * t.ppf(0.975, 5) * error)


def test_four_tasks_are_too_few() -> None:
    assert math.isnan(random_effects([0.1] * 4, [0.01] * 4).estimate)
    assert math.isnan(random_effects([0.1] * 5, [0.01, 0.01, 0.01, 0.01, 0.0]).estimate)
