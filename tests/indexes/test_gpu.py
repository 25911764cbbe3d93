"""GPU search: the merging of blocks on the processor, and everything else where a GPU is."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import pytest

from ragbench.errors import PrerequisiteError
from ragbench.indexes import gpu

NO_GPU = gpu.count(faiss) == 0
METRICS = [faiss.METRIC_INNER_PRODUCT, faiss.METRIC_L2]


def some(metric: int, n: int = 1000) -> tuple[Any, Any]:
    draw = np.random.default_rng(5)
    index = faiss.IndexFlat(24, metric)
    index.add(draw.normal(size=(n, 24)).astype(np.float32))
    return index, draw.normal(size=(17, 24)).astype(np.float32)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("rows", [1, 7, 300, 5000])
def test_blocks_give_what_the_whole_gives(metric: int, rows: int) -> None:
    index, queries = some(metric)

    def nearest(q: Any, x: Any, k: int, of: int) -> tuple[Any, Any]:
        found: tuple[Any, Any] = faiss.knn(q, x, k, metric=of)
        return found

    blocked = gpu.BlockedFlat(faiss, index, nearest, block_bytes=rows * 24 * 4)
    scores, found = blocked.search(queries, 10)
    exact, ids = index.search(queries, 10)
    np.testing.assert_array_equal(found, ids)
    np.testing.assert_allclose(scores, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("factory", "bytes_each"), [("Flat", 96), ("SQ8", 24), ("IVF4,Flat", 104), ("IVF4,SQ8", 32)]
)
def test_sizes(factory: str, bytes_each: int) -> None:
    """24 dimensions: 4 bytes each or 1; lists keep the rows in 8 bytes."""
    index = faiss.index_factory(24, factory)
    vectors = np.random.default_rng(1).normal(size=(200, 24)).astype(np.float32)
    index.train(vectors)
    index.add(vectors)
    assert gpu.size_of(faiss, index) == 200 * bytes_each


@pytest.mark.skipif(not NO_GPU, reason="this machine has a GPU that FAISS can use")
def test_a_machine_without_a_gpu() -> None:
    assert not gpu.is_wanted(faiss, "auto", "Flat")
    assert not gpu.is_wanted(faiss, "cpu", "Flat")
    with pytest.raises(PrerequisiteError, match="no GPU support, or sees no GPU"):
        gpu.require(faiss)
    with pytest.raises(PrerequisiteError):
        gpu.is_wanted(faiss, "cuda", "Flat")


@pytest.mark.gpu
@pytest.mark.skipif(NO_GPU, reason="no GPU that FAISS can use")
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("float16", [False, True])
def test_the_gpu_finds_what_the_processor_finds(metric: int, float16: bool) -> None:
    index, queries = some(metric, 20_000)
    scores, found = gpu.to_gpus(faiss, index, float16=float16).search(queries, 10)
    exact, _ = index.search(queries, 10)
    np.testing.assert_allclose(scores, exact, rtol=2e-2 if float16 else 1e-4, atol=1e-2)
    # The same vectors up to ties: what is found is as near as what the processor finds.
    near = np.stack([index.reconstruct_batch(rows) for rows in found])
    products = np.einsum("qd,qkd->qk", queries, near)
    squares = (queries**2).sum(1)[:, None] + (near**2).sum(2) - 2 * products
    own = products if metric == faiss.METRIC_INNER_PRODUCT else squares
    np.testing.assert_allclose(own, exact, rtol=2e-2 if float16 else 1e-4, atol=5e-2)


@pytest.mark.gpu
@pytest.mark.skipif(NO_GPU, reason="no GPU that FAISS can use")
@pytest.mark.parametrize("metric", METRICS)
def test_blocks_on_the_gpu(metric: int) -> None:
    index, queries = some(metric, 20_000)
    blocked = gpu.BlockedFlat(faiss, index, gpu._on_gpu(faiss, False), block_bytes=3000 * 96)
    scores, found = blocked.search(queries, 10)
    exact, ids = index.search(queries, 10)
    assert (found == ids).mean() > 0.99
    np.testing.assert_allclose(scores, exact, rtol=1e-4, atol=1e-3)
