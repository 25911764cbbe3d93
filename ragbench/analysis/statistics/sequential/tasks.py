"""Bets on the plain average of the means of several tasks, asked in any proportion.

Each task has bets of its own (``betting``). Against one mean per task, the product of their
capitals is a bet, too: the tasks have different questions. That the average is m is the union of
all means per task with the average m, and the least product over this union is the capital against
m (stratified betting: Spertus and Stark 2022; Waudby-Smith, Wu, Ramdas, Karampatziakis and Mineiro
2024). Whatever the true means are, it is at most the capital against them.

The logarithm of a task's capital is convex in its mean, so that the least sum is an infimal
convolution. It is computed from tangents, which are never above the function: the result is at most
the true least sum, and less than 0.02 per task below it near the estimate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ragbench.analysis.statistics.inference import Bounds, Values
from ragbench.analysis.statistics.sequential.betting import Bets, kinds_of, narrowed, stakes
from ragbench.analysis.statistics.sequential.units import Units

COARSE = 40  # means between the bounds at which tangents are taken
AT_ONCE = 100_000  # numbers that are computed together
FINE = np.linspace(-9, 9, 61)  # and about the estimate, in standard errors


@dataclass(frozen=True, slots=True)
class Tasks:
    """The units of several tasks, whose plain average is one effect.

    Attributes:
        parts: The units of each task so far, in the order asked, all with the same bounds.
        looks: Number of units of each task at each look so far, (L, T).
    """

    parts: tuple[Units, ...]
    looks: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class _Counted:
    """The units of a task, their distinct values with weights, and the number of each unit's."""

    units: Units
    values: Values
    weights: Values
    index: npt.NDArray[np.intp]


class Average:
    """The bets on the plain average over tasks, as of several looks (L, T)."""

    def __init__(self, tasks: Sequence[Units], looks: Sequence[Sequence[int]]) -> None:
        self._tasks, self._looks = tasks, looks
        self._bounds = tasks[0].bounds
        low, high = self._bounds
        mine = [_Counted(part, *kinds_of(part)) for part in tasks]
        turned = [
            _Counted(
                Units(-one.units.values, one.units.weights, one.units.sizes, (-high, -low)),
                *(-one.values, one.weights, one.index),
            )
            for one in mine
        ]
        # Of each look, the least sums of log capitals: on a larger average, and on a smaller one.
        self._larger = [_least_sum(mine, look) for look in looks]
        self._smaller = [_least_sum(turned, look) for look in looks]

    @property
    def questions(self) -> Values:
        """(L,) number of questions of all tasks at each look."""
        sums = [np.concatenate([[0.0], part.sizes.cumsum()]) for part in self._tasks]
        return np.array(
            [sum(s[n] for s, n in zip(sums, look, strict=True)) for look in self._looks]
        )

    @property
    def estimates(self) -> Values:
        """(L,) the average at each look; NaN where a task has no units."""
        return np.array(
            [
                math.fsum(part.mean_of(n) for part, n in zip(self._tasks, look, strict=True))
                / len(look)
                for look in self._looks
            ]
        )

    def log_capitals(self, mean: float) -> tuple[Values, Values]:
        """Return the log capital of bets on a larger, and on a smaller average, both (L,)."""
        larger = [self._of(found, mean) for found in self._larger]
        return np.array(larger), np.array([self._of(found, -mean) for found in self._smaller])

    def _of(self, found: tuple[Values, Values], mean: float) -> float:
        return float(np.interp(mean * len(self._tasks), *found))

    def sequence(self, alpha: float, known: Bounds | None = None) -> tuple[Values, Values]:
        """Return the ends of the confidence sequence at each look, both (L,), as ``Bets`` does."""

        def log_e_value(mean: float, look: int) -> float:
            larger = self._of(self._larger[look], mean)
            return float(np.logaddexp(larger, self._of(self._smaller[look], -mean)) - math.log(2))

        return narrowed(log_e_value, self.estimates, self._bounds, alpha, known)


def bets_of(units: Units | Tasks, looks: Sequence[int], start: int) -> Bets | Average:
    """Return the bets as of the looks from number ``start`` on."""
    if isinstance(units, Tasks):
        return Average(units.parts, units.looks[start:])
    return Bets(units, looks[start:])


def _least_sum(tasks: Sequence[_Counted], look: Sequence[int]) -> tuple[Values, Values]:
    """Return the corners of the least sum of log capitals on larger means, by the sum of the means.

    A convex line per task: the least sum follows their pieces in the order of their slopes.
    """
    start, value = 0.0, 0.0
    lengths, slopes = [], []
    for task, n in zip(tasks, look, strict=True):
        corners, heights = _tangents(task, n)
        start, value = start + corners[0], value + heights[0]
        lengths.append(np.diff(corners))
        slopes.append(np.diff(heights) / lengths[-1])
    run, rise = np.concatenate(lengths), np.concatenate(slopes)
    order = np.argsort(rise, kind="stable")
    sums = start + np.concatenate([[0.0], run[order].cumsum()])
    return sums, value + np.concatenate([[0.0], (run * rise)[order].cumsum()])


def _tangents(task: _Counted, n: int) -> tuple[Values, Values]:
    """Return corners of a convex line under the log capital of a task's bets on a larger mean."""
    units = task.units
    low, high = units.bounds
    if not n:
        return np.array([low, high]), np.zeros(2)
    means = np.linspace(low, high, COARSE)[1:]
    centre = units.mean_of(n)
    weights = units.weights[:n]
    away = weights * (units.values[:n] - centre)
    error = max(math.sqrt(float(away @ away)) / float(weights.sum()), 1e-4 * (high - low))
    means = np.union1d(means, (centre + error * FINE).clip(low + 1e-6 * (high - low), high))
    heights, slopes = _capital(task, n, means)
    # Where two tangents cross; a rounding must not put that outside of them.
    before, after = slice(None, -1), slice(1, None)
    gap = slopes[after] - slopes[before]
    rise = heights[before] - heights[after] + slopes[after] * means[after]
    rise -= slopes[before] * means[before]
    cross = np.where(gap > 1e-9, rise / np.maximum(gap, 1e-9), means[after])
    cross = cross.clip(means[before], means[after])
    on_line = heights[before] + slopes[before] * (cross - means[before])
    first = heights[0] + slopes[0] * (low - means[0])
    corners = np.concatenate([[low], cross, [high]])
    values = np.concatenate([[first], on_line, [heights[-1]]])
    kept = np.concatenate([[True], np.diff(corners) > 1e-12])
    return corners[kept], values[kept]


def _capital(task: _Counted, n: int, means: Values) -> tuple[Values, Values]:
    """Return the log capital of bets on a mean larger than each of (M,), and its slope."""
    counts = np.bincount(task.index[:n], minlength=task.values.size).astype(np.float64)
    held = counts > 0
    values, weights, counts = task.values[held], task.weights[held], counts[held]
    stake, share = stakes()
    low = task.units.bounds[0]
    heights, slopes = np.empty(means.size), np.empty(means.size)
    together = max(1, AT_ONCE // (values.size * stake.size))
    for first in range(0, means.size, together):
        part = slice(first, first + together)
        above = means[part, None] - low
        gain = np.maximum(weights * (values - means[part, None]) / above, -1.0)
        grown = 1 + gain[:, :, None] * stake
        logs = np.einsum("d,mds->ms", counts, np.log(grown))
        by_mean = counts * -weights * (values - low) / above**2
        steps = np.einsum("md,mds->ms", by_mean, stake / grown)
        top = logs.max(axis=1)
        money = np.exp(logs - top[:, None]) * share
        total = money.sum(axis=1)
        heights[part] = top + np.log(total)
        slopes[part] = (money * steps).sum(axis=1) / total
    return heights, slopes
