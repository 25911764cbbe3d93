"""What is drawn one after the other at random: questions, clusters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ragbench.analysis.statistics.estimate import Cells
from ragbench.analysis.statistics.inference import Bounds, Clusters, Values
from ragbench.base.errors import DataError


@dataclass(frozen=True, slots=True)
class Units:
    """The units of an effect so far, in the order asked.

    Attributes:
        values: (N,) mean effect on the questions of each unit.
        weights: (N,) above 0 and up to 1: how much each unit counts in the mean.
        sizes: (N,) number of questions of each unit.
        bounds: Smallest and largest possible value.
        largest: Number of questions of the largest unit that can be asked.
    """

    values: Values
    weights: Values
    sizes: Values
    bounds: Bounds
    largest: int = 1

    def __post_init__(self) -> None:
        low, high = self.bounds
        if not math.isfinite(high - low):
            raise DataError(
                "the values have no bounds, so that no sequence is valid at any look",
                fix="use a metric from 0 to 1",
            )
        if np.isnan(self.values).any() or (self.values < low).any() or (self.values > high).any():
            raise DataError(f"values are missing or not between {low:g} and {high:g}")
        if not ((self.weights > 0) & (self.weights <= 1)).all():
            raise DataError("a unit has more questions than the largest")

    @property
    def estimate(self) -> float:
        """The weighted mean; NaN without units."""
        return self.mean_of(self.values.size)

    def mean_of(self, n: int) -> float:
        """Return the weighted mean of the first n units; NaN for none."""
        if not n:
            return math.nan
        return float(self.values[:n] @ self.weights[:n] / self.weights[:n].sum())


def of_questions(values: Values, bounds: Bounds) -> Units:
    """Return (N,) values as units that count the same."""
    ones = np.ones(values.size)
    return Units(values, ones, ones, bounds)


def of_clusters(values: Values, clusters: Clusters, bounds: Bounds, *, largest: int) -> Units:
    """Return the clusters of (N,) questions as units, in the order of their first questions.

    A cluster counts by its questions, so that the mean is that of the questions. Its weight is its
    size as a share of ``largest``, the size of the largest cluster that can be asked: the mean of a
    cluster alone says nothing of the mean of questions if the effect depends on the size, but the
    sum of the distances from the true mean is zero on average.
    """
    _, first, index = np.unique(clusters, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    sizes = np.bincount(index).astype(np.float64)[order]
    sums = np.bincount(index, weights=values)[order]
    low, high = bounds
    means = np.clip(sums / sizes, low, high)  # a sum of ends is rounded
    return Units(means, sizes / largest, sizes, bounds, largest)


def of_cells(cells: Cells, *, largest: int = 1) -> Units:
    """Return the units of a contrast of cells, its questions in the order asked.

    ``largest`` is the size of the largest cluster in the set, not only in what was asked.
    """
    bounds = -cells.reach, cells.reach
    if cells.clusters is None:
        return of_questions(cells.differences, bounds)
    return of_clusters(cells.differences, cells.clusters, bounds, largest=largest)
