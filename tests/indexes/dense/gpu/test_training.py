"""Cells that another exact index places are those that FAISS places itself."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import pytest

from ragbench.indexes.dense.gpu import training
from tests.indexes.dense.gpu.cases import METRICS, on_a_gpu, some

FACTORIES = ["IVF8,Flat", "PCA16,IVF8,SQ8", "IVF8,SQ4,RFlat"]


def trained(factory: str, metric: int, assigner: training.Assigner | None) -> Any:
    index = faiss.index_factory(24, factory, metric)
    vectors = np.random.default_rng(7).normal(size=(800, 24)).astype(np.float32)
    if assigner is None:
        index.train(vectors)
    else:
        training.train_by(faiss, index, vectors, assigner)
    assert index.is_trained
    assert training.cells_of(faiss, index).clustering_index is None
    return index


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("factory", FACTORIES)
def test_the_place_of_the_search_changes_nothing(factory: str, metric: int) -> None:
    made: list[Any] = []

    def assigner(d: int, of: int) -> Any:
        made.append(faiss.IndexFlat(d, of))
        return made[-1]

    ours, theirs = trained(factory, metric, assigner), trained(factory, metric, None)
    assert faiss.serialize_index(ours).tobytes() == faiss.serialize_index(theirs).tobytes()
    assert [one.ntotal for one in made] == [8]  # the centroids


def test_only_cells_that_exact_search_places_are_placed_by_cards() -> None:
    for factory in ("Flat", "SQ8", "HNSW8", "PQ8", "IVF8_HNSW8,Flat"):
        assert training.cells_of(faiss, faiss.index_factory(24, factory)) is None


def test_an_error_on_the_cards_leaves_the_training_to_the_processor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(faiss_: Any, d: int, metric: int) -> Any:
        raise RuntimeError("Error in allocMemory: Error: out of memory")

    monkeypatch.setattr(training, "is_wanted", lambda *_: True)
    monkeypatch.setattr(training, "on_all_cards", full)
    index = faiss.index_factory(24, "IVF8,Flat")
    vectors = np.random.default_rng(7).normal(size=(800, 24)).astype(np.float32)
    training.train(faiss, index, vectors, "auto")
    expected = trained("IVF8,Flat", faiss.METRIC_L2, None)
    assert faiss.serialize_index(index).tobytes() == faiss.serialize_index(expected).tobytes()
    assert "placed on the processor, not on GPUs: out of memory" in capsys.readouterr().err


@on_a_gpu
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("factory", FACTORIES)
def test_cards_place_cells_as_well_as_the_processor(factory: str, metric: int) -> None:
    """Sums round differently there, so that the cells differ; what they find is as good."""
    vectors = np.random.default_rng(7).normal(size=(20_000, 24)).astype(np.float32)
    exact, queries = some(metric, 20_000)
    exact.reset()
    exact.add(vectors)
    wanted = exact.search(queries, 10)[1]
    found = []
    for device in ("cpu", "cuda"):
        index = faiss.index_factory(24, factory, metric)
        training.train(faiss, index, vectors, device)
        index.add(vectors)
        faiss.ParameterSpace().set_index_parameter(index, "nprobe", 4)
        rows = index.search(queries, 10)[1]
        found.append(np.mean([len(set(a) & set(b)) for a, b in zip(rows, wanted, strict=True)]))
    assert found[1] > found[0] - 1
