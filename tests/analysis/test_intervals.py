"""Intervals against hand arithmetic and independent libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.analysis.intervals import bootstrap_mean, wilson


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
