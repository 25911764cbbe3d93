"""Bets on an average over tasks: the least product of the bets per task, by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ragbench.analysis.statistics.inference import Values
from ragbench.analysis.statistics.sequential.betting import Bets, log_e_values
from ragbench.analysis.statistics.sequential.decide import Effect, Rules, decide
from ragbench.analysis.statistics.sequential.tasks import Average, Tasks
from ragbench.analysis.statistics.sequential.units import Units, of_clusters, of_questions

PAIR = (-1.0, 1.0)


def drawn(n: int, up: float, down: float, seed: int) -> Values:
    draw = np.random.default_rng(seed)
    return draw.choice([1.0, -1.0, 0.0], n, p=[up, down, 1 - up - down])


@pytest.fixture
def tasks() -> list[Units]:
    """Return 120 questions of one task, and 300 of another in clusters of one to five."""
    clusters = np.random.default_rng(3).integers(0, 100, 300)
    largest = int(np.bincount(clusters).max())
    large = of_clusters(drawn(300, 0.1, 0.2, 2), clusters, PAIR, largest=largest)
    return [of_questions(drawn(120, 0.3, 0.1, 1), PAIR), large]


def test_one_task_has_the_bets_of_its_own(tasks: list[Units]) -> None:
    looks = [20, 60, 90]
    for units in tasks:
        alone, own = Average([units], [(n,) for n in looks]), Bets(units, looks)
        for mean in (-0.1, 0.0, 0.03, 0.2):
            for mine, other in zip(alone.log_capitals(mean), own.log_capitals(mean), strict=True):
                assert (mine <= other + 1e-9).all()  # a bound, and a near one
                assert mine == pytest.approx(other, abs=0.02)
        assert np.array(alone.sequence(0.05)) == pytest.approx(
            np.array(own.sequence(0.05)), abs=1e-3
        )
        assert alone.questions.tolist() == own.questions.tolist()


def test_the_least_product_by_brute_force(tasks: list[Units]) -> None:
    """Over 301 pairs of means with each average, by the bets of either task."""
    looks = [(30, 30), (120, 90)]
    both = Average(tasks, looks)
    for number, ends in enumerate(looks):
        one, other = (Bets(units, [n]) for units, n in zip(tasks, ends, strict=True))
        for mean in (0.0, 0.1):
            reach = 1 - abs(mean) - 1e-9
            pairs = [(mean + step, mean - step) for step in np.linspace(-reach, reach, 301)]
            for side in (0, 1):
                least = min(
                    float(one.log_capitals(first)[side][0] + other.log_capitals(second)[side][0])
                    for first, second in pairs
                )
                found = float(both.log_capitals(mean)[side][number])
                assert found <= least + 1e-9
                assert found == pytest.approx(least, abs=0.03)


def test_average_sequence_and_a_task_without_units(tasks: list[Units]) -> None:
    both = Average(tasks, [(0, 50), (60, 60), (120, 90)])
    means = [(tasks[0].mean_of(n) + tasks[1].mean_of(m)) / 2 for n, m in ((60, 60), (120, 90))]
    assert math.isnan(both.estimates[0])
    assert both.estimates[1:] == pytest.approx(means)
    low, high = both.sequence(0.05)
    assert (low[0], high[0]) == PAIR
    assert (np.diff(low) >= 0).all() and (np.diff(high) <= 0).all()
    # An end is the mean whose e-value is 1 / alpha.
    at_end = log_e_values(both.log_capitals(float(low[2])))[2]
    assert at_end == pytest.approx(math.log(20), abs=1e-6)


def test_an_average_is_decided_like_any_effect() -> None:
    """Neither task alone is decided as early as their average."""
    parts = tuple(of_questions(drawn(200, 0.25, 0.1, seed), PAIR) for seed in (5, 6))
    looks = tuple((n, n) for n in range(50, 201, 10))
    totals = tuple(map(sum, looks))
    rules = Rules(share=1.0)
    (state,) = decide([Effect(("average",), Tasks(parts, looks), totals)], rules)
    assert state.verdict == "shown" and state.shown_at is not None
    for part in parts:
        (alone,) = decide([Effect(("one",), part, tuple(n for n, _ in looks))], rules)
        assert alone.shown_at is None or 2 * alone.shown_at > state.shown_at
    # Looks taken one after the other give the same.
    (half,) = decide([Effect(("average",), Tasks(parts, looks[:5]), totals[:5])], rules)
    (again,) = decide([Effect(("average",), Tasks(parts, looks), totals)], rules, [half])
    assert again == state
