"""GPU search: the merging of blocks on the processor, and everything else where a GPU is."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import pytest

from ragbench.base.errors import PrerequisiteError, UsageError
from ragbench.indexes.dense import gpu

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
    ("factory", "bytes_each"),
    [
        ("Flat", 96),
        ("SQ8", 24),
        ("IVF4,Flat", 104),
        ("IVF4,SQ8", 32),
        ("PCA16,IVF4,PQ4x4", 10),
        ("PCA16,Flat", 64),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_sizes(factory: str, bytes_each: int) -> None:
    """24 dimensions of 4 bytes or 1, or 4 codes of 4 bits; lists keep the rows in 8 bytes."""
    index = faiss.index_factory(24, factory)
    vectors = np.random.default_rng(1).normal(size=(200, 24)).astype(np.float32)
    index.train(vectors)
    index.add(vectors)
    assert gpu.size_of(faiss, index) == 200 * bytes_each


# What FAISS's GpuCloner takes, and what its GPU indexes verify.
@pytest.mark.parametrize(
    ("factory", "expected"),
    [
        ("Flat", True),
        ("PCA16,Flat", True),
        ("SQfp16", True),
        ("SQ8", False),
        ("PQ8", False),
        ("LSH", False),
        ("HNSW8", False),
        ("IVF4,Flat", True),
        ("IVF4,SQ8", True),
        ("IVF4,SQ4", True),
        ("IVF4,SQfp16", True),
        ("IVF4,SQbf16", False),
        ("IVF4_HNSW8,Flat", False),
        ("IVF4,PQ8", True),
        ("IVF4,PQ6", False),
        ("IVF4,PQ8x4", False),
        ("IVF4,PQ8x4fs", False),
        ("IVF4,RQ2x4", False),
        ("OPQ8,IVF4,PQ8", True),
        ("OPQ8,IVF4,PQ8,Refine(SQ8)", False),
        ("IVF4,Flat,RFlat", False),
    ],
)
def test_which_indexes_have_a_gpu_form(factory: str, expected: bool) -> None:
    index = faiss.index_factory(24, factory, faiss.METRIC_L2)
    assert gpu.has_form(faiss, index) == expected


def test_more_hits_than_a_gpu_gives_are_refused() -> None:
    gpu.check_k(2048, 9999)
    gpu.check_k(5000, 2000)  # all there are
    with pytest.raises(UsageError, match=r"2,049 hits are wanted, .* at most 2,048") as caught:
        gpu.check_k(2049, 9999)
    assert "--device cpu" in caught.value.fix


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


@pytest.mark.gpu
@pytest.mark.skipif(NO_GPU, reason="no GPU that FAISS can use")
@pytest.mark.parametrize(
    ("factory", "d", "nprobe"),
    [
        ("SQfp16", 24, 0),
        ("SQ8", 24, 0),
        ("IVF16,Flat", 24, 4),
        ("IVF16,SQ8", 24, 4),
        ("OPQ8,IVF16,PQ8", 24, 4),
        ("IVF16,PQ64", 128, 4),
        ("IVF16,PQ8,RFlat", 24, 4),
        ("IVF3000,Flat", 24, 2500),
    ],
)
def test_each_type_is_searched_on_the_gpu_or_stays_and_says_so(
    capsys: pytest.CaptureFixture[str], factory: str, d: int, nprobe: int
) -> None:
    draw = np.random.default_rng(5)
    vectors = draw.normal(size=(20_000, d)).astype(np.float32)
    index = faiss.index_factory(d, factory, faiss.METRIC_L2)
    index.train(vectors)
    index.add(vectors)
    if nprobe:
        faiss.ParameterSpace().set_index_parameter(index, "nprobe", nprobe)
    found = gpu.to_gpus(faiss, index, float16=False)
    stays = not gpu.has_form(faiss, index) or nprobe > gpu.MAX_K
    assert (found is index) == stays == ("on the processor" in capsys.readouterr().err)
    here, there = (one.search(vectors[:50], 10)[1] for one in (index, found))
    same = [len(set(a) & set(b)) / 10 for a, b in zip(here, there, strict=True)]
    assert np.mean(same) > 0.95
