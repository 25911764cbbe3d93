"""Probabilities of options and their Brier score, by hand and by scikit-learn."""

from __future__ import annotations

import math

import pytest

from ragbench.base.records import Answered, Question
from ragbench.metrics.likelihood import brier, follows_length, option_mass, probabilities

QUESTION = Question("q", "t", ("a", "b", "c"), 1, "t")


def test_brier_by_hand() -> None:
    # weights 1 : 2 : 1 -> .25, .5, .25; (.25)^2 + (.5)^2 + (.25)^2 = .375
    cell = [
        Answered(QUESTION, "parsed", 1, "", (-5.0, -5.0 + math.log(2), -5.0)),
        Answered(QUESTION, "parsed", None, "b"),
        Answered(QUESTION, "parsed", 1, "", (-2000.0, -1.0, -2000.0)),
    ]
    found = brier(cell, {})
    assert found[0] == pytest.approx(0.375)
    assert math.isnan(found[1])
    assert found[2] == pytest.approx(0.0)


def test_the_binary_brier_is_half_of_scikit_learns_twofold() -> None:
    from sklearn.metrics import brier_score_loss

    sums = [(-1.0, -2.0), (-3.0, -0.5), (-1.0, -1.0)]
    answers = (0, 0, 1)
    cell = [
        Answered(Question("q", "t", ("a", "b"), right, "t"), "parsed", 0, "", scores)
        for scores, right in zip(sums, answers, strict=True)
    ]
    second = [probabilities(scores)[1] for scores in sums]
    # over both classes the binary score counts twice
    expected = 2 * brier_score_loss(answers, second)
    assert sum(brier(cell, {})) / 3 == pytest.approx(expected)


@pytest.mark.parametrize(
    ("shares", "mass"),
    [((0.2, 0.3, 0.1), 0.6), ((0.004, 0.005), 0.009), ((0.7, 0.6), 1.0), ((1e-300,), 1e-300)],
)
def test_the_mass_on_the_options_is_their_sum(shares: tuple[float, ...], mass: float) -> None:
    assert option_mass([math.log(share) for share in shares]) == pytest.approx(mass)


@pytest.mark.parametrize(
    ("log_likelihoods", "tokens", "follows"),
    [
        ([(-2.0, -6.0), (-5.0, -4.0)], [(1, 3), (5, 4)], True),  # -2 per token, then -1
        ([(-2.0, -6.0), (-5.0, -4.0)], [(1, 3), (5, 4)][::-1], False),
        ([(-2.0, -6.0), (-10.0, -8.0)], [(1, 3), (5, 4)], True),
        ([(-0.3, -0.9)], [(1, 3)], True),
        ([(-0.3, -0.7)], [(1, 3)], False),
        ([(-1.0, -3.0, -1.0, -3.0, -4.0)] * 2, [(1, 2, 1, 2, 3)] * 2, True),  # by place: 4 pairs
        ([(-1.0, -3.0, -1.0, -3.0, -4.0)], [(1, 2, 1, 2, 3)], False),  # chance may do it
        ([(-1.0, -3.0, -1.0, -3.1, -4.0)] * 9, [(1, 2, 1, 2, 3)] * 9, False),
        ([(-1.0, -3.0)], [()], False),  # imported: tokens are unknown
        ([()], [()], False),
        ([], [], False),
    ],
)
def test_likelihoods_that_follow_from_the_number_of_tokens(
    log_likelihoods: list[tuple[float, ...]], tokens: list[tuple[int, ...]], follows: bool
) -> None:
    assert follows_length(log_likelihoods, tokens) is follows


def test_no_mass_at_all() -> None:
    assert option_mass([-2000.0, -3000.0]) == 0.0
