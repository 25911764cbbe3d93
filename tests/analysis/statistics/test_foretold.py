"""Imagined runs: the test of counts against the test itself, flips against every set of signs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ragbench.analysis.statistics.clustered import Flips
from ragbench.analysis.statistics.foretold import Counts, Scatter
from ragbench.analysis.statistics.studentised import studentised


@pytest.mark.parametrize("effect", [0.15, 0.3])
def test_counts_are_found_as_often_as_by_the_test(effect: float) -> None:
    # Of 40 questions, 2 in 5 change by one and 1 in 10 by two; a change by k tends k times to the
    # better: the tilt is the effect over the mean square, 0.4 + 4 * 0.1.
    counts, tilt = Counts(40, 1.0, (1.0, 2.0), (0.4, 0.1)), effect / 0.8
    chances = [0.2 * (1 + tilt), 0.05 * (1 + 2 * tilt), 0.2 * (1 - tilt), 0.05 * (1 - 2 * tilt)]
    draw, values, found = np.random.default_rng(1), np.array([1.0, 2.0, -1.0, -2.0, 0.0]), 0
    for times in draw.multinomial(40, [*chances, 0.5], size=1500):
        method = studentised(np.repeat(values, times), bounds=(-2.0, 2.0))
        assert method is not None
        found += method.tails(0.0).at_most < 0.025
    # Both rates have an error: of 1500 and of 2000 runs.
    error = math.sqrt(0.25 / 1500 + 0.25 / 2000)
    assert counts.power(effect, 0.05) == pytest.approx(found / 1500, abs=2.5 * error)


def test_more_units_change_where_one_direction_is_not_enough() -> None:
    counts = Counts(60, 1.0, (1.0,), (0.1,))
    assert counts.most == 1.0
    assert counts.power(0.05, 0.05) < counts.power(0.2, 0.05) < counts.power(0.4, 0.05)
    assert counts.power(1.0, 0.05) == 1.0  # all of them: there is no spread


def test_counts_of_what_was_observed() -> None:
    found = Counts.of(np.array([0.0, 1.0, -1.0, 2.0, 0.0, 0.0, -1.0, 0.0]), 1.0)
    assert found == Counts(8, 1.0, (1.0, 2.0), (3 / 8, 1 / 8))


def test_flips_find_what_the_test_finds() -> None:
    """A shift is found where it is further than the distance of the limit from zero."""
    draw, codes = np.random.default_rng(7), np.repeat(np.arange(10), 4).astype(np.int64)
    limits, foretold = [], []
    for _ in range(30):
        values = draw.normal(0, 1, size=40)
        flips = Flips(values, codes, bounds=(-9, 9), draw=draw, draws=4096)
        limits.append(-flips.limits(0.05)[0])
        sums = np.bincount(codes, weights=values - values.mean()) / math.sqrt(0.9)
        foretold.append(Scatter.of(sums, values, codes, 10).distances(0.05))
    # The middle of both; their errors are about 0.2 / sqrt(30) each.
    assert np.median(foretold) == pytest.approx(np.median(limits), abs=0.1)


def test_clusters_alike_have_a_scatter_of_their_sizes() -> None:
    values, codes = np.ones(24), np.repeat(np.arange(8), 3).astype(np.int64)
    found = Scatter.of(np.full(8, 3.0), values, codes, 8)
    assert found.scales == (3.0,) * 8
    # The mean of chi with 7 degrees of freedom over their root: 0.9650 (Gosset's c4 of n = 8)
    assert found.ratios == pytest.approx((1 / 0.9650,) * 8, rel=1e-4)
