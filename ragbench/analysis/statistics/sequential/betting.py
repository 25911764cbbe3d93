"""Bets on a mean: e-values, and the confidence sequence of what they do not rule out.

A bet against the mean m multiplies its capital by ``1 + stake * weight * (x - m) / (m - low)`` for
each unit x, with a fixed stake between 0 and 1. If m is the mean, or larger than it, no strategy is
expected to gain, so that the capital ever reaches 1 / alpha with a probability of at most alpha
(Ville 1939), at whatever number of units one stops. A second bet is on a mean below m. Half of the
money is on each, spread over many stakes (hedged grid-Kelly: Waudby-Smith and Ramdas 2024, JRSS B
86:1): what both have at m is the e-value of m, and the values with less than 1 / alpha are the
confidence sequence.

The stake s on questions helped and hurt by two cells is the likelihood ratio of a share (1 + s) / 2
of the discordant questions helped, against one half. So the e-value of no difference is a
beta-binomial mixture, with a closed form (``e_value_of_pairs``). PRIOR is the parameter of its
symmetric beta distribution.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ragbench.analysis.statistics.inference import Bounds, Values
from ragbench.analysis.statistics.sequential.units import Units

PRIOR = 3  # docs/statistics.md compares it with others
STAKES = 100  # enough for the integral of 10,000 discordant questions
# Looks that fit into the processor's cache: SciPy's logsumexp takes many times longer.
BLOCK = 1000
NEAR = 1e-9  # as a share of the bounds


def e_value_of_pairs(helped: int, hurt: int, prior: float = PRIOR) -> float:
    """Return the e-value of helped and hurt being equally likely, valid at any look.

    The likelihood of the discordant questions, averaged over a symmetric beta distribution of the
    share helped, over that at one half.

    >>> round(e_value_of_pairs(10, 0, prior=1), 3)  # 2^10 / 11
    93.091
    """
    from scipy.special import betaln

    ways = betaln(prior + helped, prior + hurt) - betaln(prior, prior)
    return math.exp(min((helped + hurt) * math.log(2) + float(ways), 700.0))


@lru_cache(maxsize=8)
def stakes(prior: float = PRIOR) -> tuple[Values, Values]:
    """Return the stakes, (G,), and what share of the money is on each.

    They are the nodes and weights of Gauss and Legendre for a density of (1 - s^2)^(prior - 1),
    that of 2 p - 1 for p from a symmetric beta distribution and above one half.
    """
    nodes, lengths = np.polynomial.legendre.leggauss(STAKES)
    known = (nodes + 1) / 2
    money = lengths * (1 - known**2) ** (prior - 1)
    return known, money / money.sum()


def log_capitals(
    values: Values,
    weights: Values,
    counts: Values,
    mean: float,
    bounds: Bounds,
    prior: float = PRIOR,
) -> tuple[Values, Values]:
    """Return the logarithm of what bets on a larger, and on a smaller mean have, both (L,).

    Args:
        values: (D,) distinct values.
        weights: (D,) the weight of each.
        counts: (L, D) how often each came up to each look.
        mean: The mean that is bet against, between the bounds.
        bounds: Smallest and largest possible value.
        prior: How the money is spread over stakes (``stakes``).
    """
    stake, share = stakes(prior)
    away, (low, high) = weights * (values - mean), bounds
    larger, smaller = np.empty(len(counts)), np.empty(len(counts))
    for found, gains in ((larger, away / (mean - low)), (smaller, -away / (high - mean))):
        steps = np.log1p(np.outer(np.maximum(gains, -1.0), stake))
        for start in range(0, len(counts), BLOCK):
            logs = counts[start : start + BLOCK] @ steps
            top = logs.max(axis=1)
            logs -= top[:, None]
            np.exp(logs, out=logs)
            found[start : start + BLOCK] = top + np.log(logs @ share)
    return larger, smaller


def log_e_values(capitals: tuple[Values, Values]) -> Values:
    """Return the logarithm of the e-value of a mean, from what both bets against it have."""
    return np.asarray(np.logaddexp(*capitals) - math.log(2))


class Bets:
    """The bets on the mean of units, as of several looks.

    ``looks`` are numbers of units, in ascending order.
    """

    def __init__(self, units: Units, looks: Sequence[int]) -> None:
        self._units, self._looks = units, looks
        self._values, self._weights, index = kinds_of(units)
        counts = np.zeros((len(looks), self._values.size))
        start = 0
        for place, end in enumerate(looks):
            counts[place] = np.bincount(index[start:end], minlength=self._values.size)
            start = end
        self._counts = counts.cumsum(axis=0)

    @property
    def questions(self) -> Values:
        """(L,) number of questions at each look."""
        return np.concatenate([[0.0], self._units.sizes.cumsum()])[list(self._looks)]

    @property
    def estimates(self) -> Values:
        """(L,) estimate at each look; NaN without units."""
        return np.array([self._units.mean_of(n) for n in self._looks])

    def log_capitals(self, mean: float) -> tuple[Values, Values]:
        """Return ``log_capitals`` against a mean at each look, both (L,)."""
        return self._at(mean, slice(None))

    def _at(self, mean: float, looks: slice) -> tuple[Values, Values]:
        counts = self._counts[looks]
        return log_capitals(self._values, self._weights, counts, mean, self._units.bounds)

    def sequence(self, alpha: float, known: Bounds | None = None) -> tuple[Values, Values]:
        """Return the ends of the confidence sequence at each look, both (L,).

        ``known`` is the interval of the look before the first one.

        All of them hold the mean with a probability of at least 1 - alpha. Each is within the one
        before it. Where it would be empty, which has a probability of at most alpha, it is the
        point that both ends passed last.
        """

        def log_e_value(mean: float, look: int) -> float:
            return float(log_e_values(self._at(mean, slice(look, look + 1)))[0])

        return narrowed(log_e_value, self.estimates, self._units.bounds, alpha, known)


def kinds_of(units: Units) -> tuple[Values, Values, npt.NDArray[np.intp]]:
    """Return the distinct values with their weights, both (D,), and the kind of each unit (N,)."""
    kinds = np.column_stack([units.values.round(12), units.weights])
    distinct, index = np.unique(kinds, axis=0, return_inverse=True)
    return distinct[:, 0].copy(), distinct[:, 1].copy(), index.ravel()


def narrowed(
    log_e_value: Callable[[float, int], float],
    estimates: Values,
    bounds: Bounds,
    alpha: float,
    known: Bounds | None,
) -> tuple[Values, Values]:
    """Return the means that e-values at each look do not rule out, both ends (L,).

    Each interval is within the one before it.

    Args:
        log_e_value: The logarithm of the e-value of a mean at a look.
        estimates: (L,) estimates; NaN where there are no units.
        bounds: Smallest and largest possible mean.
        alpha: One less the coverage.
        known: The interval of the look before the first one.
    """
    bottom, top = bounds
    step = NEAR * (top - bottom)
    lows, highs = np.empty(estimates.size), np.empty(estimates.size)
    low, high = known or (bottom, top)
    for look, estimate in enumerate(estimates.tolist()):

        def excess(mean: float, look: int = look) -> float:
            return log_e_value(mean, look) + math.log(alpha)

        if not math.isnan(estimate):
            middle = min(max(estimate, bottom + step), top - step)
            before = low, high
            low = max(low, _end(excess, max(low, bottom + step), middle, low))
            high = min(high, _end(excess, min(high, top - step), middle, high))
            if low > high:
                low = high = before[0] if middle < before[0] else before[1]
        lows[look], highs[look] = low, high
    return lows, highs


def _end(excess: Callable[[float], float], end: float, middle: float, known: float) -> float:
    """Return where bets have enough between an end and the estimate; ``known`` if nowhere.

    What they have is least near the estimate, where it is at most one, and grows away from it (its
    logarithm is convex in the mean).
    """
    from scipy.optimize import brentq

    if excess(end) < 0:
        return known
    return float(brentq(excess, end, middle, xtol=1e-9))
