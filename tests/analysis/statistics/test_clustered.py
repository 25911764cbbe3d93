"""Flips of whole clusters against every set of signs; the CR2 variance against its matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.linalg import sqrtm

from ragbench.analysis.statistics.clustered import (
    Flips,
    by_clusters,
    sign_flip,
    stretched,
    variance_of_mean,
)
from ragbench.analysis.statistics.inference import Alike
from ragbench.analysis.statistics.studentised import studentised

SIZES = [7, 3, 3, 2, 2, 1, 1, 1, 1]
CODES = np.repeat(np.arange(9), SIZES).astype(np.int64)
BOUNDS = (-1.0, 1.0)


def changes(seed: int) -> np.ndarray:
    """Return (21,) differences of right and wrong answers."""
    return np.random.default_rng(seed).choice([-1.0, 0.0, 1.0], size=21, p=[0.15, 0.5, 0.35])


def every_sign(n: int) -> np.ndarray:
    return np.array(np.meshgrid(*[[-1, 1]] * n)).reshape(n, -1)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_p_of_a_value_is_that_of_every_set_of_signs(seed: int) -> None:
    values = changes(seed)
    found = Flips(values, CODES, bounds=BOUNDS, draw=np.random.default_rng(0), draws=5000)
    sums = np.array([values[c == CODES].sum() for c in range(9)])
    away = sums - values.mean() * np.array(SIZES)
    # As far as the clusters in which some question differs from most questions.
    usual = np.unique(values, return_counts=True)
    usual = usual[0][np.argmax(usual[1])]
    odd = sum(bool((values[c == CODES] != usual).any()) for c in range(9))
    far = math.sqrt((away**2).sum() / odd)
    # To the side of the longer tail, values count as nearer by half of the skewness of the sum,
    # times the share 441 / 79 of the nine clusters (their sizes squared add to 79).
    skewness = (away**3).sum() / ((away**2).sum() + 2 * far**2) ** 1.5
    assert abs(skewness) > 0.01
    for value in (-0.5, -0.1, 0.0, 0.123, 0.4, 0.9):
        from_mean = value - values.mean()
        if from_mean * skewness > 0:
            from_mean /= 1 + abs(skewness) / 2 * (441 / 79) / 9
        moved = np.append(sums - (values.mean() + from_mean) * np.array(SIZES), [far, -far])
        p = (np.abs(moved @ every_sign(11)) >= abs(moved.sum()) - 1e-9).mean()
        assert found.tails(value).both == pytest.approx(min(1.0, p))


def test_the_limit_of_the_longer_tail_is_further_away() -> None:
    # Nine clusters of one, of which one is 3 above: residuals -1/3 (8 times) and 8/3. Half of the
    # skewness (512 - 8) / 27 over (8 (8 + 1) / 9 (1 + 2 / 1))^1.5, one cluster being unusual.
    values = np.array([0.0] * 8 + [3.0])
    down, up = stretched(values - 1 / 3, np.ones(9), 1)
    assert float(down) == 1.0
    assert float(up) == pytest.approx(1 + 504 / 27 / 24**1.5 / 2)
    assert [float(end) for end in stretched(1 / 3 - values, np.ones(9), 1)] == [float(up), 1.0]


@pytest.mark.parametrize("draws", [5000, 1000])
def test_a_value_is_inside_the_interval_where_its_p_is_not_under_alpha(draws: int) -> None:
    for seed in range(5):
        values = changes(seed)
        draw = np.random.default_rng(seed)
        found = Flips(values, CODES, bounds=BOUNDS, draw=draw, draws=draws)
        for alpha in (0.05, 0.2):
            low, high = found.limits(alpha)
            assert low < found.estimate < high
            for value in np.linspace(-0.99, 0.99, 67):
                assert (found.tails(value).both >= alpha) == (low <= value <= high)


def test_the_smallest_p_of_random_signs_is_a_bound() -> None:
    draw = np.random.default_rng(1)
    values = np.repeat(draw.normal(0.5, 0.05, size=20), 2)
    codes = np.repeat(np.arange(20), 2).astype(np.int64)
    found = by_clusters(values, codes, bounds=BOUNDS, draw=draw, draws=999)
    assert found is not None
    assert found.tails(0.0).both == found.floor == 1 / 1000


def test_few_clusters_say_nothing_and_clusters_alike_what_they_could_have_missed() -> None:
    draw = np.random.default_rng(1)
    values, codes = np.zeros(21), np.minimum(CODES, 6)
    assert by_clusters(values, codes, bounds=BOUNDS, draw=draw, draws=99) is None
    found = by_clusters(values, CODES, bounds=BOUNDS, draw=draw, draws=99)
    assert isinstance(found, Alike)
    # Nine clusters, not 21 questions: 1 - .025^(1/9)
    assert found.limits(0.05)[1] == pytest.approx(1 - 0.025 ** (1 / 9))


def test_many_clusters_of_one_size_are_as_many_values() -> None:
    draw = np.random.default_rng(5)
    values = draw.normal(0.05, 0.2, size=120)
    codes = np.repeat(np.arange(40), 3).astype(np.int64)
    found = by_clusters(values, codes, bounds=BOUNDS, draw=draw, draws=99)
    means = studentised(values.reshape(40, 3).mean(axis=1), bounds=BOUNDS)
    assert found is not None and means is not None
    assert found.limits(0.05) == pytest.approx(means.limits(0.05))
    # 40 clusters, one of which has half of the questions, say as much as four.
    lone = np.minimum(np.arange(120) // 2, 39).astype(np.int64)
    assert isinstance(by_clusters(values, lone, bounds=BOUNDS, draw=draw, draws=99), Flips)


def test_the_variance_is_that_of_bell_and_mccaffrey() -> None:
    """CR2 of a regression on a constant, with its matrices written out."""
    values = changes(4)
    n = values.size
    hat = np.full((n, n), 1 / n)
    residuals = values - values.mean()
    total = 0.0
    for c in range(9):
        held = c == CODES
        own = np.real(sqrtm(np.eye(SIZES[c]) - hat[: SIZES[c], : SIZES[c]]))
        total += float((np.ones(SIZES[c]) @ np.linalg.inv(own) @ residuals[held]) ** 2)
    assert variance_of_mean(values, CODES) == pytest.approx(total / n**2)
    assert variance_of_mean(values) == pytest.approx(values.var(ddof=1) / n)
    # Clusters of one size: the variance of the mean of their means.
    equal = np.repeat(np.arange(7), 3).astype(np.int64)
    means = values.reshape(7, 3).mean(axis=1)
    assert variance_of_mean(values, equal) == pytest.approx(means.var(ddof=1) / 7)
    assert math.isnan(variance_of_mean(values, np.zeros(n, dtype=np.int64)))


def test_signs_flip_by_cluster() -> None:
    """Against every one of the 2^6 sets of signs."""
    values = np.array([1, 0, 1, 1, -1, 0, 1, 1, 1, 0, 1, 1], dtype=float)
    clusters = np.array([0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 5], dtype=np.int64)
    sums = np.array([values[clusters == c].sum() for c in range(6)])
    exact = (np.abs(sums @ every_sign(6)) >= abs(values.sum()) - 1e-12).mean()
    found = sign_flip([values], np.random.default_rng(2), clusters=[clusters], draws=40_000)
    assert found == pytest.approx(exact, abs=3 * np.sqrt(exact * (1 - exact) / 40_000))
    alone = sign_flip([values], np.random.default_rng(2), draws=40_000)
    assert found != pytest.approx(alone, abs=0.002)
