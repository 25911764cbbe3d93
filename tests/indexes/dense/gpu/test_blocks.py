"""Exact search by blocks gives what exact search gives, by however many cards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from ragbench.indexes.dense.ann import read_mapped
from ragbench.indexes.dense.gpu import blocks, cards
from tests.indexes.dense.gpu.cases import METRICS, on_a_gpu, some


def nearest(queries: Any, vectors: Any, k: int, metric: int) -> tuple[Any, Any]:
    """Search one block on the processor, as a card does."""
    assert queries.dtype == vectors.dtype
    found: tuple[Any, Any] = faiss.knn(
        queries.astype(np.float32), vectors.astype(np.float32), k, metric=metric
    )
    return found


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n_cards", [1, 3])
@pytest.mark.parametrize("rows", [1, 7, 300, 5000])
def test_blocks_give_what_the_whole_gives(metric: int, rows: int, n_cards: int) -> None:
    index, queries = some(metric)
    blocked = blocks.BlockedFlat(faiss, index, [nearest] * n_cards, block_bytes=rows * 24 * 4)
    scores, found = blocked.search(queries, 10)
    exact, ids = index.search(queries, 10)
    np.testing.assert_array_equal(found, ids)
    np.testing.assert_allclose(scores, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("is_mapped", [False, True])
def test_half_precision_is_sent_as_it_is_stored(
    tmp_path: Path, metric: int, is_mapped: bool
) -> None:
    """Queries are rounded too, as on a card, so that scores differ in the third digit."""
    index, queries = some(metric, factory="SQfp16")
    if is_mapped:
        faiss.write_index(index, str(tmp_path / "index.faiss"))
        index = read_mapped(faiss, str(tmp_path / "index.faiss"))
    blocked = blocks.BlockedFlat(faiss, index, [nearest] * 2, block_bytes=300 * 24 * 2)
    scores, found = blocked.search(queries, 10)
    exact, ids = index.search(queries, 10)
    assert (found == ids).mean() > 0.95
    np.testing.assert_allclose(scores, exact, rtol=5e-3, atol=5e-2)


@on_a_gpu
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("factory", ["Flat", "SQfp16"])
def test_blocks_on_all_cards(metric: int, factory: str) -> None:
    index, queries = some(metric, 20_000, factory=factory)
    every = [blocks.nearest_on(faiss, card) for card in range(cards.count(faiss))]
    blocked = blocks.BlockedFlat(faiss, index, every, block_bytes=3000 * 96)
    scores, found = blocked.search(queries, 10)
    exact, ids = index.search(queries, 10)
    assert (found == ids).mean() > (0.99 if factory == "Flat" else 0.95)
    rtol, atol = (1e-4, 1e-3) if factory == "Flat" else (5e-3, 5e-2)
    np.testing.assert_allclose(scores, exact, rtol=rtol, atol=atol)
