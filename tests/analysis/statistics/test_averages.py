"""Averages over tasks by the arithmetic of Zou and Donner."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ragbench.analysis.statistics.averages import LEAST, Average
from ragbench.analysis.statistics.paired import Tango
from ragbench.analysis.statistics.studentised import studentised


def test_the_distances_to_the_ends_are_added_as_squares() -> None:
    parts = [Tango(12, 3, 50), Tango(2, 5, 200)]
    (low, high), (other_low, other_high) = (part.limits(0.05) for part in parts)
    mean = (9 / 50 - 3 / 200) / 2
    down = math.sqrt((9 / 50 - low) ** 2 + (-3 / 200 - other_low) ** 2) / 2
    up = math.sqrt((high - 9 / 50) ** 2 + (other_high + 3 / 200) ** 2) / 2
    found = Average(parts)
    assert found.estimate == pytest.approx(mean)
    assert found.limits(0.05) == pytest.approx((mean - down, mean + up))


def test_limits_have_their_level_and_are_possible() -> None:
    metric = studentised(np.array([0.1, 0.4, -0.2, 0.3, 0.0, 0.2]), bounds=(-1.0, 1.0))
    assert metric is not None
    found = Average([Tango(1, 0, 1), Tango(3, 0, 3), metric])
    for alpha in (0.01, 0.05, 0.5):
        low, high = found.limits(alpha)
        assert -1 <= low < high <= 1
        assert found.tails(low).at_most == pytest.approx(alpha / 2, rel=1e-3)
        if high < 1:
            assert found.tails(high).at_least == pytest.approx(alpha / 2, rel=1e-3)
    assert found.tails(found.estimate).both == pytest.approx(1.0, abs=0.1)


def test_a_p_that_is_too_small_is_a_bound() -> None:
    found = Average([Tango(200, 0, 200), Tango(180, 0, 200)])
    assert found.tails(0.0).both == pytest.approx(LEAST)
    assert found.floor == LEAST


def test_tasks_of_opposite_effects_average_to_their_own_spread() -> None:
    """Two tasks at +60 and -60 points: the interval is that of their errors, not of the gap."""
    found = Average([Tango(70, 10, 100), Tango(10, 70, 100)])
    # Each has the standard error sqrt(.8 - .36) / 10 = .0663; their mean .0469, times 1.96
    low, high = found.limits(0.05)
    assert (low, high) == pytest.approx((-0.092, 0.092), abs=0.004)
