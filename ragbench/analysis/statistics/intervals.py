"""Intervals of one mean: of a rate, of a metric from 0 to 1, of anything else."""

from __future__ import annotations

import math

import numpy as np

from ragbench.analysis.statistics.clustered import (
    FEWEST_CLUSTERS,
    by_cluster,
    by_clusters,
    effective,
    variance_of_mean,
)
from ragbench.analysis.statistics.inference import Bounds, Clusters, Values
from ragbench.analysis.statistics.studentised import studentised

FEW = 4  # answers right or wrong, of which Wilson's interval of a rate is too narrow


def wilson(successes: int, n: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """Return Wilson's score interval of a rate, without continuity correction; ``n`` is positive.

    With one to four answers right, or wrong, and no more than one in five, the end towards 0 or 1
    is that of the exact one-sided interval at ``alpha`` if this is further out: near 0 and 1,
    Wilson's interval covers as little as 0.84, and errs on one side only (Brown, Cai and DasGupta
    2001, Statistical Science 16:101, with binomial probabilities for their approximate ones).

    Source: Wilson 1927, JASA 22:209.

    >>> tuple(round(end, 4) for end in wilson(7, 10))
    (0.3968, 0.8922)
    """
    from scipy.special import betaincinv
    from scipy.stats import binomtest

    found = binomtest(successes, n).proportion_ci(confidence_level=1 - alpha, method="wilson")
    low, high = float(found.low), float(found.high)
    few = min(FEW, n // 5)
    if 0 < successes <= few:
        low = min(low, float(betaincinv(successes, n - successes + 1, alpha)))
    if 0 < n - successes <= few:
        high = max(high, 1 - float(betaincinv(n - successes, successes + 1, alpha)))
    return low, high


def wilson_by_cluster(
    values: Values, clusters: Clusters, *, alpha: float = 0.05
) -> tuple[float, float]:
    """Return Wilson's interval of a rate of (N,) answers, for as many as their clusters are worth.

    That is the number of independent answers with the same variance of the rate (Korn and Graubard
    1998, Survey Methodology 24:193; with Wilson's interval: Dean and Pagano 2015, Journal of Survey
    Statistics and Methodology 3:484), no more than there are. The quantile is that of t with one
    degree of freedom fewer than the effective number of clusters. Where all answers are alike, each
    cluster counts as one.
    """
    from scipy.stats import t

    _, sizes = by_cluster(values, clusters)
    rate, variance = float(values.mean()), variance_of_mean(values, clusters)
    n = min(rate * (1 - rate) / variance, values.size) if variance > 0 else sizes.size
    z = float(t.ppf(1 - alpha / 2, effective(sizes) - 1))
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def interval_of_mean(
    values: Values,
    draw: np.random.Generator,
    *,
    clusters: Clusters | None,
    resamples: int,
    alpha: float,
    bounds: Bounds | None = None,
) -> tuple[float, float]:
    """Return the interval of a mean of (N,) values, one per question.

    It is Wilson's for values of 0 and 1, also in clusters if they say as much as eight of one size,
    and else that of ``by_clusters`` or, without clusters, of ``studentised``. Where ``bounds`` are
    not given, values from 0 to 1 have a mean from 0 to 1, and other values that are not negative
    one of at least 0. The ends are NaN with fewer than two questions or eight clusters.
    """
    if not values.size:
        return math.nan, math.nan
    if bounds is None:
        if set(np.unique(values)) <= {0.0, 1.0}:
            if clusters is None:
                return wilson(int(values.sum()), values.size, alpha=alpha)
            if effective(by_cluster(values, clusters)[1]) >= FEWEST_CLUSTERS - 1e-9:
                return wilson_by_cluster(values, clusters, alpha=alpha)
        low, high = (0.0 if values.min() >= 0 else -math.inf), math.inf
        bounds = low, (1.0 if low == 0 and values.max() <= 1 else high)
    if clusters is not None:
        found = by_clusters(values, clusters, bounds=bounds, draw=draw, draws=resamples)
    else:
        found = studentised(values, bounds=bounds)
    low, high = found.limits(alpha) if found is not None else (math.nan, math.nan)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else (math.nan, math.nan)


def seeded(seed: int, *names: str) -> np.random.Generator:
    """Return the generator of one figure, seeded by the run's seed and the names of the figure."""
    return np.random.default_rng([seed, *"\x1f".join(names).encode("utf-8")])
