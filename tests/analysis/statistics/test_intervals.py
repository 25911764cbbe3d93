"""Intervals of one mean against hand arithmetic and independent libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from ragbench.analysis.statistics.clustered import variance_of_mean
from ragbench.analysis.statistics.intervals import (
    interval_of_mean,
    seeded,
    wilson,
    wilson_by_cluster,
)
from ragbench.analysis.statistics.studentised import studentised


def interval(
    values: list[float] | np.ndarray,
    clusters: list[int] | None = None,
    bounds: tuple[float, float] | None = None,
) -> tuple[float, float]:
    codes = None if clusters is None else np.array(clusters, dtype=np.int64)
    return interval_of_mean(
        np.array(values, dtype=float),
        np.random.default_rng(1),
        clusters=codes,
        resamples=2000,
        alpha=0.05,
        bounds=bounds,
    )


def test_wilson_by_hand() -> None:
    # z = 1.959964, n = 10, p = 0.7: centre (p + z^2/2n) / (1 + z^2/n) = 0.892073 / 1.384146
    z, n, p = 1.959964, 10, 0.7
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    assert wilson(7, 10) == pytest.approx((centre - half, centre + half), abs=1e-6)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_statsmodels(counts: tuple[int, int]) -> None:
    """With one to four right or wrong, of 5 each: the exact one-sided end if further out."""
    from statsmodels.stats.proportion import proportion_confint

    right, n = counts
    few = min(4, n // 5)
    wanted = proportion_confint(right, n, alpha=0.05, method="wilson")
    exact = proportion_confint(right, n, alpha=0.1, method="beta")
    low = min(wanted[0], exact[0]) if 0 < right <= few else wanted[0]
    high = max(wanted[1], exact[1]) if 0 < n - right <= few else wanted[1]
    found = wilson(right, n)
    assert found == pytest.approx((low, high), abs=1e-9)
    assert 0 <= found[0] <= right / n <= found[1] <= 1


def test_a_rate_close_to_1_by_hand() -> None:
    # 49 of 50: all right with the chance p^50, so the exact upper end is .95^(1/50). For small
    # counts the published end is close: -log(.95) / 50 below 1.
    _, high = wilson(49, 50)
    assert high == pytest.approx(0.95 ** (1 / 50))
    assert high == pytest.approx(1 + math.log(0.95) / 50, abs=1e-6)


@pytest.mark.parametrize(("n", "least"), [(20, 0.926), (50, 0.93), (200, 0.93)])
def test_rates_are_covered_by_exact_enumeration(n: int, least: float) -> None:
    """Over rates from 0.5 to 0.999; at n 20, Wilson's own interval covers 0.926 at 0.819."""
    rates = np.linspace(0.5, 0.999, 2000)
    ends = np.array([wilson(right, n) for right in range(n + 1)])
    chances = binom.pmf(np.arange(n + 1)[:, None], n, rates)
    held = (ends[:, :1] <= rates) & (rates <= ends[:, 1:])
    assert (chances * held).sum(axis=0).min() >= least


def test_the_kinds_of_data() -> None:
    assert interval([1.0, 0.0, 1.0, 1.0]) == wilson(3, 4)
    fractions = np.array([1.0, 0.5, 1.0, 1.0])
    method = studentised(fractions, bounds=(0.0, 1.0))
    assert method is not None
    assert interval(fractions) == method.limits(0.05)
    assert all(math.isnan(end) for end in interval([]))
    assert all(math.isnan(end) for end in interval([0.4]))
    assert all(math.isnan(end) for end in interval([1.0] * 14, [i // 2 for i in range(14)]))
    # A count has no upper bound, and equal ones say nothing of what they could have been.
    low, high = interval([0.0, 3.0, 1.0, 7.0])
    assert 0 <= low < 2.75 < high
    assert all(math.isnan(end) for end in interval([3.0, 3.0, 3.0]))


def test_a_rate_in_clusters_counts_as_many_answers_as_they_are_worth() -> None:
    """Ten clusters of four, each all right or all wrong: ten answers, not forty."""
    values = np.repeat([1.0] * 7 + [0.0] * 3, 4)
    codes = np.repeat(np.arange(10), 4).astype(np.int64)
    # The variance of the rate is .21 / 9 by the clusters' means: .21 over it is 9.
    assert variance_of_mean(values, codes) == pytest.approx(0.21 / 9)
    z, n, p = 2.2621572, 9, 0.7  # of t with 9 degrees of freedom
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    found = wilson_by_cluster(values, codes)
    assert found == pytest.approx((centre - half, centre + half), abs=1e-6)
    assert interval(values, codes.tolist()) == found


def test_a_rate_in_clusters_stays_possible_and_never_has_no_width() -> None:
    codes = np.repeat(np.arange(10), 4).astype(np.int64)
    low, high = wilson_by_cluster(np.ones(40), codes)
    # No more is known than of ten answers that are all right, with the quantile of t.
    assert high == 1.0
    assert low == pytest.approx(1 / (1 + 2.2621572**2 / 10), abs=1e-6)
    # Independent answers: the variance by cluster is that of answers, and no more than all count.
    values = np.random.default_rng(3).integers(0, 2, size=400).astype(float)
    lone = np.arange(400, dtype=np.int64)
    assert wilson_by_cluster(values, lone) == pytest.approx(
        wilson(int(values.sum()), 400), abs=2e-3
    )


def test_very_unequal_clusters_are_flipped() -> None:
    values = np.random.default_rng(4).integers(0, 2, size=145).astype(float)
    codes = [0] * 100 + [1 + i // 5 for i in range(45)]
    low, high = interval(values, codes)
    assert 0 <= low < values.mean() < high <= 1
    # One cluster holds most of the questions: the interval is wider than of so many answers.
    alone = wilson(int(values.sum()), 145)
    assert high - low > 1.1 * (alone[1] - alone[0])


def test_slopes_have_the_bounds_that_are_given() -> None:
    low, high = interval([0.5, 0.5, 0.5], bounds=(-0.5, 0.5))
    # All alike at the upper bound: the share that could be at the lower one, 1 - .025^(1/3)
    assert high == 0.5
    assert low == pytest.approx(0.5 - (1 - 0.025 ** (1 / 3)))


def test_a_figure_has_its_own_random_numbers() -> None:
    assert seeded(1, "a", "b").random() == seeded(1, "a", "b").random()
    assert seeded(1, "a", "b").random() != seeded(1, "ab").random() != seeded(2, "ab").random()
