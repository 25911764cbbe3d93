"""What every method answers about a mean: its limits at a level, and its p against a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

TINY = 1e-12  # largest difference between equal values after rounding
Values = npt.NDArray[np.float64]
Clusters = npt.NDArray[np.int64]
Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Tails:
    """One-sided p values: of a true mean of at most, and of at least, some value."""

    at_most: float
    at_least: float

    @property
    def both(self) -> float:
        """The two-sided p."""
        return min(1.0, 2 * min(self.at_most, self.at_least))


class Inference(Protocol):
    """A method on one set of data.

    Attributes:
        estimate: The mean.
        bounds: The smallest and the largest possible mean.
    """

    estimate: float
    bounds: Bounds

    @property
    def floor(self) -> float:
        """The smallest p that the method can give."""
        ...

    def limits(self, alpha: float) -> tuple[float, float]:
        """Return the ends of the interval that covers 1 - alpha; they are possible values."""
        ...

    def tails(self, value: float) -> Tails:
        """Return the p values against a value; the limits at a level have that p."""
        ...


def inside(low: float, high: float, bounds: Bounds) -> tuple[float, float]:
    """Return the ends of an interval, kept to what is possible."""
    return max(float(low), bounds[0]), min(float(high), bounds[1])


def unusual(values: Values) -> npt.NDArray[np.bool_]:
    """Return which of (N,) values differ from the most frequent one; all, where all differ."""
    _, index, times = np.unique(values.round(12), return_inverse=True, return_counts=True)
    if times.max() == 1 and values.size > 1:
        return np.ones(values.size, dtype=bool)
    return np.asarray(index != int(np.argmax(times)))


class Alike:
    """The mean of N units that all have the same value.

    If a share of all units were at one of the ``bounds`` instead, none of them would be seen with
    the probability (1 - share)^N: the exact interval of Clopper and Pearson 1934 for no event.
    """

    floor = 0.0

    def __init__(self, estimate: float, n: int, bounds: Bounds) -> None:
        self.estimate, self.bounds, self._n = estimate, bounds, n

    def limits(self, alpha: float) -> tuple[float, float]:
        """Return the ends of the interval at a level."""
        share = 1 - (alpha / 2) ** (1 / self._n)
        low, high = (self.estimate + share * (end - self.estimate) for end in self.bounds)
        return low, high

    def tails(self, value: float) -> Tails:
        """Return the p of a true mean of at most, and of at least, a value."""
        below = value <= self.estimate
        away = self.bounds[0 if below else 1] - self.estimate
        share = min(1.0, (value - self.estimate) / away) if away else float(value != self.estimate)
        p = min(0.5, (1 - share) ** self._n)
        return Tails(p, 1 - p) if below else Tails(1 - p, p)
