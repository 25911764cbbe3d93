"""Means of questions in clusters: their variance, and tests that flip whole clusters."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ragbench.analysis.statistics.inference import (
    TINY,
    Alike,
    Bounds,
    Clusters,
    Inference,
    Tails,
    Values,
    inside,
    unusual,
)
from ragbench.analysis.statistics.studentised import Studentised

FEWEST_CLUSTERS = 8  # of fewer, one cluster decides, and no method covers what it promises
MANY_CLUSTERS = 30  # so many of equal size, and Student's t is close enough
SIGNS_AT_ONCE = 4_000_000


def by_cluster(values: Values, clusters: Clusters) -> tuple[Values, Values]:
    """Return the sum and the size of each cluster, both (C,), clusters in ascending order."""
    _, index = np.unique(clusters, return_inverse=True)
    sums = np.bincount(index, weights=values).astype(np.float64)
    return sums, np.bincount(index).astype(np.float64)


def variance_of_mean(values: Values, clusters: Clusters | None = None) -> float:
    """Return the variance of the mean of (N,) values; NaN with fewer than two values or clusters.

    With clusters (N,) it is the bias-reduced CR2 of Bell and McCaffrey 2002 (Survey Methodology
    28:169) for a mean: the squared sum of a cluster's residuals is divided by one less the
    cluster's share of the questions.
    """
    codes = np.arange(values.size, dtype=np.int64) if clusters is None else clusters
    sums, sizes = by_cluster(values, codes)
    if sums.size < 2:
        return math.nan
    residuals = sums - values.mean() * sizes
    return float((residuals**2 / (1 - sizes / values.size)).sum() / values.size**2)


def effective(sizes: Values) -> float:
    """Return how many clusters of one size say as much as these (Kish 1965)."""
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def by_clusters(
    values: Values,
    clusters: Clusters,
    *,
    bounds: Bounds,
    draw: np.random.Generator,
    draws: int,
) -> Inference | None:
    """Return what clusters say of a mean; None with fewer than eight clusters.

    Where they say as much as thirty clusters of one size, the method is Student's t with Hall's
    correction on what each cluster adds to the mean; else whole clusters are flipped.
    """
    sums, sizes = by_cluster(values, clusters)
    if sums.size < FEWEST_CLUSTERS:
        return None
    mean = float(values.mean())
    residuals = sums - mean * sizes
    if np.abs(residuals).max() < TINY:  # also where changes cancel out within every cluster
        return Alike(mean, sums.size, bounds)
    if effective(sizes) < MANY_CLUSTERS:
        return Flips(values, clusters, bounds=bounds, draw=draw, draws=draws)
    added = mean + residuals * sums.size / values.size
    changed = np.unique(clusters[unusual(values)]).size
    return Studentised(added, bounds=bounds, changed=changed)


class Flips:
    """The mean of (N,) values in clusters (N,), by flipping the signs of whole clusters.

    A true mean is rejected where the sum of the values less it is further from zero than under
    random signs. This is so where both random halves of the clusters have means on one side of it,
    so that the limits are quantiles of the means of halves (Hartigan 1969, JASA 64:1303). The
    method is exact for clusters that are symmetric, whatever their sizes.

    Two clusters without questions, one up and one down, as far as those clusters that hold an
    unusual value, keep a few changes from looking certain. Where the clusters have a long tail to
    one side, the limit of that side is further away (``stretched``). All signs are tried where
    there are no more than ``draws``.
    """

    def __init__(
        self,
        values: Values,
        clusters: Clusters,
        *,
        bounds: Bounds,
        draw: np.random.Generator,
        draws: int,
    ) -> None:
        sums, sizes = by_cluster(values, clusters)
        self.estimate, self.bounds = float(values.mean()), bounds
        residuals = sums - self.estimate * sizes
        odd = np.unique(clusters[unusual(values)]).size
        far = math.sqrt(float((residuals**2).sum()) / odd)
        down, up = stretched(residuals, sizes, odd)
        self._down, self._up = float(down), float(up)
        sums, sizes = np.append(sums, [far, -far]), np.append(sizes, [0.0, 0.0])
        if 2**sums.size <= draws:
            self._observed = 0  # is among the signs
            signs = (np.arange(2**sums.size)[:, None] >> np.arange(sums.size)) & 1
        else:
            self._observed = 1  # counts as one more draw (Phipson and Smyth 2010)
            signs = draw.integers(0, 2, size=(draws, sums.size), dtype=np.int8)
        self._low, self._high = _halves(sums, sizes, signs)
        self._draws = self._observed + self._low.size

    @property
    def floor(self) -> float:
        """The smallest p that random signs can give; 0 where all signs are tried."""
        return self._observed / self._draws

    def limits(self, alpha: float) -> tuple[float, float]:
        """Return the ends of the interval at a level."""
        # The first end whose p is no longer under alpha.
        place = math.ceil(alpha * self._draws - 1e-9) - self._observed - 1
        if place < 0:
            return self.bounds
        low = self.estimate - (self.estimate - self._low[place]) * self._down
        high = self.estimate + (self._high[-1 - place] - self.estimate) * self._up
        return inside(low, high, self.bounds)

    def tails(self, value: float) -> Tails:
        """Return the p of a true mean of at most, and of at least, a value."""
        if value <= self.estimate:
            place = self.estimate - (self.estimate - value) / self._down
            reached = int(np.searchsorted(self._low, place + TINY, side="right"))
        else:
            place = self.estimate + (value - self.estimate) / self._up
            reached = self._low.size - int(np.searchsorted(self._high, place - TINY))
        half = min(0.5, (self._observed + reached) / self._draws / 2)
        return Tails(half, 1 - half) if value <= self.estimate else Tails(1 - half, half)


def stretched(residuals: Values, sizes: Values, odd: int) -> tuple[Values, Values]:
    """Return how many times further than by flips the lower and the upper limit are, at least 1.

    Flips take clusters to be symmetric. Where these have a long tail up, few of them may have seen
    it, and the mean is then too low and seems certain. Johnson 1978 (JASA 73:536) corrects t by
    the skewness of the sum, a: at the quantile 2 by 0.75 a in proportion. Half of the skewness,
    to the side of the tail only, is enough in every simulated design. Where few clusters hold most
    of the questions, residuals show the sizes more than a tail, and count by the effective share.

    Args:
        residuals: (C, ...) sums of clusters less their share of the mean.
        sizes: (C,) numbers of questions.
        odd: Number of clusters that hold an unusual value.
    """
    squares = (residuals**2).sum(axis=0) * (1 + 2 / odd)  # with the two clusters that are added
    skewness = (residuals**3).sum(axis=0) / np.maximum(squares, TINY**2) ** 1.5
    part = effective(sizes) / sizes.size / 2
    return 1 + part * np.maximum(0.0, -skewness), 1 + part * np.maximum(0.0, skewness)


def sign_flip(
    groups: Sequence[Values],
    draw: np.random.Generator,
    *,
    clusters: Sequence[Clusters | None] | None = None,
    draws: int = 10_000,
) -> float:
    """Return the two-sided p that the differences are symmetric about zero.

    Each question's difference is given a random sign, all of a cluster the same; p is the share
    of draws whose statistic (the mean of the groups' means) is at least as far from zero as the
    observed one, the observed one counted in (Phipson and Smyth 2010).

    Args:
        groups: Arrays (N_g,) of paired differences.
        draw: Seeded generator.
        clusters: Clusters (N_g,) of each group, or None.
        draws: Number of sets of signs.

    Returns:
        The p value; 1 where no question differs.
    """
    observed = abs(sum(float(group.mean()) for group in groups))
    flipped = np.zeros(draws)
    units = clusters if clusters is not None else [None] * len(groups)
    for values, unit in zip(groups, units, strict=True):
        group = values if unit is None else by_cluster(values, unit)[0]
        # Flipping n differences of one size gives that size times (2 Binomial(n, 1/2) - n).
        sizes, counts = np.unique(np.abs(group), return_counts=True)
        sizes, counts = sizes[sizes > 0] / values.size, counts[sizes > 0]
        for size, count in zip(sizes[counts > 1], counts[counts > 1], strict=True):
            flipped += size * (2.0 * draw.binomial(count, 0.5, size=draws) - count)
        flipped += _signed_sums(sizes[counts == 1], draw, draws)
    reached = int((np.abs(flipped) >= observed - 1e-12).sum())
    return (1 + reached) / (1 + draws)


def _signed_sums(sizes: Values, draw: np.random.Generator, draws: int) -> Values:
    """Return (draws,) sums of the sizes under random signs, a block of draws at a time."""
    sums = np.zeros(draws)
    if not sizes.size:
        return sums
    block = max(1, SIGNS_AT_ONCE // sizes.size)
    for start in range(0, draws, block):
        rows = min(block, draws - start)
        plus = draw.integers(0, 2, size=(rows, sizes.size), dtype=np.int8)
        sums[start : start + rows] = plus @ (2 * sizes)
    return np.asarray(sums - sizes.sum())


def _halves(sums: Values, sizes: Values, signs: npt.NDArray[np.integer]) -> tuple[Values, Values]:
    """Return the smaller and the larger means (R,) of both halves under (R, C) signs, sorted."""
    low, high = [], []
    block = max(1, SIGNS_AT_ONCE // sums.size)
    for start in range(0, len(signs), block):
        ends = ends_of_halves(sums, sizes, signs[start : start + block].astype(np.float64))
        low.append(ends[0])
        high.append(ends[1])
    return np.sort(np.concatenate(low).round(12)), np.sort(np.concatenate(high).round(12))


def ends_of_halves(sums: Values, sizes: Values, chosen: Values) -> tuple[Values, Values]:
    """Return the smaller and the larger means (R, ...) of both halves of sums (C, ...)."""
    one, n_one = chosen @ sums, chosen @ sizes
    n_one = n_one.reshape(n_one.shape + (1,) * (sums.ndim - 1))
    parts = ((one, n_one), (sums.sum(axis=0) - one, sizes.sum() - n_one))
    # A half without questions is beyond every value, or straddles all of them if it is empty.
    means = [
        np.where(n > 0.5, total / np.maximum(n, 1), np.copysign(np.inf, total))
        for total, n in parts
    ]
    empty = np.any([(n < 0.5) & (np.abs(total) < TINY) for total, n in parts], axis=0)
    return (
        np.where(empty, -np.inf, np.minimum(*means)),
        np.where(empty, np.inf, np.maximum(*means)),
    )
