"""One effect over several tasks: a marginal model of questions, a meta-analysis of tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ragbench.analysis.statistics.intervals import Clusters, Values, variance_of_mean

FEWEST_TASKS = 5  # fewer tasks do not show the spread between tasks


@dataclass(frozen=True, slots=True)
class Pooled:
    """An estimate over tasks, with its standard error, interval and two-sided p."""

    estimate: float
    error: float
    low: float
    high: float
    p: float


def marginal(values: Values, clusters: Clusters | None, *, alpha: float = 0.05) -> Pooled:
    """Return the effect in a marginal linear model of every question of every task.

    It is the identity-link GEE (Liang and Zeger 1986) of the scores on the arm with fixed effects
    of the tasks, independence as the working correlation, and clusters (the questions themselves
    where there are none). As every arm asks every question, its estimate is the mean of the
    differences, and its robust variance that of their sums by cluster; here with the factor
    C / (C - 1) and the quantiles of t with C - 1 degrees of freedom, C the number of clusters.

    ``values`` (N,) are the differences of all tasks, and ``clusters`` (N,) are distinct between
    tasks. Interval and p are NaN with fewer than two clusters, or without any spread.
    """
    from scipy.stats import t

    units = values.size if clusters is None else int(np.unique(clusters).size)
    variance = variance_of_mean(values, clusters)
    estimate = float(values.mean())
    if not variance > 0:
        return Pooled(estimate, math.nan, math.nan, math.nan, math.nan)
    error = math.sqrt(variance)
    half = float(t.ppf(1 - alpha / 2, units - 1)) * error
    p = 2 * float(t.sf(abs(estimate) / error, units - 1))
    return Pooled(estimate, error, estimate - half, estimate + half, p)


def random_effects(
    means: Sequence[float], variances: Sequence[float], *, alpha: float = 0.05
) -> Pooled:
    """Return the mean effect over tasks like these, where every task has its own effect.

    DerSimonian and Laird 1986 for the variance between tasks, Hartung and Knapp 2001 for the
    interval, by t with one degree of freedom fewer than there are tasks. ``means`` and
    ``variances`` are by task. All is NaN with fewer than five tasks, or where a task has no spread.
    """
    from scipy.stats import t

    y, v = np.asarray(means, dtype=float), np.asarray(variances, dtype=float)
    if y.size < FEWEST_TASKS or not (v > 0).all():
        return Pooled(*[math.nan] * 5)
    weight = 1 / v
    fixed = float((weight * y).sum() / weight.sum())
    spread = float((weight * (y - fixed) ** 2).sum())
    scale = float(weight.sum() - (weight**2).sum() / weight.sum())
    between = max(0.0, (spread - (y.size - 1)) / scale)
    weight = 1 / (v + between)
    estimate = float((weight * y).sum() / weight.sum())
    variance = float((weight * (y - estimate) ** 2).sum() / ((y.size - 1) * weight.sum()))
    if not variance > 0:
        return Pooled(estimate, math.nan, math.nan, math.nan, math.nan)
    error = math.sqrt(variance)
    half = float(t.ppf(1 - alpha / 2, y.size - 1)) * error
    p = 2 * float(t.sf(abs(estimate) / error, y.size - 1))
    return Pooled(estimate, error, estimate - half, estimate + half, p)
