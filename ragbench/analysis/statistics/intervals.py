"""Intervals: Wilson's for a rate, the percentile bootstrap for a mean, with or without clusters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

TINY = 1e-12  # largest difference between equal values after rounding
FEW_CLUSTERS = 30  # below, the bootstrap over clusters is too narrow
Values = npt.NDArray[np.float64]
Clusters = npt.NDArray[np.int64]


def wilson(successes: int, n: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """Return Wilson's score interval of a rate, without continuity correction; ``n`` is positive.

    Source: Wilson 1927, JASA 22:209.

    >>> tuple(round(end, 4) for end in wilson(7, 10))
    (0.3968, 0.8922)
    """
    from scipy.stats import binomtest

    found = binomtest(successes, n).proportion_ci(confidence_level=1 - alpha, method="wilson")
    return float(found.low), float(found.high)


def bootstrap_mean(
    values: Values,
    draw: np.random.Generator,
    *,
    clusters: Clusters | None = None,
    resamples: int = 10_000,
    alpha: float = 0.05,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a mean of (N,) values, one per question.

    ``clusters`` (N,) are the questions' clusters, if any. Source: Efron and Tibshirani 1993,
    chapter 13.
    """
    return bootstrap_mean_of_means(
        [values], draw, clusters=[clusters], resamples=resamples, alpha=alpha
    )


def interval_of_mean(
    values: Values,
    draw: np.random.Generator,
    *,
    clusters: Clusters | None,
    resamples: int,
    alpha: float,
) -> tuple[float, float]:
    """Return Wilson's interval for unclustered values of 0 and 1, else a bootstrap interval."""
    if clusters is None and set(np.unique(values)) <= {0.0, 1.0}:
        return wilson(int(values.sum()), values.size, alpha=alpha)
    return bootstrap_mean(values, draw, clusters=clusters, resamples=resamples, alpha=alpha)


def bootstrap_mean_of_means(
    groups: Sequence[Values],
    draw: np.random.Generator,
    *,
    clusters: Sequence[Clusters | None] | None = None,
    resamples: int = 10_000,
    alpha: float = 0.05,
    reach: float = 1.0,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean of the groups' means.

    Whole clusters are drawn where a group has any. Where one of them has fewer than 30, the
    interval is instead the t-interval on the clusters' means (for clusters of unequal size, on
    the residuals of the ratio estimator), with the degrees of freedom of the smallest group.

    Where all values are equal, resampling would give an interval of no width. The ends are then
    ``reach`` times 1 - (alpha / 2)^(1/N) away, with N questions or clusters: if a smaller share of
    questions differed, these N would be equal with a probability of at least alpha / 2 (Clopper
    and Pearson 1934). ``reach`` is the largest distance between two values.

    Each group (N_g,) is resampled by itself and keeps its size; ``clusters`` has an array (N_g,)
    or None per group. The ends are NaN where a group is empty or has fewer than two clusters.
    """
    if not all(group.size for group in groups):
        return float("nan"), float("nan")
    units = list(clusters) if clusters is not None else [None] * len(groups)
    sizes = [np.unique(unit).size for unit in units if unit is not None]
    if all(np.ptp(group) < TINY for group in groups) and (not sizes or min(sizes) > 1):
        return _all_alike(groups, units, alpha, reach)
    if sizes and min(sizes) < FEW_CLUSTERS:
        return _t_interval(groups, units, min(sizes), alpha)
    means = np.zeros(resamples)
    for group, unit in zip(groups, units, strict=True):
        if unit is not None:
            sums, counts = by_cluster(group, unit)
            drawn = draw.multinomial(sums.size, np.full(sums.size, 1 / sums.size), size=resamples)
            means += (drawn @ sums) / (drawn @ counts)
            continue
        # A resample of a discrete variable is a multinomial draw over its distinct values.
        distinct, times = np.unique(group, return_counts=True)
        drawn = draw.multinomial(group.size, times / group.size, size=resamples)
        means += drawn @ distinct / group.size
    low, high = np.quantile(means / len(groups), [alpha / 2, 1 - alpha / 2])
    return float(low), float(high)


def _all_alike(
    groups: Sequence[Values], units: Sequence[Clusters | None], alpha: float, reach: float
) -> tuple[float, float]:
    mean = float(np.mean([group[0] for group in groups]))
    counts = [
        g.size if u is None else np.unique(u).size for g, u in zip(groups, units, strict=True)
    ]
    half = reach * float(np.mean([1 - (alpha / 2) ** (1 / count) for count in counts]))
    return mean - half, mean + half


def by_cluster(values: Values, clusters: Clusters) -> tuple[Values, Values]:
    """Return the sum and the size of each cluster, both (C,), clusters in ascending order."""
    _, index = np.unique(clusters, return_inverse=True)
    sums = np.bincount(index, weights=values).astype(np.float64)
    return sums, np.bincount(index).astype(np.float64)


def variance_of_mean(values: Values, clusters: Clusters | None = None) -> float:
    """Return the variance of the mean of (N,) values; NaN with fewer than two values or clusters.

    With clusters (N,) it is the variance of the ratio of the clusters' sums to their sizes (Cochran
    1977, 2.11), which is that of the mean of the clusters' means where all have one size.
    """
    if clusters is None:
        return float(values.var(ddof=1)) / values.size if values.size > 1 else float("nan")
    sums, counts = by_cluster(values, clusters)
    if sums.size < 2:
        return float("nan")
    residuals = sums - values.mean() * counts
    return float((residuals**2).sum() * sums.size / (sums.size - 1) / values.size**2)


def _t_interval(
    groups: Sequence[Values], units: Sequence[Clusters | None], fewest: int, alpha: float
) -> tuple[float, float]:
    from scipy.stats import t

    if fewest < 2:
        return float("nan"), float("nan")
    mean = float(np.mean([group.mean() for group in groups]))
    variance = sum(variance_of_mean(g, u) for g, u in zip(groups, units, strict=True))
    half = float(t.ppf(1 - alpha / 2, fewest - 1)) * variance**0.5 / len(groups)
    return mean - half, mean + half


def seeded(seed: int, *names: str) -> np.random.Generator:
    """Return the generator of one figure, seeded by the run's seed and the names of the figure."""
    return np.random.default_rng([seed, *"\x1f".join(names).encode("utf-8")])
