"""The mean of several tasks' means, from the interval of each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ragbench.analysis.statistics.inference import Inference, Tails, inside

LEAST = 1e-12


class Average:
    """The mean of independent means, each task counting the same.

    The distances from the estimate to the ends of the tasks' intervals are added as squares (MOVER:
    Zou and Donner 2008, Statistics in Medicine 27:1693). Each task keeps the method and the degrees
    of freedom of its own, so that a task of ten questions may be averaged with one of a thousand.
    The p is the level at which the interval ends at the value.
    """

    def __init__(self, parts: Sequence[Inference]) -> None:
        self._parts = parts
        self.estimate = sum(part.estimate for part in parts) / len(parts)
        low, high = zip(*(part.bounds for part in parts), strict=True)
        self.bounds = sum(low) / len(parts), sum(high) / len(parts)

    @property
    def floor(self) -> float:
        """The smallest p that is looked for, or that the parts can give."""
        return max(LEAST, *(part.floor for part in self._parts))

    def limits(self, alpha: float) -> tuple[float, float]:
        """Return the ends of the interval at a level."""
        down = up = 0.0
        for part in self._parts:
            low, high = part.limits(alpha)
            down += (part.estimate - low) ** 2
            up += (high - part.estimate) ** 2
        n = len(self._parts)
        low, high = self.estimate - math.sqrt(down) / n, self.estimate + math.sqrt(up) / n
        return inside(low, high, self.bounds)

    def tails(self, value: float) -> Tails:
        """Return the p of a true mean of at most, and of at least, a value."""
        from scipy.optimize import brentq

        below = value <= self.estimate

        def beyond(log_alpha: float) -> float:
            low, high = self.limits(math.exp(log_alpha))
            return low - value if below else value - high

        least, most = math.log(self.floor), math.log(1 - LEAST)
        if beyond(least) >= 0:
            half = math.exp(least) / 2
        elif beyond(most) <= 0:  # a correction for skewness moves the middle of the interval
            half = 0.5
        else:
            half = math.exp(brentq(beyond, least, most, xtol=1e-6)) / 2
        return Tails(half, 1 - half) if below else Tails(1 - half, half)
