"""How likely a test is to find a difference: before a run, and by the spread that a run observed.

Two arms on the same n questions differ on some of them, the *discordant* share; of these more
turn one way than the other by the *difference* of the accuracies. The number of discordant
questions is binomial, and given it the test is a binomial one (Duffy 1984; Connor 1987).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ragbench.analysis.statistics.foretold import Counts, Scatter
from ragbench.base.errors import UsageError

MOST = 10_000_000
STEADY = 30  # further n that must keep the power, which falls and rises with n in a discrete test


def mid_p_power(n: int, difference: float, discordant: float, *, alpha: float = 0.05) -> float:
    """Return the probability that McNemar's mid-p test finds a difference of accuracies.

    ``discordant`` is the share of questions that are right in one arm only. A difference that is
    larger than it, or a value that is no share, is a UsageError.
    """
    _check(difference, discordant)
    if not discordant:
        return 0.0
    return _Test(n, discordant, alpha).power(difference)


class _Test:
    """McNemar's mid-p test on n questions of which a share is discordant."""

    def __init__(self, n: int, discordant: float, alpha: float) -> None:
        from scipy.special import gammaln, xlog1py, xlogy

        self._discordant = discordant
        # Bernstein's inequality: fewer than 1 in 10^12 samples are further away than this.
        far = 8 * math.sqrt(n * discordant * (1 - discordant)) + 20
        low, high = max(0.0, n * discordant - far), min(n, n * discordant + far)
        m = self._m = np.arange(int(low), int(high) + 1)
        ways = gammaln(n + 1) - gammaln(m + 1) - gammaln(n - m + 1)
        self._chance = np.exp(ways + xlogy(m, discordant) + xlog1py(n - m, -discordant))
        self._most = _critical(alpha, 1 << int(m[-1]).bit_length())[m]

    def power(self, difference: float) -> float:
        from scipy.special import bdtr, bdtrc

        m, c = self._m, self._most
        better = (self._discordant + difference) / (2 * self._discordant)
        found = bdtr(c, m, better) + bdtrc(m - c - 1, m, better)
        return float(self._chance @ np.where(c >= 0, found, 0.0))


@lru_cache(maxsize=64)
def _critical(alpha: float, end: int) -> npt.NDArray[np.float64]:
    """Return, for m discordant pairs under ``end``, the largest count with a mid-p under alpha.

    It is -1 where there is none.
    """
    from scipy.special import bdtr
    from scipy.stats import binom

    m = np.arange(end)
    c = binom.ppf(alpha / 2, m, 0.5) + 1
    for _ in range(3):
        mid_p = bdtr(c, m, 0.5) + np.where(c > 0, bdtr(c - 1, m, 0.5), 0.0)
        c = np.where((c >= 0) & ~(mid_p < alpha), c - 1, c)  # NaN where c is over m
    return np.asarray(c, dtype=np.float64)


def questions_needed(
    difference: float, discordant: float, *, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Return the smallest n that finds a difference with this power, and keeps it for the next 30.

    A UsageError as for ``mid_p_power``, or where no number under ten million is enough.
    """
    _check(difference, discordant)
    if difference <= 0:
        raise UsageError("a difference of zero is never found", fix="give one above 0")

    def enough(n: int) -> bool:
        return mid_p_power(n, difference, discordant, alpha=alpha) >= power

    high = 8
    while not enough(high):
        high *= 2
        if high > MOST:
            raise UsageError("no number of questions under ten million is enough")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    while not all(enough(high + step) for step in range(STEADY)):
        high += 1
    return high


@lru_cache(maxsize=4096)  # many effects of a run have the same counts
def smallest_difference(
    n: int, discordant: float, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Return the smallest difference, to four decimals, that n questions find with this power.

    Where even a difference as large as the discordant share is not found, more questions must
    change than ``discordant`` says: then all that change do so in one direction. The result is NaN
    where no difference at all is found.
    """
    _check(0.0, discordant)
    if discordant > 0:
        test = _Test(n, discordant, alpha)
        if test.power(discordant) >= power:
            return round(_smallest(lambda d: test.power(d) >= power, 0.0, discordant), 4)
    if mid_p_power(n, 1.0, 1.0, alpha=alpha) < power:
        return math.nan
    alone = _smallest(lambda d: mid_p_power(n, d, d, alpha=alpha) >= power, discordant, 1.0)
    return round(alone, 4)


def _smallest(
    enough: Callable[[float], bool], low: float, high: float, step: float = 5e-6
) -> float:
    while high - low > step:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


@dataclass(frozen=True, slots=True)
class Spread:
    """How much the questions of an effect change, which decides what its test can find.

    Attributes:
        n: Number of questions.
        reach: The largest possible effect.
        discordant: Share of questions with a change, where McNemar's test is used; else None.
        variance: Variance of the estimate without an effect.
        shrinks: What the variance is smaller by, per squared effect.
        inflated: The variance that the test assumes, as a multiple.
        freedom: Degrees of freedom of the test.
        scatter: How much clusters differ, where whole clusters are flipped; None otherwise.
        counts: The changes, where they are counts of answers; None otherwise.
    """

    n: int
    reach: float
    discordant: float | None = None
    variance: float = math.nan
    shrinks: float = 0.0
    inflated: float = 1.0
    freedom: float = math.nan
    scatter: Scatter | None = None
    counts: Counts | None = None

    def power(self, difference: float, alpha: float) -> float:
        """Return the probability that the test of the effect finds a true difference."""
        from scipy.special import nctdtr, stdtrit

        if self.discordant is not None:
            return mid_p_power(self.n, difference, max(self.discordant, difference), alpha=alpha)
        if self.scatter is not None:
            return float((self.scatter.distances(alpha) < difference).mean())
        if self.counts is not None:
            return self.counts.power(difference, alpha)
        variance = self.variance - self.shrinks * difference**2
        if not variance > 0:
            return float(self.variance > 0)
        critical = float(stdtrit(self.freedom, 1 - alpha / 2))
        critical *= math.sqrt(self.inflated)
        missed = float(nctdtr(self.freedom, difference / math.sqrt(variance), critical))
        return 1.0 if math.isnan(missed) else 1 - missed  # SciPy has no figure for almost none

    def smallest(self, alpha: float, power: float = 0.8) -> float:
        """Return the smallest true difference that is found with this power; NaN if none is."""
        if self.discordant is not None:
            return smallest_difference(self.n, self.discordant, alpha=alpha, power=power)
        if self.scatter is not None:
            distances = self.scatter.distances(alpha)
            finite = np.where(np.isfinite(distances), distances, MOST)
            found = float(np.quantile(finite, power))
            return found if found <= self.reach else math.nan
        if not self.variance > 0:
            return math.nan
        error = math.sqrt(self.variance)
        most = min(self.reach, 100 * error if self.counts is None else self.counts.most)
        if not self.power(most, alpha) >= power:
            return math.nan
        low, high = 0.0, min(most, 2 * error)
        while self.power(high, alpha) < power:
            low, high = high, min(most, 1.25 * high)
        step = 5e-6 if self.counts is None else error / 100
        return _smallest(lambda d: self.power(d, alpha) >= power, low, high, step)

    def questions(self, difference: float, alpha: float, power: float = 0.8) -> int:
        """Return how many questions of the same kind find a difference with this power.

        A UsageError where no number under ten million is enough, or nothing changed at all.
        """
        if self.discordant is not None:
            share = max(self.discordant, difference)
            return questions_needed(difference, share, alpha=alpha, power=power)

        def enough(times: float) -> bool:
            more = replace(
                self,
                variance=self.variance / times,
                shrinks=self.shrinks / times,
                inflated=1 + (self.inflated - 1) / times,
                freedom=max(1.0, (self.freedom + 1) * times - 1),
                scatter=None,
                counts=self.counts and replace(self.counts, units=round(self.counts.units * times)),
            )
            return more.power(difference, alpha) >= power

        high = 1.0
        while not enough(high):
            high *= 2
            if high * self.n > MOST:
                raise UsageError("no number of questions under ten million is enough")
        low = 1 / self.n
        least = 0.0 if self.counts is None else 0.005  # no more is known by imagined runs
        while high - low > max(0.1 / self.n, least * high):
            middle = (low + high) / 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        return math.ceil(self.n * high)


def _check(difference: float, discordant: float) -> None:
    if not 0 <= discordant <= 1 or not 0 <= difference <= 1:
        raise UsageError(
            "the difference and the discordant share must be between 0 and 1",
            fix="write 5 points as 0.05",
        )
    if difference > discordant:
        raise UsageError(
            f"the accuracies cannot differ by {difference:g} if only {discordant:g} of the "
            "questions change",
            fix="give a discordant share that is at least the difference",
        )
