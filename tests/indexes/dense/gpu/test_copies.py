"""An index on the cards finds what it finds on the processor, which does what no card does."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import pytest

from ragbench.indexes.dense.ann import range_parameters
from ragbench.indexes.dense.gpu import cards, copies, forms
from ragbench.indexes.dense.gpu.copies import OnCards, to_gpus
from tests.indexes.dense.gpu.cases import METRICS, on_a_gpu, on_two_gpus, some


class Cloned:
    """FAISS with a processor in place of cards, which notes what is copied to how many."""

    def __init__(self, n_cards: int) -> None:
        self.copied: list[tuple[Any, int]] = []
        self._n_cards = n_cards

    def __getattr__(self, name: str) -> Any:
        return getattr(faiss, name)

    def get_num_gpus(self) -> int:
        return self._n_cards

    def StandardGpuResources(self) -> str:
        return "resources"

    def GpuClonerOptions(self) -> Any:
        return type("Options", (), {})()

    GpuMultipleClonerOptions = GpuClonerOptions
    GpuIndexFlatConfig = GpuClonerOptions

    def GpuIndexFlat(self, resources: str, d: int, metric: int, config: Any) -> Any:
        return faiss.IndexFlat(d, metric)

    def index_cpu_to_gpu(self, resources: str, card: int, index: Any, options: Any) -> Any:
        self.copied.append((index, 1))
        return faiss.clone_index(index)

    def index_cpu_to_all_gpus(self, index: Any, co: Any) -> Any:
        self.copied.append((index, self._n_cards))
        return faiss.clone_index(index)

    def knn_gpu(
        self, resources: str, queries: Any, vectors: Any, k: int, *, metric: int, device: int
    ) -> tuple[Any, Any]:
        assert queries.dtype == vectors.dtype
        queries, vectors = (one.astype(np.float32) for one in (queries, vectors))
        found: tuple[Any, Any] = faiss.knn(queries, vectors, k, metric=metric)
        return found


@pytest.mark.parametrize("n_cards", [1, 2])
@pytest.mark.parametrize("free", [1 << 40, 1 << 20])
@pytest.mark.parametrize(
    ("factory", "by_cloner"),
    [
        ("Flat", False),
        ("SQfp16", False),
        ("PCA16,Flat", False),
        ("IVF4,SQ8", True),
        ("PCA16,IVF4,SQ8,RFlat", True),
    ],
)
def test_what_goes_to_the_cards_and_what_does_not_fit(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    factory: str,
    by_cloner: bool,
    free: int,
    n_cards: int,
) -> None:
    """Codes that do not fit stay, and are not copied, since that would end the process."""
    monkeypatch.setattr(copies, "free_bytes", lambda cards: [free] * cards)
    index, queries = some(faiss.METRIC_L2, factory=factory)
    there = Cloned(n_cards)
    found = to_gpus(there, index, float16=False)
    stays = by_cloner and free == 1 << 20
    assert (found is index) == stays
    assert ("it needs 0.0 GB of each" in capsys.readouterr().err) == stays
    assert [n for _, n in there.copied] == ([n_cards] if by_cloner and not stays else [])
    scores, rows = found.search(queries, 10)
    exact, ids = index.search(queries, 10)
    assert (rows == ids).mean() > 0.95
    np.testing.assert_allclose(scores, exact, rtol=5e-3, atol=5e-2)


def test_more_hits_than_a_card_gives_are_searched_for_on_the_processor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(copies, "free_bytes", lambda cards: [1 << 40])
    index, queries = some(faiss.METRIC_L2, 3000)

    class Shallow:
        def search(self, queries: Any, k: int) -> tuple[Any, Any]:
            assert k <= 2048, "FAISS refuses this"
            found: tuple[Any, Any] = index.search(queries, k)
            return found

    found = OnCards(Shallow(), index)
    for k in (2048, 2049, 3000):
        np.testing.assert_array_equal(found.search(queries, k)[1], index.search(queries, k)[1])
    assert capsys.readouterr().err.count("2,048 hits of this index on a GPU") == 1
    params = range_parameters(faiss, index, range(100, 110))
    assert set(found.search(queries, 10, params=params)[1].ravel()) == set(range(100, 110))


def test_a_card_without_memory_leaves_a_search_to_the_processor(
    capsys: pytest.CaptureFixture[str],
) -> None:
    index, queries = some(faiss.METRIC_L2)

    class Full:
        def search(self, queries: Any, k: int) -> tuple[Any, Any]:
            raise RuntimeError("Error in allocMemory at x.cpp: Error: out of memory\nmore")

    found = OnCards(Full(), index)
    for _ in range(2):
        np.testing.assert_array_equal(found.search(queries, 5)[1], index.search(queries, 5)[1])
    told = capsys.readouterr().err
    assert told.count("a GPU cannot search: out of memory; the processor searches instead") == 1


def test_a_refined_index_is_asked_for_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each hit needs eight candidates, and 8 x 256 = 2,048."""
    monkeypatch.setattr(copies, "free_bytes", lambda cards: [1 << 40])
    index, _ = some(faiss.METRIC_L2, factory="IVF4,SQ8,RFlat")
    faiss.ParameterSpace().set_index_parameter(index, "k_factor_rf", 8)
    assert to_gpus(Cloned(1), index, float16=False).most == 256


@on_a_gpu
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


@on_a_gpu
@pytest.mark.parametrize(
    ("factory", "d", "nprobe"),
    [
        ("SQfp16", 24, 0),
        ("SQ8", 24, 0),
        ("PCA16,Flat", 24, 0),
        ("IVF16,Flat", 24, 4),
        ("IVF16,SQ8", 24, 4),
        ("OPQ8,IVF16,PQ8", 24, 4),
        ("IVF16,PQ64", 128, 4),
        ("IVF16,PQ8,RFlat", 24, 4),
        ("OPQ8,IVF16,PQ8,Refine(SQ8)", 24, 4),
        ("IVF3000,Flat", 24, 2500),
    ],
)
def test_each_type_is_searched_on_the_gpu_or_stays_and_says_so(
    capsys: pytest.CaptureFixture[str], factory: str, d: int, nprobe: int
) -> None:
    _is_searched(capsys, factory, d, nprobe)


@on_two_gpus
@pytest.mark.parametrize("factory", ["Flat", "SQfp16", "IVF16,SQ8", "OPQ8,IVF16,PQ8,RFlat"])
def test_each_type_is_searched_on_several_gpus(
    capsys: pytest.CaptureFixture[str], factory: str
) -> None:
    _is_searched(capsys, factory, 24, 4 if "IVF" in factory else 0)


def _is_searched(capsys: pytest.CaptureFixture[str], factory: str, d: int, nprobe: int) -> None:
    index, _ = some(faiss.METRIC_L2, 20_000, factory=factory, d=d)
    if nprobe:
        faiss.ParameterSpace().set_index_parameter(index, "nprobe", nprobe)
    found = to_gpus(faiss, index, float16=False)
    stays = not forms.has_form(faiss, index) or nprobe > cards.MAX_K
    assert (found is index) == stays == ("on the processor" in capsys.readouterr().err)
    queries = np.random.default_rng(5).normal(size=(50, d)).astype(np.float32)
    for k in (10, 3000):
        here, there = (one.search(queries, k)[1] for one in (index, found))
        same = [len(set(a) & set(b)) / k for a, b in zip(here, there, strict=True)]
        assert np.mean(same) > 0.9


@on_a_gpu
def test_codes_that_do_not_fit_are_not_copied(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(copies, "free_bytes", lambda cards: [1 << 20] * cards)
    index, _ = some(faiss.METRIC_L2, 20_000, factory="IVF16,Flat")
    assert to_gpus(faiss, index, float16=False) is index
    assert "GB of each" in capsys.readouterr().err
