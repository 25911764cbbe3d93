"""One effect over several tasks: a meta-analysis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FEWEST_TASKS = 5  # fewer tasks do not show the spread between tasks


@dataclass(frozen=True, slots=True)
class Pooled:
    """An estimate over tasks, with its standard error, interval and two-sided p."""

    estimate: float
    error: float
    low: float
    high: float
    p: float


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
