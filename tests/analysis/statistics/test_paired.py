"""McNemar's tests and Tango's interval against publications, statsmodels and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from ragbench.analysis.statistics.paired import Tango, mcnemar_exact, mcnemar_mid_p


def test_mcnemar_by_hand() -> None:
    # 8 against 1: 2 * (C(9,0) + C(9,1)) / 2^9 = 20 / 512
    assert mcnemar_exact(8, 1) == pytest.approx(20 / 512)
    assert mcnemar_exact(0, 0) == 1.0
    assert mcnemar_exact(3, 3) == 1.0
    # The published pair of PubMedQA* replies: +200 / -43, p about 2e-25
    assert mcnemar_exact(200, 43) == pytest.approx(2e-25, rel=0.5)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_equals_statsmodels(helped: int, hurt: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    theirs = mcnemar([[0, helped], [hurt, 0]], exact=True).pvalue if helped + hurt else 1.0
    assert mcnemar_exact(helped, hurt) == pytest.approx(min(theirs, 1.0))
    assert mcnemar_exact(helped, hurt) == mcnemar_exact(hurt, helped)


def test_mid_p_by_hand_and_as_published() -> None:
    # 8 against 1: 20 / 512 less half of both tails' 9 / 512
    assert mcnemar_mid_p(8, 1) == pytest.approx((20 - 9) / 512)
    assert mcnemar_mid_p(0, 0) == mcnemar_mid_p(4, 4) == 1.0
    # Fagerland, Lydersen and Laake 2013: airway hyper-responsiveness (1 and 7 of 21 children),
    # and complete response (6 and 16 of 161 patients).
    assert round(mcnemar_mid_p(1, 7), 3) == 0.039
    assert round(mcnemar_exact(1, 7), 3) == 0.070
    assert round(mcnemar_mid_p(6, 16), 3) == 0.035
    assert round(mcnemar_exact(6, 16), 3) == 0.052


def test_tangos_interval_as_published() -> None:
    # Fagerland, Lydersen and Laake 2014 (Statistics in Medicine 33:2850), the same children.
    assert [round(end, 3) for end in Tango(1, 7, 21).limits(0.05)] == [-0.517, -0.026]
    # Tango 1998, the cross-over trial of contact lenses (0 and 1 of 44): 90 % limits.
    assert [round(end, 3) for end in Tango(0, 1, 44).limits(0.1)] == [-0.096, 0.037]


def score(helped: int, hurt: int, n: int, value: float) -> float:
    """Return the score statistic, the likelihood maximised by search."""

    def unlikely(q: float) -> float:
        cells = [(helped, q + value), (hurt, q), (n - helped - hurt, 1 - 2 * q - value)]
        return -sum(count * math.log(max(p, 1e-300)) for count, p in cells if count)

    ends = (max(0.0, -value), (1 - value) / 2)
    q = minimize_scalar(unlikely, bounds=ends, method="bounded", options={"xatol": 1e-12}).x
    return float((helped - hurt - n * value) / math.sqrt(n * (2 * q + value * (1 - value))))


@pytest.mark.parametrize(("helped", "hurt", "n"), [(12, 3, 50), (1, 7, 21), (3, 3, 9), (5, 1, 200)])
def test_the_score_has_the_restricted_maximum(helped: int, hurt: int, n: int) -> None:
    for value in (-0.4, -0.05, 0.02, 0.3):
        theirs = score(helped, hurt, n, value)
        tails = Tango(helped, hurt, n).tails(value)
        assert tails.at_most == pytest.approx(norm.sf(theirs), abs=1e-6)
        assert tails.at_least == pytest.approx(norm.cdf(theirs), abs=1e-6)


def test_at_no_difference_it_is_mcnemars_asymptotic_test() -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    theirs = mcnemar([[0, 12], [3, 0]], exact=False, correction=False).pvalue
    assert Tango(12, 3, 50).tails(0.0).both == pytest.approx(theirs)


@given(
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 60)).filter(any),
    st.sampled_from([0.01, 0.05, 0.3]),
)
def test_limits_are_possible_and_have_their_level(
    counts: tuple[int, int, int], alpha: float
) -> None:
    helped, hurt, same = counts
    found = Tango(helped, hurt, helped + hurt + same)
    low, high = found.limits(alpha)
    assert -1 <= low <= found.estimate <= high <= 1
    if low > -1 + 1e-6:
        assert found.tails(low).at_most == pytest.approx(alpha / 2, abs=1e-5)
    if high < 1 - 1e-6:
        assert found.tails(high).at_least == pytest.approx(alpha / 2, abs=1e-5)


def test_few_changes_do_not_narrow_the_interval() -> None:
    none, one = (Tango(helped, 0, 20).limits(0.05) for helped in (0, 1))
    assert np.round(none, 3).tolist() == [-0.161, 0.161]
    assert np.round(one, 3).tolist() == [-0.119, 0.236]
    assert one[1] - one[0] > none[1] - none[0]
    low, high = Tango(1, 0, 1).limits(0.05)
    assert low < 0 and high == 1.0


def test_equivalence_by_enumeration() -> None:
    """The chance of every table whose score is as high, at the most likely share there."""
    helped, hurt, n, margin = 2, 3, 30, 0.3
    observed, chance = score(helped, hurt, n, -margin), 0.0

    def unlikely(q: float) -> float:
        return -(
            helped * math.log(q)
            + hurt * math.log(q + margin)
            + (n - helped - hurt) * math.log(1 - 2 * q - margin)
        )

    q = minimize_scalar(unlikely, bounds=(1e-9, 0.35), method="bounded").x
    for up in range(n + 1):
        for down in range(n + 1 - up):
            if score(up, down, n, -margin) >= observed - 1e-4:
                ways = math.comb(n, up) * math.comb(n - up, down)
                rest = (1 - 2 * q - margin) ** (n - up - down)
                chance += ways * q**up * (q + margin) ** down * rest
    found = Tango(helped, hurt, n)
    normal = found.tails(-margin).at_most
    assert found.within(margin) == pytest.approx(max(chance, normal), rel=1e-3)


def test_equivalence_where_all_changes_go_one_way() -> None:
    # 2 of 200 lost and none gained, at the margin of 3 points: the sum of (200 choose k) .03^k
    # .97^(200 - k) over k to 2 is 0.0593, where the normal distribution says 0.048.
    found = Tango(0, 2, 200)
    exact = sum(math.comb(200, k) * 0.03**k * 0.97 ** (200 - k) for k in range(3))
    assert found.within(0.03) == pytest.approx(exact)
    assert found.tails(-0.03).at_most < 0.05 < exact
    assert Tango(2, 0, 200).within(0.03) == found.within(0.03)
