"""Vectors and indexes for the tests of FAISS on GPUs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import faiss
import numpy as np
import pytest

from ragbench.indexes.dense.gpu import cards

NO_GPU = cards.count(faiss) == 0
Test = TypeVar("Test", bound=Callable[..., object])
METRICS = [faiss.METRIC_INNER_PRODUCT, faiss.METRIC_L2]


def on_a_gpu(test: Test) -> Test:
    """Mark a test that needs a GPU."""
    return _needing(test, 1)


def on_two_gpus(test: Test) -> Test:
    """Mark a test that needs two GPUs."""
    return _needing(test, 2)


def _needing(test: Test, n: int) -> Test:
    reason = f"FAISS sees fewer than {n} GPUs"
    skip = pytest.mark.skipif(cards.count(faiss) < n, reason=reason)
    marked: Test = pytest.mark.gpu(skip(test))
    return marked


def some(metric: int, n: int = 1000, *, factory: str = "Flat", d: int = 24) -> tuple[Any, Any]:
    """Return an index of n random vectors, and 17 queries."""
    draw = np.random.default_rng(5)
    vectors = draw.normal(size=(n, d)).astype(np.float32)
    index = faiss.index_factory(d, factory, metric)
    index.train(vectors)
    index.add(vectors)
    return index, draw.normal(size=(17, d)).astype(np.float32)
