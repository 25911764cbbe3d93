"""What is drawn: questions, and clusters by their sums."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ragbench.analysis.statistics.estimate import Cells
from ragbench.analysis.statistics.sequential.units import of_cells, of_clusters, of_questions
from ragbench.base.errors import DataError

PAIR = (-1.0, 1.0)


def test_questions_count_the_same() -> None:
    units = of_questions(np.array([1.0, 0.0, -1.0, 1.0]), PAIR)
    assert units.weights.tolist() == units.sizes.tolist() == [1.0] * 4
    assert units.estimate == 0.25
    assert units.mean_of(2) == 0.5
    assert math.isnan(units.mean_of(0))


def test_clusters_count_by_their_questions() -> None:
    """By hand: clusters 7, 3 and 5, in this order, with 2, 1 and 3 questions."""
    codes = np.array([7, 3, 7, 5, 5, 5])
    values = np.array([1.0, -1.0, 0.0, 1.0, 1.0, -1.0])
    units = of_clusters(values, codes, PAIR, largest=4)
    assert units.sizes.tolist() == [2.0, 1.0, 3.0]
    assert units.values == pytest.approx([0.5, -1.0, 1 / 3])
    assert units.weights.tolist() == [0.5, 0.25, 0.75]
    assert units.estimate == pytest.approx(values.mean())


def test_cells_of_a_contrast_have_bounds_of_their_own() -> None:
    """An interaction of four cells reaches from -2 to 2."""
    values = np.array([[1.0, -1.0, -1.0, 1.0], [1.0, 0.0, 0.0, 1.0], [0.0, -1.0, -1.0, 0.0]])
    units = of_cells(Cells(values, None))
    assert units.bounds == (-2.0, 2.0)
    assert units.values.tolist() == [0.0, 2.0, -2.0]
    units = of_cells(Cells(values[:, :2], np.array([4, 4, 2])), largest=3)
    assert units.bounds == PAIR
    assert units.values.tolist() == [0.5, -1.0]  # clusters of 2 and 1 questions
    assert units.weights == pytest.approx([2 / 3, 1 / 3])
    with pytest.raises(DataError, match="have no bounds"):
        of_cells(Cells(3 * values, None))


@pytest.mark.parametrize(
    ("value", "bounds", "message"),
    [
        (1.5, PAIR, "not between -1 and 1"),
        (math.nan, PAIR, "missing or not between"),
        (1.5, (-math.inf, math.inf), "have no bounds"),
    ],
)
def test_values_without_bounds_are_refused(
    value: float, bounds: tuple[float, float], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        of_questions(np.array([value]), bounds)


def test_a_cluster_larger_than_the_largest_is_refused() -> None:
    with pytest.raises(DataError, match="more questions than the largest"):
        of_clusters(np.zeros(3), np.zeros(3, dtype=np.int64), PAIR, largest=2)
