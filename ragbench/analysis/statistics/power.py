"""The power of McNemar's exact test for a number of questions, before a run.

Two arms on the same n questions differ on some of them, the *discordant* share; of these more
turn one way than the other by the *difference* of the accuracies. The number of discordant
questions is binomial, and given it the test is the exact binomial one (Duffy 1984; Connor 1987).
"""

from __future__ import annotations

import math

import numpy as np

from ragbench.base.errors import UsageError

MOST = 10_000_000
STEADY = 30  # further n that must keep the power, which falls and rises with n in an exact test


def exact_power(n: int, difference: float, discordant: float, *, alpha: float = 0.05) -> float:
    """Return the probability that McNemar's exact test finds a difference of accuracies.

    ``discordant`` is the share of questions that are right in one arm only. A difference that is
    larger than it, or a value that is no share, is a UsageError.
    """
    from scipy.stats import binom

    _check(difference, discordant)
    if not discordant:
        return 0.0
    better = (discordant + difference) / (2 * discordant)
    low, high = (binom.ppf(end, n, discordant) for end in (1e-12, 1 - 1e-12))
    m = np.arange(max(0, int(low)), int(high) + 1)
    # The largest count c with 2 P(B <= c) <= alpha, B binomial with one half; -1 if none.
    c = binom.ppf(alpha / 2, m, 0.5)
    c = np.where(2 * binom.cdf(c, m, 0.5) <= alpha, c, c - 1)
    found = binom.cdf(c, m, better) + binom.sf(m - c - 1, m, better)
    return float(binom.pmf(m, n, discordant) @ np.where(c >= 0, found, 0.0))


def questions_needed(
    difference: float, discordant: float, *, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Return the smallest n that finds a difference with this power, and keeps it for the next 30.

    A UsageError as for ``exact_power``, or where no number under ten million is enough.
    """
    _check(difference, discordant)
    if difference <= 0:
        raise UsageError("a difference of zero is never found", fix="give one above 0")

    def enough(n: int) -> bool:
        return exact_power(n, difference, discordant, alpha=alpha) >= power

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


def smallest_difference(
    n: int, discordant: float, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Return the smallest difference, to four decimals, that n questions find with this power.

    It is NaN where even a difference as large as the discordant share is not found.
    """
    _check(0.0, discordant)
    if exact_power(n, discordant, discordant, alpha=alpha) < power:
        return math.nan
    low, high = 0.0, discordant
    while high - low > 5e-6:
        middle = (low + high) / 2
        found = exact_power(n, middle, discordant, alpha=alpha) >= power
        low, high = (low, middle) if found else (middle, high)
    return round(high, 4)


def _check(difference: float, discordant: float) -> None:
    if not 0 < discordant <= 1 or not 0 <= difference <= 1:
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
