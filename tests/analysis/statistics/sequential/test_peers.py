"""The same e-values, sequences and families as confseq 0.0.11 and expectation 0.6.1 compute.

confseq's ``diversified_betting_mart`` was given the same bets: its argument is a value from 0 to 1,
``lambdas_weights`` were the shares of ``stakes()``, the bets s / m and s / (1 - m), ``theta`` one
half, with ``convex_comb`` and without truncation. The ends of its sequence are where that reaches
20, by SciPy's ``brentq``, each within those before it. expectation's ``BetaBinomialMixture`` has
g = h = 1/2 and the ``v_opt`` at which its r is half the prior; helped and hurt are s = (helped -
hurt) / 2 at v = (helped + hurt) / 4. Its e-Holm and e-BH give the alpha from which each of six
e-processes is rejected, by bisection.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from ragbench.analysis.statistics.sequential.betting import Bets, e_value_of_pairs, log_e_values
from ragbench.analysis.statistics.sequential.families import e_benjamini_hochberg, e_holm
from ragbench.analysis.statistics.sequential.units import Units, of_questions

PAIRS = [1, 0.5, 0, 1, 1, 0.5, 1, 1, 0, 1, 1, 1, 0.5, 1, 1, 0, 1, 1, 1, 1] * 2
SCORES = [
    *(0.426, 0.293, 0.238, 0.408, 0.417, 0.148, 0.649, 0.546, 0.159, 0.355, 0.674, 0.197, 0.128),
    *(0.41, 0.321, 0.191, 0.698, 0.071, 0.564, 0.672, 0.552, 0.23, 0.36, 0.437, 0.109, 0.788),
    *(
        0.505,
        0.489,
        0.3,
        0.515,
        0.247,
        0.261,
        0.316,
        0.564,
        0.551,
        0.188,
        0.098,
        0.081,
        0.18,
        0.514,
    ),
]
LOOKS = (5, 10, 20, 40)
MEANS = (0.35, 0.5, 0.62)
E_PAIRS = [
    [1.6687545013002356, 5.102107047301112, 626.8575752469765, 2809575.2699893746],
    [0.9523809523809526, 1.1934731934731935, 8.783455966118508, 270.23190874983555],
    [0.7885445835903481, 0.7240568304222814, 1.383132141841463, 3.8542922469536878],
]
E_SCORES = [
    [0.9954544253074373, 0.9465405720811946, 0.8897096093589345, 0.7908324423429824],
    [1.1105388389638091, 1.4186820180383881, 2.512315351882991, 26.228122993964284],
    [1.7966331937672857, 5.62903663736479, 80.77803991844759, 141829.36282326904],
]
ENDS_PAIRS = [
    (0.2724401986806083, 0.9426187367167305),
    (0.4628812659247412, 0.9305638404673882),
    (0.5650277210893275, 0.9038174950511277),
]
ENDS_SCORES = [
    (0.1717165522698345, 0.6845172042658692),
    (0.23710355788724602, 0.5763650007098102),
    (0.293048865047672, 0.49427758782150943),
]


def differences(values: list[float]) -> Units:
    """Values from 0 to 1 as differences from -1 to 1."""
    return of_questions(2 * np.array(values) - 1, (-1.0, 1.0))


@pytest.mark.parametrize(("values", "expected"), [(PAIRS, E_PAIRS), (SCORES, E_SCORES)])
def test_e_values_of_confseq(values: list[float], expected: list[list[float]]) -> None:
    bets = Bets(differences(values), LOOKS)
    for mean, row in zip(MEANS, expected, strict=True):
        found = np.exp(log_e_values(bets.log_capitals(2 * mean - 1)))
        assert found == pytest.approx(row, rel=1e-9)


@pytest.mark.parametrize(("values", "expected"), [(PAIRS, ENDS_PAIRS), (SCORES, ENDS_SCORES)])
def test_sequences_of_confseq(values: list[float], expected: list[tuple[float, float]]) -> None:
    lows, highs = Bets(differences(values), range(1, 41)).sequence(0.05)
    for look, (low, high) in zip(LOOKS[1:], expected, strict=True):
        assert (lows[look - 1] + 1) / 2 == pytest.approx(low, abs=1e-8)
        assert (highs[look - 1] + 1) / 2 == pytest.approx(high, abs=1e-8)


@pytest.mark.parametrize(
    ("prior", "expected"),
    [
        (1, [0.6931471805599456, 0.1627630999299476, 0.7155044416339826, 0.28495481033689946]),
        (3, [0.3566749439387311, 0.42990064315009935, 1.252661994508924, 0.892513308542175]),
        (5, [0.24116205681688907, 0.441207714064789, 1.4374954695617577, 1.1436109126646317]),
    ],
)
def test_mixtures_of_expectation(prior: float, expected: list[float]) -> None:
    pairs = [(3, 0), (12, 5), (60, 90), (400, 330)]
    found = [math.log(e_value_of_pairs(helped, hurt, prior)) for helped, hurt in pairs]
    assert found == pytest.approx(expected, abs=1e-9)


def test_families_of_expectation() -> None:
    logs = [-2.0430827277674126, -2.324266406584454, -0.5342142624964596]
    logs += [3.06045720111454, 7.056136782541627, 15.11784846364073]
    e = np.exp(logs)
    holm = [1, 1, 1, 0.1874650520530537, 0.004310510785775767, 1.6313723017832763e-06]
    e_bh = [1, 1, 1, 0.09373252602652686, 0.0025863064714654587, 1.6313723017832763e-06]
    assert e_holm(e) == pytest.approx(holm, rel=1e-9)
    assert e_benjamini_hochberg(e) == pytest.approx(e_bh, rel=1e-9)
