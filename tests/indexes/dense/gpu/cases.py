"""Vectors and indexes for the tests of FAISS on GPUs."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np

from ragbench.indexes.dense.gpu import cards

NO_GPU = cards.count(faiss) == 0
METRICS = [faiss.METRIC_INNER_PRODUCT, faiss.METRIC_L2]


def some(metric: int, n: int = 1000) -> tuple[Any, Any]:
    draw = np.random.default_rng(5)
    index = faiss.IndexFlat(24, metric)
    index.add(draw.normal(size=(n, 24)).astype(np.float32))
    return index, draw.normal(size=(17, 24)).astype(np.float32)
