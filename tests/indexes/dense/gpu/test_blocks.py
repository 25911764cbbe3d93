"""Exact search by blocks gives what exact search gives."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import pytest

from ragbench.indexes.dense.gpu import blocks
from tests.indexes.dense.gpu.cases import METRICS, NO_GPU, some


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("rows", [1, 7, 300, 5000])
def test_blocks_give_what_the_whole_gives(metric: int, rows: int) -> None:
    index, queries = some(metric)

    def nearest(q: Any, x: Any, k: int, of: int) -> tuple[Any, Any]:
        found: tuple[Any, Any] = faiss.knn(q, x, k, metric=of)
        return found

    blocked = blocks.BlockedFlat(faiss, index, nearest, block_bytes=rows * 24 * 4)
    scores, found = blocked.search(queries, 10)
    exact, ids = index.search(queries, 10)
    np.testing.assert_array_equal(found, ids)
    np.testing.assert_allclose(scores, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(NO_GPU, reason="no GPU that FAISS can use")
@pytest.mark.parametrize("metric", METRICS)
def test_blocks_on_the_gpu(metric: int) -> None:
    index, queries = some(metric, 20_000)
    blocked = blocks.BlockedFlat(faiss, index, blocks.on_gpu(faiss, False), block_bytes=3000 * 96)
    scores, found = blocked.search(queries, 10)
    exact, ids = index.search(queries, 10)
    assert (found == ids).mean() > 0.99
    np.testing.assert_allclose(scores, exact, rtol=1e-4, atol=1e-3)
