"""Reciprocal rank fusion against its formula, in fractions and by hand."""

from __future__ import annotations

import doctest
import math
from fractions import Fraction
from functools import reduce
from operator import add

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ragbench.base.errors import UsageError
from ragbench.indexes.composite import fusion
from ragbench.indexes.composite.fusion import rrf

RANKINGS = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=10), max_size=4)


def test_worked_by_hand() -> None:
    """b: 1/62 + 1/61; a: 1/61; c: 1/62 + 1/63; d: 1/63 in the second ranking alone."""
    found = rrf([["a", "b"], ["b", "c", "d"], ["x", "y", "c"]])
    assert dict(found)["b"] == pytest.approx(1 / 62 + 1 / 61)
    assert dict(found)["a"] == pytest.approx(0.01639344)
    assert [identifier for identifier, _ in found] == ["b", "c", "a", "x", "y", "d"]


def test_the_docstrings_example() -> None:
    assert doctest.testmod(fusion).failed == 0


def test_equal_sums_are_ties_even_where_floats_differ() -> None:
    """Each of seven ids holds each of seven ranks once, in another order of the rankings."""
    ids = list("pqrstuv")
    rotations = [[ids[(i + shift) % 7] for i in range(7)] for shift in range(7)]
    floats = {reduce(add, (1 / (61 + ranking.index(i)) for ranking in rotations)) for i in ids}
    assert len(floats) > 1
    found = rrf(rotations)
    assert [identifier for identifier, _ in found] == ids
    assert len({score for _, score in found}) == 1


def naive(rankings: list[list[str]], k0: int) -> list[tuple[str, float]]:
    total: dict[str, Fraction] = {}
    for identifier in {i for ranking in rankings for i in ranking}:
        total[identifier] = Fraction(0)
        for ranking in rankings:
            unique: list[str] = []
            for other in ranking:
                if other not in unique:
                    unique.append(other)
            if identifier in unique:
                total[identifier] += Fraction(1, k0 + unique.index(identifier) + 1)
    pairs = sorted((-score, identifier) for identifier, score in total.items())
    return [(identifier, float(-score)) for score, identifier in pairs]


@given(rankings=RANKINGS, k0=st.sampled_from([0, 1, 60, 1000]))
@example(rankings=[["a", "a", "b"], ["b", "a"]], k0=60)
def test_equals_the_naive_sum(rankings: list[list[str]], k0: int) -> None:
    assert rrf(rankings, k0=k0) == naive(rankings, k0)


@given(rankings=RANKINGS)
def test_the_order_of_the_rankings_does_not_count(rankings: list[list[str]]) -> None:
    assert rrf(rankings) == rrf(rankings[::-1])


@given(rankings=RANKINGS)
def test_a_weight_of_three_is_three_copies(rankings: list[list[str]]) -> None:
    weights = [3.0] * len(rankings)
    thrice = [ranking for ranking in rankings for _ in range(3)]
    assert rrf(rankings, weights=weights) == rrf(thrice)


def test_weights_are_the_decimals_that_they_are_written_as() -> None:
    """0.1/61 + 0.2/61 = 0.3/61, though 0.1 + 0.2 is not 0.3 in floating point."""
    found = rrf([["b"], ["b"], ["a"]], weights=[0.1, 0.2, 0.3])
    assert [identifier for identifier, _ in found] == ["a", "b"]
    assert found[0][1] == found[1][1]


@pytest.mark.parametrize("rankings", [[], [[]], [[], []]])
def test_nothing_gives_nothing(rankings: list[list[str]]) -> None:
    assert rrf(rankings) == []


@pytest.mark.parametrize(
    "weights", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, math.nan], [1, math.inf]]
)
def test_wrong_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(UsageError, match="2 positive numbers"):
        rrf([["a"], ["b"]], weights=weights)


def test_a_negative_k0_is_refused() -> None:
    with pytest.raises(UsageError, match="k0"):
        rrf([["a"]], k0=-1)
