"""E-values against integrals and products of single bets, and the sequence that they give."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta, betabinom, binom

from ragbench.analysis.statistics.inference import Values
from ragbench.analysis.statistics.sequential.betting import (
    PRIOR,
    Bets,
    e_value_of_pairs,
    log_e_values,
    stakes,
)
from ragbench.analysis.statistics.sequential.units import Units, of_clusters, of_questions

PAIR = (-1.0, 1.0)


def changes(helped: int, hurt: int, same: int, seed: int = 0) -> Values:
    values = np.repeat([1.0, -1.0, 0.0], [helped, hurt, same])
    return np.random.default_rng(seed).permutation(values)


def test_pairs_by_hand() -> None:
    """All ten of ten helped: 2^10 times the integral of p^10; one each: 4 times p (1 - p)."""
    assert e_value_of_pairs(10, 0, prior=1) == pytest.approx(1024 / 11)
    assert e_value_of_pairs(1, 1, prior=1) == pytest.approx(4 / 6)
    # A beta distribution of 2 and 2 has the density 6 p (1 - p): 4 * 6 * B(3, 3) = 24 / 30.
    assert e_value_of_pairs(1, 1, prior=2) == pytest.approx(0.8)
    assert e_value_of_pairs(0, 0) == 1.0


@pytest.mark.parametrize(("helped", "hurt"), [(3, 0), (12, 5), (60, 90), (400, 330)])
@pytest.mark.parametrize("prior", [1, 3, 5])
def test_pairs_are_a_ratio_of_probabilities(helped: int, hurt: int, prior: int) -> None:
    """SciPy's beta-binomial over its binomial at one half; and the integral by quadrature."""
    m = helped + hurt
    ratio = betabinom.logpmf(helped, m, prior, prior) - binom.logpmf(helped, m, 0.5)
    found = e_value_of_pairs(helped, hurt, prior)
    assert math.log(found) == pytest.approx(float(ratio), abs=1e-8)

    def likelihood(p: float) -> float:
        logs = helped * math.log(2 * p) + hurt * math.log(2 * (1 - p))
        return math.exp(logs) * float(beta.pdf(p, prior, prior))

    integral, _ = quad(likelihood, 0, 1, points=[helped / m], limit=400)
    assert found == pytest.approx(integral, rel=1e-6)


@pytest.mark.parametrize(
    ("helped", "hurt"), [(3, 0), (12, 5), (60, 90), (1200, 1010), (5000, 4900)]
)
def test_bets_on_a_grid_have_the_closed_form(helped: int, hurt: int) -> None:
    bets = Bets(of_questions(changes(helped, hurt, 40), PAIR), [helped + hurt + 40])
    found = log_e_values(bets.log_capitals(0.0))[0]
    assert found == pytest.approx(math.log(e_value_of_pairs(helped, hurt)), abs=1e-6)


def test_the_money_is_all_that_there_is() -> None:
    stake, share = stakes()
    assert share.sum() == pytest.approx(1)
    assert ((stake > 0) & (stake < 1)).all()
    # The density of 2 p - 1, for p from beta(3, 3) above one half, is 15/8 (1 - s^2)^2: mean 5/16.
    assert PRIOR == 3
    assert stake @ share == pytest.approx(5 / 16)


def products(units: Units, n: int, mean: float) -> float:
    """Return the mean capital of all bets, one unit after the other: the slow way."""
    (low, high), total = units.bounds, 0.0
    for stake, share in zip(*stakes(), strict=True):
        larger = smaller = 1.0
        for x, w in zip(units.values[:n], units.weights[:n], strict=True):
            larger *= 1 + stake * w * (x - mean) / (mean - low)
            smaller *= 1 + stake * w * (mean - x) / (high - mean)
        total += share * (larger + smaller) / 2
    return total


def metric(seed: int = 3) -> Units:
    draw = np.random.default_rng(seed)
    values = draw.beta(2, 5, size=60) - draw.beta(2, 6, size=60)
    return of_questions(np.asarray(values, dtype=np.float64), PAIR)


def interaction() -> Units:
    draw = np.random.default_rng(4)
    return of_questions(draw.choice([-2.0, -1.0, 0.0, 1.0, 2.0], size=60), (-2.0, 2.0))


def clustered() -> Units:
    draw = np.random.default_rng(5)
    values = draw.choice([-1.0, 0.0, 0.0, 1.0, 1.0], size=60)
    return of_clusters(values, draw.integers(0, 25, 60), PAIR, largest=9)


def rate() -> Units:
    right = np.random.default_rng(6).random(60) < 0.7
    return of_questions(right.astype(np.float64), (0.0, 1.0))


@pytest.mark.parametrize("make", [metric, interaction, clustered, rate])
def test_capital_is_the_product_of_single_bets(make: Callable[[], Units]) -> None:
    units = make()
    looks = [5, 12, units.values.size]
    bets = Bets(units, looks)
    for mean in (0.03, 0.2, 0.9 * units.bounds[1]):
        found = np.exp(log_e_values(bets.log_capitals(mean)))
        wanted = [products(units, n, mean) for n in looks]
        assert found == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("make", [metric, interaction, clustered, rate])
def test_the_sequence_is_what_bets_do_not_rule_out(make: Callable[[], Units]) -> None:
    units = make()
    looks = [10, units.values.size]
    bets = Bets(units, looks)
    lows, highs = bets.sequence(0.05)
    bottom, top = units.bounds
    grid = np.linspace(bottom + 0.005, top - 0.005, 400)
    capital = np.array([np.exp(log_e_values(bets.log_capitals(mean))) for mean in grid])
    for look in range(2):
        held = grid[(capital[:, : look + 1] < 20).all(axis=1)]  # by every look so far
        step = grid[1] - grid[0]
        assert lows[look] == pytest.approx(held[0], abs=step + 0.005)
        assert highs[look] == pytest.approx(held[-1], abs=step + 0.005)
        assert held.size == pytest.approx((held[-1] - held[0]) / step + 1)  # one interval
    assert lows[0] <= lows[1] <= units.estimate <= highs[1] <= highs[0]


def test_the_sequence_excludes_zero_exactly_where_the_e_value_says_so() -> None:
    for helped in range(10, 40, 3):
        units = of_questions(changes(helped, 10, 50), PAIR)
        (low,), (high,) = Bets(units, [units.values.size]).sequence(0.05)
        assert (low > 0 or high < 0) == (e_value_of_pairs(helped, 10) > 20)


def test_nothing_asked_and_nothing_changed() -> None:
    lows, highs = Bets(of_questions(np.empty(0), PAIR), [0]).sequence(0.05)
    assert (lows[0], highs[0]) == PAIR
    same = Bets(of_questions(np.zeros(400), PAIR), [0, 100, 400])
    lows, highs = same.sequence(0.05)
    assert lows[0] == -1
    assert -0.2 < lows[1] < lows[2] < 0 < highs[2] < highs[1] < 0.2
    assert lows + highs == pytest.approx(0, abs=1e-6)


def test_all_at_an_end() -> None:
    """Every question right: the interval reaches 1, and nothing divides by zero."""
    lows, highs = Bets(of_questions(np.ones(50), (0.0, 1.0)), [50]).sequence(0.05)
    assert highs[0] == 1
    assert 0.8 < lows[0] < 1


def test_a_sequence_that_is_empty_stays_a_point() -> None:
    """200 questions helped, then 2,000 hurt: no mean fits all looks."""
    values = np.concatenate([np.ones(200), -np.ones(2000)])
    lows, highs = Bets(of_questions(values, PAIR), [200, 2200]).sequence(0.05)
    assert lows[1] == highs[1] == lows[0]
