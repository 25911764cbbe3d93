"""Intervals against hand arithmetic and independent libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.analysis.statistics.intervals import (
    bootstrap_mean,
    interval_of_mean,
    variance_of_mean,
    wilson,
)


def test_wilson_by_hand() -> None:
    # z = 1.959964, n = 10, p = 0.7: centre (p + z^2/2n) / (1 + z^2/n) = 0.892073 / 1.384146
    z, n, p = 1.959964, 10, 0.7
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    assert wilson(7, 10) == pytest.approx((centre - half, centre + half), abs=1e-6)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_statsmodels(counts: tuple[int, int]) -> None:
    from statsmodels.stats.proportion import proportion_confint

    low, high = wilson(*counts)
    assert (low, high) == pytest.approx(
        proportion_confint(*counts, alpha=0.05, method="wilson"), abs=1e-9
    )
    assert 0 <= low <= counts[0] / counts[1] <= high <= 1


@pytest.mark.parametrize(
    ("values", "clusters", "is_rate"),
    [
        ([1.0, 0.0, 1.0, 1.0], None, True),
        ([1.0, 0.0, 1.0, 1.0], [0, 0, 1, 1], False),
        ([1.0, 0.5, 1.0, 1.0], None, False),
    ],
)
def test_rates_have_wilsons_interval(
    values: list[float], clusters: list[int] | None, is_rate: bool
) -> None:
    units = None if clusters is None else np.array(clusters)
    found, wanted = (
        of(np.array(values), np.random.default_rng(2), clusters=units, resamples=500, alpha=0.1)
        for of in (interval_of_mean, bootstrap_mean)
    )
    assert found == (wilson(3, 4, alpha=0.1) if is_rate else wanted)


def test_bootstrap_agrees_with_the_normal_interval() -> None:
    values = np.repeat([-1.0, 0.0, 1.0], [20, 100, 80])
    low, high = bootstrap_mean(values, np.random.default_rng(1), resamples=20_000)
    half = 1.96 * values.std() / math.sqrt(values.size)
    assert low == pytest.approx(values.mean() - half, abs=0.01)
    assert high == pytest.approx(values.mean() + half, abs=0.01)


def test_bootstrap_agrees_with_scipy_on_continuous_values() -> None:
    from scipy.stats import bootstrap

    values = np.random.default_rng(2).normal(3, 2, size=120)
    ours = bootstrap_mean(values, np.random.default_rng(3), resamples=20_000)
    theirs = bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(4)
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_bootstrap_is_seeded_and_takes_an_empty_sample() -> None:
    values = np.array([0.0, 1.0, 1.0])
    runs = [bootstrap_mean(values, np.random.default_rng(5)) for _ in range(2)]
    assert runs[0] == runs[1]
    assert all(math.isnan(end) for end in bootstrap_mean(np.array([]), np.random.default_rng(5)))


def test_the_bootstrap_by_cluster_equals_drawing_clusters_one_by_one() -> None:
    draw = np.random.default_rng(5)
    clusters = np.repeat(np.arange(40), draw.integers(1, 6, size=40)).astype(np.int64)
    values = (draw.random(40)[clusters] + draw.random(clusters.size) > 1).astype(float)
    low, high = bootstrap_mean(values, np.random.default_rng(1), clusters=clusters)
    means = []
    for _ in range(4000):  # the definition, written out
        chosen = draw.integers(0, 40, size=40)
        held = np.concatenate([values[clusters == c] for c in chosen])
        means.append(held.mean())
    expected = np.quantile(means, [0.025, 0.975])
    assert (low, high) == pytest.approx(tuple(expected), abs=0.012)
    naive = bootstrap_mean(values, np.random.default_rng(1))
    assert high - low > 1.2 * (naive[1] - naive[0])  # questions of a cluster are alike


def test_few_clusters_have_the_t_interval_on_their_means() -> None:
    from scipy.stats import ttest_1samp

    values = np.array([1, 1, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1], dtype=float)
    clusters = np.repeat(np.arange(4), 3).astype(np.int64)
    means = values.reshape(4, 3).mean(axis=1)
    expected = ttest_1samp(means, 0).confidence_interval(0.95)
    found = bootstrap_mean(values, np.random.default_rng(1), clusters=clusters)
    assert found == pytest.approx((expected.low, expected.high))
    assert variance_of_mean(values, clusters) == pytest.approx(means.var(ddof=1) / 4)


def test_one_cluster_says_nothing() -> None:
    clusters = np.zeros(5, dtype=np.int64)
    found = bootstrap_mean(np.arange(5.0), np.random.default_rng(1), clusters=clusters)
    assert all(math.isnan(end) for end in found)


def test_the_bootstrap_is_within_five_per_cent_of_the_analytic_interval_of_a_mean() -> None:
    from scipy.stats import t

    values = np.random.default_rng(8).gamma(2.0, 1.5, size=400)
    low, high = bootstrap_mean(values, np.random.default_rng(9), resamples=20_000)
    half = t.ppf(0.975, 399) * values.std(ddof=1) / math.sqrt(400)
    assert high - low == pytest.approx(2 * half, rel=0.05)
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.05 * half)


def test_values_that_are_all_alike_have_the_interval_of_what_could_have_been_missed() -> None:
    from scipy.stats import binomtest

    low, high = bootstrap_mean(np.zeros(40), np.random.default_rng(1))
    # No change in 40 questions: the upper end of the share of changes, each way.
    theirs = binomtest(0, 40).proportion_ci(0.95, method="exact").high
    assert (low, high) == pytest.approx((-theirs, theirs))
