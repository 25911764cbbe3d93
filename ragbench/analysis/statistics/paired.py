"""Two cells of right and wrong answers to the same questions: McNemar's test, Tango's interval."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

from ragbench.analysis.statistics.inference import Tails, Values

Count = TypeVar("Count", float, Values)


def mcnemar_exact(helped: int, hurt: int) -> float:
    """Return the exact two-sided p that helped and hurt are equally likely.

    Twice the smaller binomial tail at one half, at most 1; with no discordant pair, 1.
    Source: McNemar 1947, in its exact conditional form.

    >>> mcnemar_exact(8, 1)
    0.0390625
    """
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(helped, hurt), helped + hurt, 0.5)))


def mcnemar_mid_p(helped: int, hurt: int) -> float:
    """Return the mid-p of McNemar's test: the exact p less half of that of the observed table.

    The exact test is far below its level with few discordant pairs; the mid-p is close to it, and
    was never above it by more than a hundredth of it in any design of Fagerland, Lydersen and Laake
    2013 (BMC Medical Research Methodology 13:91).

    >>> mcnemar_mid_p(8, 1)
    0.021484375
    """
    from scipy.special import bdtr

    n, fewer = helped + hurt, min(helped, hurt)
    if helped == hurt:
        return 1.0
    beyond = bdtr(fewer - 1, n, 0.5) if fewer else 0.0
    return float(bdtr(fewer, n, 0.5) + beyond)


class Tango:
    """The difference of two paired rates by Tango's score method.

    Tango 1998 (Statistics in Medicine 17:891): the difference is compared with its standard error
    under the restricted maximum-likelihood estimate of the discordant share. At no difference this
    is McNemar's asymptotic test. ``n`` questions, of which the second cell has ``helped`` and
    ``hurt``.

    >>> [round(end, 3) for end in Tango(1, 7, 21).limits(0.05)]
    [-0.517, -0.026]
    """

    floor = 0.0
    bounds = (-1.0, 1.0)

    def __init__(self, helped: int, hurt: int, n: int) -> None:
        self._helped, self._hurt, self._n = helped, hurt, n
        self.estimate = (helped - hurt) / n

    def _score(self, value: float) -> float:
        """Return the score statistic: standard errors from a true difference to the estimate."""
        helped, hurt, n = self._helped, self._hurt, self._n
        away = helped - hurt - n * value
        if abs(away) < 1e-12:
            return 0.0
        q = float(_most_likely(helped, hurt, n, value))
        variance = n * (2 * q + value * (1 - value))
        return away / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, away)

    def limits(self, alpha: float) -> tuple[float, float]:
        """Return the ends of the interval at a level."""
        from scipy.optimize import brentq
        from scipy.special import ndtri

        quantile = float(ndtri(1 - alpha / 2))
        ends = []
        for side, wanted in ((-1.0, quantile), (1.0, -quantile)):
            end = side * (1 - 1e-9)  # the score is infinite at the end itself

            def beyond(value: float, wanted: float = wanted) -> float:
                return self._score(value) - wanted

            # The score falls with the value, and is zero at the estimate.
            at_end = self.estimate * side > abs(end) or beyond(end) * wanted <= 0
            found = side if at_end else brentq(beyond, end, self.estimate, xtol=1e-10)
            ends.append(float(found))
        return ends[0], ends[1]

    def tails(self, value: float) -> Tails:
        """Return the p of a true difference of at most, and of at least, a value."""
        score = self._score(value)
        return Tails(math.erfc(score / math.sqrt(2)) / 2, math.erfc(-score / math.sqrt(2)) / 2)

    def within(self, margin: float) -> float:
        """Return the p of a true difference of at least the margin, one way or the other.

        The score is compared with its distribution over all tables at the margin and the most
        likely discordant share there (the estimated p of Lloyd 2008, Australian and New Zealand
        Journal of Statistics 50:329), and with the normal one; the larger p holds. The normal one
        alone calls too much equivalent where a handful of changes decides.
        """
        normal = max(self.tails(-margin).at_most, self.tails(margin).at_least)
        swapped = Tango(self._hurt, self._helped, self._n)
        return max(normal, self._exceeded(-margin), swapped._exceeded(-margin))

    def _exceeded(self, value: float) -> float:
        """Return the chance of a score as high as this at a true difference."""
        from scipy.special import bdtr
        from scipy.stats import binom

        if not -1 < value < 1:
            return float(value >= 1)
        n, least = self._n, self._score(value) - 1e-9
        hurt = max(0.0, -value, float(_most_likely(self._helped, self._hurt, n, value)))
        helped = max(0.0, hurt + value)
        far = 8 * math.sqrt(n * helped * (1 - helped)) + 20
        low, high = max(0.0, n * helped - far), min(n, n * helped + far)
        counts = np.arange(int(low), int(high) + 1, dtype=np.float64)
        # The score falls with the number hurt: the largest one, by bisection for all at once.
        most, over = np.full(counts.size, -1.0), n - counts + 1
        while (over - most > 1).any():
            middle = (most + over) // 2  # whole numbers
            reached = _scores(counts, middle, n, value) >= least
            most, over = np.where(reached, middle, most), np.where(reached, over, middle)
        of_others = min(1.0, hurt / (1 - helped)) if helped < 1 else 0.0
        others = (n - counts).astype(np.int64)
        tail = np.where(most >= 0, bdtr(np.maximum(most, 0), others, of_others), 0.0)
        return min(1.0, float(binom.pmf(counts, n, helped) @ tail))


def _most_likely(helped: Count, hurt: Count, n: int, value: float) -> Count:
    """Return the most likely share hurt at a true difference: a root of 2n q^2 + b q + c."""
    b = -helped - hurt + (2 * n - helped + hurt) * value
    c = -hurt * value * (1 - value)
    root: Count = abs(b * b - 8 * n * c) ** 0.5
    return (root - b) / (4 * n)


def _scores(helped: Values, hurt: Values, n: int, value: float) -> Values:
    """Return Tango's score of many tables at a true difference."""
    away = helped - hurt - n * value
    away[np.abs(away) < 1e-12] = 0.0
    variance = n * (2 * _most_likely(helped, hurt, n, value) + value * (1 - value))
    return away / np.sqrt(np.maximum(variance, 1e-300))
