"""The mean of values that are not counts: Student's t with Hall's correction for skewness."""

from __future__ import annotations

import math

import numpy as np

from ragbench.analysis.statistics.inference import (
    TINY,
    Alike,
    Bounds,
    Inference,
    Tails,
    Values,
    inside,
    unusual,
)


def studentised(values: Values, *, bounds: Bounds) -> Inference | None:
    """Return what Student's t says of a mean; None with fewer than two values."""
    if values.size < 2:
        return None
    if np.ptp(values) < TINY:
        return Alike(float(values.mean()), values.size, bounds)
    return Studentised(values, bounds=bounds)


def with_two_more(residuals: Values) -> Values:
    """Return residuals with one more up and one more down, of the size of most of the variance."""
    far = math.sqrt(float((residuals**4).sum() / (residuals**2).sum()))
    return np.append(residuals, [far, -far])


class Studentised:
    """The mean of (N,) values by Hall's transformation of Student's t.

    Hall 1992 (JRSS B 54:221) removes the skewness of the t statistic by a cubic polynomial that can
    be inverted; it is the correction that a studentised bootstrap makes, without resampling.

    Two values are added, one up and one down by the size of those that make up the variance. For
    differences of 0 and 1 they are those of Bonett and Price 2012; without them, few changes among
    many ties would look certain. The degrees of freedom are one more than the number of values
    that differ from the most frequent one, for only they show the spread; ``changed`` says how many
    they are, where the values do not show it.
    """

    floor = 0.0

    def __init__(self, values: Values, *, bounds: Bounds, changed: int | None = None) -> None:
        self.estimate, self.bounds = float(values.mean()), bounds
        away = values - self.estimate
        residuals = with_two_more(away)
        n = residuals.size
        self._error = math.sqrt(float((residuals**2).sum()) / (n - 1) / n)
        self._skew = _skewness(away) / math.sqrt(n)
        changed = int(unusual(values).sum()) if changed is None else changed
        self._freedom = max(3, min(changed + 1, n - 1))

    def limits(self, alpha: float) -> tuple[float, float]:
        """Return the ends of the interval at a level."""
        from scipy.special import stdtrit

        quantile = float(stdtrit(self._freedom, 1 - alpha / 2))
        low, high = (self.estimate - self._error * self._back(q) for q in (quantile, -quantile))
        return inside(low, high, self.bounds)

    def tails(self, value: float) -> Tails:
        """Return the p of a true mean of at most, and of at least, a value."""
        from scipy.special import stdtr

        found = self._corrected((self.estimate - value) / self._error)
        return Tails(float(stdtr(self._freedom, -found)), float(stdtr(self._freedom, found)))

    def _corrected(self, t: float) -> float:
        a = self._skew
        return t + a * t**2 / 3 + a**2 * t**3 / 27 + a / 6

    def _back(self, corrected: float) -> float:
        return uncorrected(corrected, self._skew)


def uncorrected(value: float, skew: float) -> float:
    """Return the t statistic that Hall's correction makes a value of.

    ``skew`` is the skewness over the square root of the number of values.
    """
    if abs(skew) < 1e-9:
        return value
    return 3 * (float(np.cbrt(1 + skew * (value - skew / 6))) - 1) / skew


def _skewness(residuals: Values) -> float:
    """Return the unbiased skewness of residuals; 0 of fewer than three."""
    n = residuals.size
    if n < 3:
        return 0.0
    biased = float((residuals**3).mean() / (residuals**2).mean() ** 1.5)
    return biased * math.sqrt(n * (n - 1)) / (n - 2)
