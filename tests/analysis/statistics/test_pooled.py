"""The pooled effects against statsmodels' GEE and meta-analysis."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import t
from statsmodels.stats.meta_analysis import combine_effects

from ragbench.analysis.statistics.pooled import marginal, random_effects


def test_the_marginal_model_is_the_gee_of_all_answers() -> None:
    """Scores on the arm and the task, identity link, clusters; the arm's coefficient."""
    draw = np.random.default_rng(3)
    rows, differences, clusters = [], [], []
    for task, (n, easy) in enumerate([(60, 0.3), (100, 0.6), (25, 0.8)]):
        for question in range(n):
            cluster = 1000 * task + question // 3
            before, after = float(draw.random() < easy), float(draw.random() < easy + 0.1)
            rows += [(before, 0, task, cluster), (after, 1, task, cluster)]
            differences.append(after - before)
            clusters.append(cluster)
    table = pd.DataFrame(rows, columns=["y", "arm", "task", "cluster"])
    model = sm.GEE.from_formula(
        "y ~ arm + C(task)",
        groups="cluster",
        data=table,
        family=sm.families.Gaussian(),
        cov_struct=sm.cov_struct.Independence(),
    ).fit()
    codes = np.array(clusters, dtype=np.int64)
    found = marginal(np.array(differences), codes)
    count = np.unique(codes).size
    error = model.bse["arm"] * math.sqrt(count / (count - 1))
    assert found.estimate == pytest.approx(model.params["arm"])
    assert found.error == pytest.approx(error, rel=1e-6)
    half = t.ppf(0.975, count - 1) * error
    assert (found.low, found.high) == pytest.approx(
        (found.estimate - half, found.estimate + half), rel=1e-6
    )
    assert found.p == pytest.approx(2 * t.sf(abs(found.estimate) / error, count - 1), rel=1e-6)


def test_questions_without_clusters_are_clusters_of_their_own() -> None:
    values = np.array([1.0, 0.0, 0.0, -1.0, 1.0, 1.0])
    alone = marginal(values, np.arange(6, dtype=np.int64))
    assert marginal(values, None) == alone
    # mean 2/6, sample variance 5 (4 - 4/6) / 25 = 2/3: standard error sqrt(2/3 / 6)
    assert (alone.estimate, alone.error) == pytest.approx((1 / 3, 1 / 3))


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
    assert math.isnan(marginal(np.zeros(20), None).low)
