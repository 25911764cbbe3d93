"""Raw scores by hand: two queries, three vectors of differing lengths."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ragbench.indexes.langchain.raw_scores import FORMULAS, errors, fitting, nearness

QUERIES = np.array([[3.0, 4.0], [0.0, 2.0]])
VECTORS = np.array([[[1.0, 0.0], [3.0, 4.0], [0.0, -1.0]]] * 2)
PRODUCTS = np.array([[3.0, 25.0, -4.0], [0.0, 8.0, -2.0]])
COSINES = np.array([[0.6, 1.0, -0.8], [0.0, 0.8, -1.0]])
SQUARES = np.array([[20.0, 0.0, 34.0], [5.0, 13.0, 9.0]])
EXPECTED = {
    "inner-product": PRODUCTS,
    "1 - inner-product": 1 - PRODUCTS,
    "-inner-product": -PRODUCTS,
    "cosine": COSINES,
    "1 - cosine": 1 - COSINES,
    "(1 + cosine) / 2": (1 + COSINES) / 2,
    "l2": np.vectorize(math.sqrt)(SQUARES),
    "squared-l2": SQUARES,
    "-squared-l2": -SQUARES,
    "1 / (1 + l2)": 1 / (1 + np.vectorize(math.sqrt)(SQUARES)),
}
OURS = {"inner-product": PRODUCTS, "cosine": COSINES, "l2": -SQUARES}


def test_every_formula_is_here() -> None:
    assert set(EXPECTED) == set(FORMULAS)


@pytest.mark.parametrize("metric", list(OURS))
def test_nearness_by_hand(metric: str) -> None:
    np.testing.assert_allclose(nearness(metric, QUERIES, VECTORS), OURS[metric])


@pytest.mark.parametrize("name", list(EXPECTED))
def test_a_raw_score_is_told_from_all_others_and_turned_into_ours(name: str) -> None:
    raw = EXPECTED[name]
    assert fitting(errors(raw, QUERIES, VECTORS)) == [name]
    formula = FORMULAS[name]
    np.testing.assert_allclose(formula.ours(raw), OURS[formula.metric], atol=1e-12)
    holes = raw.copy()
    holes[0, 2] = np.nan
    assert fitting(errors(holes, QUERIES, VECTORS)) == [name]


def test_what_is_none_of_them_fits_none() -> None:
    assert fitting(errors(np.abs(QUERIES[:, None] - VECTORS).sum(-1), QUERIES, VECTORS)) == []
    assert fitting(errors(np.exp(-SQUARES), QUERIES, VECTORS)) == []


def test_unit_vectors_tell_product_and_cosine_apart_by_the_lengths_of_queries() -> None:
    vectors = np.array([[[1.0, 0.0], [0.6, 0.8]]])
    query = np.array([[0.0, 1.0]])
    cosines = np.array([[0.0, 0.8]])
    assert fitting(errors(cosines, query, vectors)) == ["inner-product", "cosine"]
    assert fitting(errors(cosines, 2 * query, vectors)) == ["cosine"]
    assert fitting(errors(2 * cosines, 2 * query, vectors)) == ["inner-product"]


def test_a_vector_of_nothing_has_the_cosine_nought() -> None:
    assert nearness("cosine", np.zeros((1, 2)), VECTORS[:1]).tolist() == [[0.0, 0.0, 0.0]]
