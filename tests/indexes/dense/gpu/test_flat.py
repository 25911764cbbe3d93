"""Exact search that is dealt to several cards finds what one index finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from ragbench.indexes.dense.ann import read_mapped
from ragbench.indexes.dense.gpu import cards, flat
from tests.indexes.dense.gpu.cases import METRICS, on_a_gpu, on_two_gpus, some

KINDS = [("Flat", False), ("Flat", True), ("SQfp16", True)]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n_cards", [1, 2, 3])
@pytest.mark.parametrize("factory", ["Flat", "SQfp16"])
def test_shares_of_the_rows_give_what_the_whole_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: int, n_cards: int, factory: str
) -> None:
    """Exact indexes on the processor stand for those on cards; SQfp16 is decoded in blocks."""
    monkeypatch.setattr(flat, "BLOCK_BYTES", 70 * 24 * 4)
    index, queries = some(metric, factory=factory)
    faiss.write_index(index, str(tmp_path / "index.faiss"))
    index = read_mapped(faiss, str(tmp_path / "index.faiss"))
    made: list[tuple[int, Any]] = []

    def make(card: int) -> Any:
        made.append((card, faiss.IndexFlat(24, metric)))
        return made[-1][1]

    scores, found = flat.flat_on_cards(faiss, index, n_cards, make).search(queries, 10)
    exact, ids = index.search(queries, 10)
    np.testing.assert_array_equal(found, ids)
    np.testing.assert_allclose(scores, exact, rtol=1e-5, atol=1e-5)
    sizes = [sum(one.ntotal for own, one in made if own == card) for card in range(n_cards)]
    assert sizes == {1: [1000], 2: [500, 500], 3: [333, 333, 334]}[n_cards]
    assert max(one.ntotal for _, one in made) == (70 if factory == "SQfp16" else max(sizes))


def test_fewer_rows_than_cards() -> None:
    index, queries = some(faiss.METRIC_L2, 2)
    dealt = flat.flat_on_cards(faiss, index, 5, lambda card: faiss.IndexFlat(24, faiss.METRIC_L2))
    np.testing.assert_array_equal(dealt.search(queries, 3)[1], index.search(queries, 3)[1])


def test_transforms_are_applied_to_queries() -> None:
    index, queries = some(faiss.METRIC_L2, factory="PCA16,L2norm,Flat")
    chain = [faiss.downcast_VectorTransform(index.chain.at(i)) for i in range(index.chain.size())]
    behind = flat.Transformed(chain, faiss.downcast_index(index.index))
    for ours, theirs in zip(behind.search(queries, 5), index.search(queries, 5), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@on_a_gpu
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("factory", "float16"), KINDS)
def test_a_card_holds_what_was_counted(metric: int, factory: str, float16: bool) -> None:
    import torch

    from ragbench.indexes.dense.gpu.forms import held_bytes

    index, queries = some(metric, 200_000, factory=factory, d=256)
    make = flat.gpu_flat(faiss, 256, metric, float16=float16)
    warm = make(0)  # FAISS's own buffers of the card
    before = torch.cuda.mem_get_info(0)[0]
    dealt = flat.flat_on_cards(faiss, index, 1, make)
    taken = before - torch.cuda.mem_get_info(0)[0]
    assert taken < 1.1 * held_bytes(faiss, index, 200_000, float16=float16) + (64 << 20)
    scores, _ = dealt.search(queries, 10)
    np.testing.assert_allclose(scores, index.search(queries, 10)[0], rtol=2e-2, atol=2e-1)
    del warm


@on_two_gpus
@pytest.mark.parametrize(("factory", "float16"), KINDS)
def test_shares_lie_on_every_card(factory: str, float16: bool) -> None:
    index, queries = some(faiss.METRIC_L2, 20_000, factory=factory)
    make = flat.gpu_flat(faiss, 24, faiss.METRIC_L2, float16=float16)
    dealt = flat.flat_on_cards(faiss, index, cards.count(faiss), make)
    assert dealt.count() == cards.count(faiss)
    scores, _ = dealt.search(queries, 10)
    np.testing.assert_allclose(scores, index.search(queries, 10)[0], rtol=2e-2, atol=1e-2)
