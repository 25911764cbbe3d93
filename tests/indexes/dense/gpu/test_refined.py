"""Codes that are searched elsewhere and refined here find what FAISS's refined index finds."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from ragbench.indexes.dense.gpu import refined
from tests.indexes.dense.gpu.cases import METRICS, some


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("refinement", ["RFlat", "Refine(SQ8)"])
def test_the_refinement_is_faiss_own(
    monkeypatch: pytest.MonkeyPatch, metric: int, refinement: str
) -> None:
    index, queries = some(metric, 2000, factory=f"PCA16,IVF8,SQ4,{refinement}")
    for name, value in {"nprobe": 3, "k_factor_rf": 7}.items():
        faiss.ParameterSpace().set_index_parameter(index, name, value)
    monkeypatch.setattr(refined, "BATCH_BYTES", 4 * 24 * 70 * 5)  # five queries at a time
    ours = refined.Refined(faiss, index, faiss.downcast_index(index.base_index))
    scores, found = ours.search(queries, 10)
    exact, ids = index.search(queries, 10)
    np.testing.assert_array_equal(found, ids)
    np.testing.assert_allclose(scores, exact, rtol=1e-4, atol=1e-4)


def test_where_cells_hold_fewer_there_are_fewer_hits() -> None:
    index, queries = some(faiss.METRIC_L2, 100, factory="IVF2,Flat,RFlat")
    ours = refined.Refined(faiss, index, faiss.downcast_index(index.base_index))
    found = ours.search(queries, 90)[1]
    np.testing.assert_array_equal(np.sort(found), np.sort(index.search(queries, 90)[1]))
    assert (found == -1).any()
