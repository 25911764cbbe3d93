"""Two cells of right and wrong answers to the same questions: McNemar's test, Tango's interval."""

from __future__ import annotations

import math

from ragbench.analysis.statistics.inference import Tails


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
        # The restricted estimate of the share hurt is the larger root of 2n q^2 + b q + c.
        b = -helped - hurt + (2 * n - helped + hurt) * value
        c = -hurt * value * (1 - value)
        q = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
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
