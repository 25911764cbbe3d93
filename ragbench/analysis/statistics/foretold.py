"""What tests would find, by imagined runs: flips of whole clusters, Student's t of counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ragbench.analysis.statistics.clustered import by_cluster, ends_of_halves, stretched
from ragbench.analysis.statistics.inference import TINY, Clusters, Values

IMAGINED, OF = 120, 12_000  # runs, spread evenly over the means of so many
MOST_SIGNS = 8192
RUNS = 2000  # of counts


@dataclass(frozen=True, slots=True)
class Scatter:
    """How much clusters differ, whichever way.

    Attributes:
        sizes: Number of questions of each of the C clusters.
        scales: Standard deviation of each cluster's sum, by the analysis of variance.
        ratios: Observed size of each cluster's sum in standard deviations.
        odd: Number of clusters that hold an unusual value.
    """

    sizes: tuple[float, ...]
    scales: tuple[float, ...]
    ratios: tuple[float, ...]
    odd: int

    @classmethod
    def of(cls, sums: Values, values: Values, clusters: Clusters, odd: int) -> Scatter:
        """Return the scatter of residual sums (C,) of values (N,).

        A part of the variance is shared within clusters; in its estimate each cluster counts the
        same. The root of a variance of so few is too small, by the mean of a chi variable.
        """
        totals, sizes = by_cluster(values, clusters)
        means, count = totals / sizes, sizes.size
        within = float((values**2).sum() - (means**2 * sizes).sum()) / max(1, values.size - count)
        between = float(means.var(ddof=1)) - within * float((1 / sizes).mean())
        variances = sizes * within + sizes**2 * max(0.0, between)
        scales = np.sqrt(variances) if variances.min() > TINY else sizes
        freedom = count - 1
        chi = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2))
        ratios = np.abs(sums) / scales / (chi * math.sqrt(2 / freedom))
        return cls(tuple(sizes.tolist()), tuple(scales.tolist()), tuple(ratios.tolist()), odd)

    def distances(self, alpha: float) -> Values:
        """Return (K,) true effects that flipping clusters would just find, in K imagined runs.

        In each, the clusters change by as many standard deviations as some cluster did, for the
        better or the worse by chance. The share of the runs in which an effect is further from zero
        than this is the power of the test.
        """
        return _distances(self, alpha)


@lru_cache(maxsize=1024)  # of one effect, more than one figure is asked for
def _distances(scatter: Scatter, alpha: float) -> Values:
    sizes, draw = np.array(scatter.sizes), np.random.default_rng(IMAGINED)
    n, shape = sizes.sum(), (OF, sizes.size)
    changes = draw.choice(scatter.ratios, size=shape) * draw.choice([-1.0, 1.0], size=shape)
    sums = (changes * scatter.scales).T
    evenly = np.argsort(sums.sum(axis=0), kind="stable")[OF // IMAGINED // 2 :: OF // IMAGINED]
    sums = sums[:, evenly]
    means = sums.sum(axis=0) / n
    away = sums - means * sizes[:, None]
    far = np.sqrt((away**2).sum(axis=0) / scatter.odd)
    sums, longer = np.concatenate([sums, [far, -far]]), np.append(sizes, [0.0, 0.0])
    signs = _signs(longer.size, draw)
    total, one = signs @ sums, (signs @ longer)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.minimum(total / one, (means * n - total) / (n - one))
    empty = (np.minimum(one, n - one) < 0.5)[:, 0]
    low[empty] = ends_of_halves(sums, longer, signs[empty])[0]
    place = math.ceil(alpha * len(signs) - 1e-9) - 1
    low = np.partition(low, place, axis=0)[place]
    return np.asarray((means - low) * stretched(away, sizes, scatter.odd)[0] - means)


def _signs(count: int, draw: np.random.Generator) -> Values:
    """Return (S, count) signs as 0 and 1: one of each set and its opposite, or a sample."""
    if 2 ** (count - 1) <= MOST_SIGNS:
        every = np.arange(2 ** (count - 1))[:, None] >> np.arange(count)
        return (every & 1).astype(np.float64)
    return draw.integers(0, 2, size=(MOST_SIGNS, count)).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Counts:
    """Values that are counts of answers, such as those of an interaction.

    Attributes:
        units: Number of questions or clusters.
        weight: What a change by one in one of them adds to the effect, times their number.
        sizes: Sizes of the changes, above zero.
        shares: Shares of the units that change by so much, up or down.
    """

    units: int
    weight: float
    sizes: tuple[float, ...]
    shares: tuple[float, ...]

    @classmethod
    def of(cls, sums: Values, weight: float) -> Counts:
        """Return the counts of (N,) units, whichever way they changed."""
        sizes, times = np.unique(np.abs(sums).round(9), return_counts=True)
        shares = times[sizes > 0] / sums.size
        return cls(sums.size, weight, tuple(sizes[sizes > 0]), tuple(shares))

    @property
    def most(self) -> float:
        """The largest effect: all units change, for the better."""
        return self.weight * float(np.dot(self.sizes, self.shares) / sum(self.shares))

    def power(self, difference: float, alpha: float) -> float:
        """Return the probability that a true difference is found, to about a hundredth.

        A change by k tends k times to the better. Where all changes for the better are not enough,
        more units change.
        """
        return _found(self, difference, alpha)


@lru_cache(maxsize=4096)
def _found(counts: Counts, difference: float, alpha: float) -> float:
    from scipy.special import stdtrit

    sizes, shares = np.array(counts.sizes), np.array(counts.shares)
    wanted, most = difference / counts.weight, float(sizes @ shares)
    if wanted >= most:
        shares, tilt = shares * (wanted / most), np.ones(sizes.size)
        shares /= max(1.0, shares.sum())
    else:
        tilt = np.minimum(1.0, sizes * _tilt(sizes, shares, wanted))
    up, down = shares * (1 + tilt) / 2, shares * (1 - tilt) / 2
    chances = np.append(np.concatenate([up, down]), max(0.0, 1 - shares.sum()))
    draw = np.random.default_rng(RUNS)
    times = draw.multinomial(counts.units, chances, size=RUNS).astype(np.float64)
    values = np.concatenate([sizes, -sizes, [0.0]])
    # The test of ``studentised``, of all runs at once.
    n = counts.units
    mean, two, three, four = (times @ values[:, None] ** np.arange(1, 5)).T / n
    squares = n * (two - mean**2)
    cubes = n * (three - 3 * mean * two + 2 * mean**3)
    fourths = n * (four - 4 * mean * three + 6 * mean**2 * two - 3 * mean**4)
    varied = squares > 1e-9
    squares = np.where(varied, squares, 1.0)
    error = np.sqrt((squares + 2 * fourths / squares) / (n + 1) / (n + 2))
    skew = np.zeros_like(cubes)
    if n > 2:
        skew = cubes / n / (squares / n) ** 1.5 * math.sqrt(n * (n - 1)) / (n - 2)
        skew /= math.sqrt(n + 2)
    t = mean / np.where(varied, error, 1.0)
    t = t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / 6
    freedom, place = np.unique(n - times.max(axis=1), return_inverse=True)
    critical = stdtrit(np.clip(freedom + 1, 3, n + 1), 1 - alpha / 2)[place]
    return float(np.where(varied, t > critical, mean > 0).mean())


def _tilt(sizes: Values, shares: Values, wanted: float) -> float:
    """Return what the tendency per size must be for a mean that is wanted."""
    from scipy.optimize import brentq

    def short(tilt: float) -> float:
        return float(sizes * shares @ np.minimum(1.0, sizes * tilt)) - wanted

    tilt = wanted / float(sizes**2 @ shares)
    if tilt * sizes.max() <= 1:
        return tilt
    return float(brentq(short, 0.0, 1 / sizes.min()))
