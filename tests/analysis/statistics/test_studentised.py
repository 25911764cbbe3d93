"""Student's t with Hall's correction, against SciPy and by its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import skew, t, ttest_1samp

from ragbench.analysis.statistics.inference import Alike
from ragbench.analysis.statistics.studentised import studentised

BOUNDS = (-10.0, 10.0)


def with_two_more(values: np.ndarray) -> np.ndarray:
    """Return the values with one more up and one more down, as the definition has it."""
    away = values - values.mean()
    far = math.sqrt((away**4).sum() / (away**2).sum())
    return np.append(values, [values.mean() + far, values.mean() - far])


def test_symmetric_values_have_students_interval() -> None:
    values = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    theirs = ttest_1samp(with_two_more(values), 0.5)
    found = studentised(values, bounds=BOUNDS)
    assert found is not None
    assert found.limits(0.05) == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert found.tails(0.5).both == pytest.approx(theirs.pvalue)


def test_skewed_values_by_halls_polynomial() -> None:
    values = np.random.default_rng(3).exponential(1.0, size=40)
    longer = with_two_more(values)
    n, error = longer.size, longer.std(ddof=1) / math.sqrt(longer.size)
    a = float(skew(values, bias=False)) / math.sqrt(n)

    def hall(mean: float) -> float:
        z = float(values.mean() - mean) / error
        return float(z + a * z**2 / 3 + a**2 * z**3 / 27 + a / 6)

    quantile = t.ppf(0.975, n - 1)
    found = studentised(values, bounds=BOUNDS)
    assert found is not None
    low, high = found.limits(0.05)
    assert low == pytest.approx(brentq(lambda m: hall(m) - quantile, -5, 5))
    assert high == pytest.approx(brentq(lambda m: hall(m) + quantile, -5, 5))
    # The long tail is where the mean may be further away.
    assert high - values.mean() > values.mean() - low
    assert found.tails(low).at_most == pytest.approx(0.025)
    assert found.tails(high).at_least == pytest.approx(0.025)


def test_ties_cost_degrees_of_freedom() -> None:
    # Six of forty differ from the others: seven degrees of freedom, and two questions more.
    values = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0] + [0.0] * 34)
    # Changes of 1 about a mean of 0: one more up, one more down (Bonett and Price 2012).
    error = math.sqrt(8 / 41 / 42)
    half = t.ppf(0.975, 7) * error
    found = studentised(values, bounds=BOUNDS)
    assert found is not None
    assert found.limits(0.05) == pytest.approx((-half, half))


def test_what_has_no_interval_and_what_is_possible() -> None:
    assert studentised(np.array([0.4]), bounds=BOUNDS) is None
    assert isinstance(studentised(np.full(5, 0.4), bounds=BOUNDS), Alike)
    found = studentised(np.array([1.0, 0.9]), bounds=(0.0, 1.0))
    assert found is not None
    low, high = found.limits(0.05)
    assert 0.0 <= low <= 0.95 <= high == 1.0
