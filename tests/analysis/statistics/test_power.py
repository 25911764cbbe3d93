"""The power of McNemar's test against full enumeration and simulation; numbers needed."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from ragbench.analysis.statistics.paired import mcnemar_exact
from ragbench.analysis.statistics.power import (
    exact_power,
    questions_needed,
    smallest_difference,
)
from ragbench.base.errors import UsageError


@pytest.mark.parametrize(("n", "difference", "discordant"), [(8, 0.3, 0.5), (12, 0.0, 0.4)])
def test_power_is_the_sum_over_all_outcomes(n: int, difference: float, discordant: float) -> None:
    up, down = (discordant + difference) / 2, (discordant - difference) / 2
    found = 0.0
    for helped, hurt in product(range(n + 1), repeat=2):
        if helped + hurt <= n and mcnemar_exact(helped, hurt) <= 0.05:
            ways = math.comb(n, helped) * math.comb(n - helped, hurt)
            rest = (1 - discordant) ** (n - helped - hurt)
            found += ways * up**helped * down**hurt * rest
    assert exact_power(n, difference, discordant) == pytest.approx(found)


def test_power_by_simulation() -> None:
    draw = np.random.default_rng(5)
    counts = draw.multinomial(200, [0.15, 0.05, 0.8], size=20_000)
    p: dict[tuple[int, int], float] = {}
    found = 0
    for helped, hurt, _ in counts.tolist():
        key = (helped, hurt)
        p.setdefault(key, mcnemar_exact(*key))
        found += p[key] <= 0.05
    assert exact_power(200, 0.1, 0.2) == pytest.approx(found / 20_000, abs=0.01)


def test_the_questions_that_a_difference_takes() -> None:
    n = questions_needed(0.1, 0.2)
    assert exact_power(n, 0.1, 0.2) >= 0.8
    assert any(exact_power(n - step, 0.1, 0.2) < 0.8 for step in range(1, 31))
    # The normal approximation (Miettinen 1968): (1.96 sqrt(.2) + .84 sqrt(.2 - .01))^2 / .01
    rough = (1.959964 * math.sqrt(0.2) + 0.841621 * math.sqrt(0.19)) ** 2 / 0.01
    assert rough < n < 1.15 * rough
    assert questions_needed(0.1, 0.2, power=0.9) > n


def test_the_difference_that_so_many_questions_see() -> None:
    found = smallest_difference(140, 0.2)
    assert exact_power(140, found + 1e-4, 0.2) >= 0.8 > exact_power(140, found - 1e-3, 0.2)
    # The tie of Dorfner et al. (66.4 against 65 %) was of about 140 cases.
    assert found > 0.10
    assert math.isnan(smallest_difference(20, 0.1))  # two questions at most can change


@pytest.mark.parametrize(
    ("difference", "discordant", "message"),
    [
        (0.3, 0.2, "only 0.2 of the questions change"),
        (5, 20, "write 5 points as 0.05"),
        (0.1, 0.0, "between 0 and 1"),
    ],
)
def test_what_cannot_be(difference: float, discordant: float, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        exact_power(100, difference, discordant)
    assert message in f"{caught.value} {caught.value.fix}"
    with pytest.raises(UsageError, match="never found"):
        questions_needed(0.0, 0.2)
