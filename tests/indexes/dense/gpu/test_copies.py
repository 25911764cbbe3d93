"""An index on the cards finds what it finds on the processor."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from ragbench.indexes.dense.gpu import cards, forms
from ragbench.indexes.dense.gpu.copies import to_gpus
from tests.indexes.dense.gpu.cases import METRICS, NO_GPU, some


@pytest.mark.gpu
@pytest.mark.skipif(NO_GPU, reason="no GPU that FAISS can use")
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("float16", [False, True])
def test_the_gpu_finds_what_the_processor_finds(metric: int, float16: bool) -> None:
    index, queries = some(metric, 20_000)
    scores, found = to_gpus(faiss, index, float16=float16).search(queries, 10)
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
    found = to_gpus(faiss, index, float16=False)
    stays = not forms.has_form(faiss, index) or nprobe > cards.MAX_K
    assert (found is index) == stays == ("on the processor" in capsys.readouterr().err)
    here, there = (one.search(vectors[:50], 10)[1] for one in (index, found))
    same = [len(set(a) & set(b)) / 10 for a, b in zip(here, there, strict=True)]
    assert np.mean(same) > 0.95
