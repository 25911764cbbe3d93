"""Values that are all alike, against the exact interval of a share."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from ragbench.analysis.statistics.inference import Alike, Tails, inside, unusual


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_nothing_changed_has_the_exact_interval_of_a_share(alpha: float) -> None:
    theirs = binomtest(0, 40).proportion_ci(1 - alpha, method="exact").high
    assert Alike(0.0, 40, (-1.0, 1.0)).limits(alpha) == pytest.approx((-theirs, theirs))
    # All right: the share of wrong ones that could have been missed.
    assert Alike(1.0, 40, (0.0, 1.0)).limits(alpha) == pytest.approx((1 - theirs, 1.0))


def test_all_helped_is_as_likely_as_all_heads() -> None:
    # Without an effect, half of thirty would be helped and half hurt.
    assert Alike(1.0, 30, (-1.0, 1.0)).tails(0.0).both == pytest.approx(2 * 0.5**30)


def test_limits_have_their_level() -> None:
    found = Alike(0.2, 12, (-1.0, 1.0))
    low, high = found.limits(0.05)
    assert found.tails(low).at_most == pytest.approx(0.025)
    assert found.tails(high).at_least == pytest.approx(0.025)
    assert found.tails(0.2).both == 1.0


def test_unusual_values_and_what_is_possible() -> None:
    assert unusual(np.array([0.0, 1.0, 0.0, -1.0])).tolist() == [False, True, False, True]
    assert unusual(np.array([0.1, 0.2, 0.3])).all()
    assert inside(-1.4, 0.2, (-1.0, 1.0)) == (-1.0, 0.2)
    assert Tails(0.01, 0.99).both == 0.02
