"""The least setting that reaches a recall; against the recall of every setting."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import pytest

from ragbench.base.errors import DataError, UsageError
from ragbench.indexes.dense.recall import Recall
from ragbench.indexes.dense.tuning import knob_of, tune


class Overlap:
    """A judge over vectors in memory: the share of the exact ten nearest that are found."""

    def __init__(self, vectors: Any, queries: Any) -> None:
        exact = faiss.IndexFlatL2(vectors.shape[1])
        exact.add(vectors)
        self.queries = queries
        self.wanted = exact.search(queries, 10)[1]

    def recall(self, index: Any) -> list[Recall]:
        found = index.search(self.queries, 10)[1]
        shares = [len(set(a) & set(b)) / 10 for a, b in zip(found, self.wanted, strict=True)]
        return [Recall("excerpts", len(self.queries), 10, float(np.mean(shares)))]


@pytest.mark.parametrize("target", [0.3, 0.6, 0.9, 1.0])
def test_no_smaller_setting_does(target: float) -> None:
    draw = np.random.default_rng(2)
    vectors = draw.normal(size=(3000, 8)).astype(np.float32)
    index: Any = faiss.index_factory(8, "IVF30,Flat")
    index.train(vectors)
    index.add(vectors)
    judge = Overlap(vectors, draw.normal(size=(50, 8)).astype(np.float32))
    found = tune(faiss, index, judge, target, factory="IVF30,Flat")["nprobe"]  # type: ignore[arg-type]
    assert index.nprobe == found
    reached = {}
    for probes in range(1, 31):
        index.nprobe = probes
        reached[probes] = judge.recall(index)[0].recall_at_k
    assert reached[found] >= target
    least = min(probes for probes, recall in reached.items() if recall >= target)
    assert least <= found <= least + max(1, found // 16)


def test_what_cannot_be_reached_is_told() -> None:
    draw = np.random.default_rng(2)
    vectors = draw.normal(size=(300, 8)).astype(np.float32)
    index = faiss.index_factory(8, "IVF4,PQ2x4")
    index.train(vectors)
    index.add(vectors)
    judge = Overlap(vectors, vectors[:20])
    with pytest.raises(DataError, match=r"does not reach 1: it is 0\.\d+ with nprobe 4"):
        tune(faiss, index, judge, 1.0, factory="IVF4,PQ2x4")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("factory", "knob"),
    [("IVF8,SQ8", "nprobe"), ("HNSW32", "ef_search"), ("PQ8,RFlat", "k_factor")],
)
def test_what_is_turned(factory: str, knob: str) -> None:
    assert knob_of(factory) == knob


def test_exact_codes_have_nothing_to_turn() -> None:
    with pytest.raises(UsageError, match="nothing to tune"):
        knob_of("SQ8")
