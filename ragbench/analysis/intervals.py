"""Intervals: Wilson's for a rate, the percentile bootstrap for a paired mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def wilson(successes: int, n: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """Return Wilson's score interval of a rate, without continuity correction.

    Args:
        successes: How many of ``n``.
        n: At least 1.
        alpha: One less the coverage.

    Returns:
        Low and high end, within 0 and 1. Source: Wilson 1927, JASA 22:209.

    >>> tuple(round(end, 4) for end in wilson(7, 10))
    (0.3968, 0.8922)
    """
    from scipy.stats import binomtest

    found = binomtest(successes, n).proportion_ci(confidence_level=1 - alpha, method="wilson")
    return float(found.low), float(found.high)


def bootstrap_mean(
    values: npt.NDArray[np.float64],
    draw: np.random.Generator,
    *,
    resamples: int = 10_000,
    alpha: float = 0.05,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a mean.

    Args:
        values: (N,) one value a question; for a paired comparison, the differences.
        draw: The seeded generator.
        resamples: How many samples of N are drawn, with replacement.
        alpha: One less the coverage.

    Returns:
        Low and high end. Source: Efron and Tibshirani 1993, chapter 13.
    """
    return bootstrap_mean_of_means([values], draw, resamples=resamples, alpha=alpha)


def bootstrap_mean_of_means(
    groups: Sequence[npt.NDArray[np.float64]],
    draw: np.random.Generator,
    *,
    resamples: int = 10_000,
    alpha: float = 0.05,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean of the groups' means.

    Args:
        groups: Arrays (N_g,); each is resampled by itself and keeps its size.
        draw: The seeded generator.
        resamples: How many samples are drawn, with replacement.
        alpha: One less the coverage.

    Returns:
        Low and high end; NaN where a group is empty.
    """
    if not all(group.size for group in groups):
        return float("nan"), float("nan")
    means = np.zeros(resamples)
    for group in groups:
        # A resample of a discrete variable is a multinomial draw over its distinct values.
        distinct, counts = np.unique(group, return_counts=True)
        drawn = draw.multinomial(group.size, counts / group.size, size=resamples)
        means += drawn @ distinct / group.size
    low, high = np.quantile(means / len(groups), [alpha / 2, 1 - alpha / 2])
    return float(low), float(high)


def seeded(seed: int, *names: str) -> np.random.Generator:
    """Return the generator of one figure: the run's seed, and what the figure is of."""
    return np.random.default_rng([seed, *"\x1f".join(names).encode("utf-8")])
