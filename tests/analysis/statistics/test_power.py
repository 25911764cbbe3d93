"""The power of McNemar's mid-p test against full enumeration and simulation; numbers needed."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from ragbench.analysis.statistics.foretold import Counts, Scatter
from ragbench.analysis.statistics.paired import mcnemar_mid_p
from ragbench.analysis.statistics.power import (
    Spread,
    mid_p_power,
    questions_needed,
    smallest_difference,
)
from ragbench.base.errors import UsageError


@pytest.mark.parametrize(
    ("n", "difference", "discordant", "alpha"),
    [(8, 0.3, 0.5, 0.05), (12, 0.0, 0.4, 0.05), (14, 0.4, 0.6, 0.00625)],
)
def test_power_is_the_sum_over_all_outcomes(
    n: int, difference: float, discordant: float, alpha: float
) -> None:
    up, down = (discordant + difference) / 2, (discordant - difference) / 2
    found = 0.0
    for helped, hurt in product(range(n + 1), repeat=2):
        if helped + hurt <= n and mcnemar_mid_p(helped, hurt) < alpha:
            ways = math.comb(n, helped) * math.comb(n - helped, hurt)
            rest = (1 - discordant) ** (n - helped - hurt)
            found += ways * up**helped * down**hurt * rest
    assert mid_p_power(n, difference, discordant, alpha=alpha) == pytest.approx(found)


def test_power_by_simulation() -> None:
    draw = np.random.default_rng(5)
    counts = draw.multinomial(200, [0.15, 0.05, 0.8], size=20_000)
    p: dict[tuple[int, int], float] = {}
    found = 0
    for helped, hurt, _ in counts.tolist():
        key = (helped, hurt)
        p.setdefault(key, mcnemar_mid_p(*key))
        found += p[key] < 0.05
    assert mid_p_power(200, 0.1, 0.2) == pytest.approx(found / 20_000, abs=0.01)


def test_the_questions_that_a_difference_takes() -> None:
    n = questions_needed(0.1, 0.2)
    assert mid_p_power(n, 0.1, 0.2) >= 0.8
    assert any(mid_p_power(n - step, 0.1, 0.2) < 0.8 for step in range(1, 31))
    # The normal approximation (Miettinen 1968): (1.96 sqrt(.2) + .84 sqrt(.2 - .01))^2 / .01
    rough = (1.959964 * math.sqrt(0.2) + 0.841621 * math.sqrt(0.19)) ** 2 / 0.01
    assert 0.95 * rough < n < 1.1 * rough
    assert questions_needed(0.1, 0.2, power=0.9) > n


def test_the_difference_that_so_many_questions_see() -> None:
    found = smallest_difference(140, 0.2)
    assert mid_p_power(140, found + 1e-4, 0.2) >= 0.8 > mid_p_power(140, found - 1e-3, 0.2)
    # The tie of Dorfner et al. (66.4 against 65 %) was of about 140 cases.
    assert found > 0.09


def test_more_must_change_where_even_one_direction_is_not_enough() -> None:
    # Two of twenty: no difference of that size is found, but 32.3 points of one direction are.
    found = smallest_difference(20, 0.1)
    assert found > 0.1
    assert mid_p_power(20, found, found) == pytest.approx(0.8, abs=0.001)
    assert math.isnan(smallest_difference(3, 0.5))  # three of three have the mid-p 1/8


def test_of_values_about_their_mean() -> None:
    """The t-test of statsmodels, with its power."""
    from statsmodels.stats.power import TTestPower

    n, sd = 40, 0.2
    spread = Spread(n, 1.0, variance=sd**2 / n, freedom=n - 1.0)
    theirs = TTestPower()
    for effect in (0.05, 0.1):
        wanted = theirs.power(effect / sd, n, 0.05)
        assert spread.power(effect, 0.05) == pytest.approx(wanted, abs=1e-3)
    least = theirs.solve_power(nobs=n, alpha=0.05, power=0.8) * sd
    assert spread.smallest(0.05) == pytest.approx(least, abs=1e-4)
    needed = theirs.solve_power(effect_size=0.05 / sd, alpha=0.05, power=0.8)
    assert spread.questions(0.05, 0.05) == pytest.approx(needed, abs=1.5)


def test_what_is_known_of_nothing() -> None:
    assert math.isnan(Spread(10, 1.0).smallest(0.05))
    with pytest.raises(UsageError, match="under ten million"):
        Spread(10, 1.0).questions(0.05, 0.05)


def test_a_large_effect_is_found_where_scipy_has_no_figure() -> None:
    # The distribution of the noncentral t is NaN at 38 and 191 degrees of freedom.
    spread = Spread(200, 1.0, variance=0.013**2, freedom=191.0)
    assert spread.power(0.5, 0.00625) == 1.0
    assert 0.04 < spread.smallest(0.00625) < 0.05
    assert spread.questions(0.5, 0.00625) < 20


def test_flips_and_counts_are_found_by_imagined_runs() -> None:
    draw = np.random.default_rng(3)
    values, codes = draw.normal(0, 0.2, size=100), np.repeat(np.arange(10), 10).astype(np.int64)
    sums = np.bincount(codes, weights=values - values.mean()).astype(np.float64)
    scatter = Scatter.of(sums, values, codes, 10)
    flipped = Spread(100, 1.0, variance=0.0004, freedom=9.0, scatter=scatter)
    least = flipped.smallest(0.05)
    assert flipped.power(least, 0.05) == pytest.approx(0.8, abs=0.02)
    out_of_reach = Spread(100, least / 2, variance=0.0004, freedom=9.0, scatter=scatter)
    assert math.isnan(out_of_reach.smallest(0.05))
    counts = Counts(50, 1.0, (1.0, 2.0), (0.5, 0.1))
    counted = Spread(50, 2.0, variance=0.9 / 50, shrinks=1 / 50, freedom=31.0, counts=counts)
    least = counted.smallest(0.05)
    assert counted.power(least, 0.05) == pytest.approx(0.8, abs=0.02)
    assert counted.questions(least, 0.05) == pytest.approx(50, abs=3)


@pytest.mark.parametrize(
    ("difference", "discordant", "message"),
    [
        (0.3, 0.2, "only 0.2 of the questions change"),
        (5, 20, "write 5 points as 0.05"),
    ],
)
def test_what_cannot_be(difference: float, discordant: float, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        mid_p_power(100, difference, discordant)
    assert message in f"{caught.value} {caught.value.fix}"
    with pytest.raises(UsageError, match="never found"):
        questions_needed(0.0, 0.2)
