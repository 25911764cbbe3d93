"""What a vector store's raw score is: found out by computing it, for adapters mix them up.

Each formula turns a raw score into ours, where higher is nearer: the inner product, the cosine, or
minus the squared Euclidean distance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

TOLERANCE = 1e-4  # float32 arithmetic, times the squared lengths
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RawScore:
    """One formula.

    Attributes:
        name: What the raw score is.
        metric: ``inner-product``, ``cosine`` or ``l2``.
        ours: Turns it into the metric's nearness.
    """

    name: str
    metric: str
    ours: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


FORMULAS = {
    formula.name: formula
    for formula in (
        RawScore("inner-product", "inner-product", lambda raw: raw),
        RawScore("1 - inner-product", "inner-product", lambda raw: 1 - raw),
        RawScore("-inner-product", "inner-product", lambda raw: -raw),
        RawScore("cosine", "cosine", lambda raw: raw),
        RawScore("1 - cosine", "cosine", lambda raw: 1 - raw),
        RawScore("(1 + cosine) / 2", "cosine", lambda raw: 2 * raw - 1),
        RawScore("l2", "l2", lambda raw: -(raw**2)),
        RawScore("squared-l2", "l2", lambda raw: -raw),
        RawScore("-squared-l2", "l2", lambda raw: raw),
        RawScore("1 / (1 + l2)", "l2", lambda raw: -((1 / np.maximum(raw, 1e-9) - 1) ** 2)),
    )
}


def nearness(metric: str, queries: npt.NDArray[Any], vectors: npt.NDArray[Any]) -> Floats:
    """Return scores (Q, K) by the definition of a metric, in double precision, higher for nearer.

    Queries are (Q, D); the vectors of each query's hits are (Q, K, D).
    """
    query, vector = queries.astype(np.float64)[:, None], vectors.astype(np.float64)
    if metric == "l2":
        return np.asarray(-((query - vector) ** 2).sum(-1))
    products = (query * vector).sum(-1)
    if metric == "inner-product":
        return np.asarray(products)
    lengths = np.linalg.norm(query, axis=-1) * np.linalg.norm(vector, axis=-1)
    return np.asarray(products / np.maximum(lengths, 1e-12))


def errors(
    raw: npt.NDArray[Any], queries: npt.NDArray[Any], vectors: npt.NDArray[Any]
) -> dict[str, float]:
    """Return by name how far a store's raw scores (Q, K) are from each formula, at most.

    The unit is 1 + the squared lengths of query and vector (1 for a cosine). Queries (Q, D) and the
    hits' vectors (Q, K, D) are of different lengths, as the cosine and the inner product of unit
    vectors are the same. A raw score is nan where there was no hit.
    """
    squares = (queries.astype(np.float64) ** 2).sum(-1)[:, None] + (
        vectors.astype(np.float64) ** 2
    ).sum(-1)
    found: dict[str, float] = {}
    for name, formula in FORMULAS.items():
        away = np.abs(formula.ours(raw) - nearness(formula.metric, queries, vectors))
        unit = 1.0 if formula.metric == "cosine" else 1 + squares
        found[name] = float(np.nanmax(away / unit, initial=0.0))
    return found


def fitting(found: dict[str, float]) -> list[str]:
    """Return the names of the formulas that raw scores agree with, the best first."""
    return sorted((name for name in found if found[name] <= TOLERANCE), key=lambda n: found[n])
