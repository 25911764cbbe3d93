"""Sizes of FAISS indexes against the files that FAISS writes."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from ragbench.indexes.dense.footprint import faiss_bytes, operations

N, DIMENSION = 5000, 48


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "factory",
    [
        "Flat",
        "SQ8",
        "SQfp16",
        "HNSW16",
        "HNSW32",
        "HNSW16,SQ8",
        "IVF50,Flat",
        "IVF50,SQ8",
        "IVF50,PQ8x4",
        pytest.param("OPQ8_32,IVF50,PQ8x4", marks=pytest.mark.slow),
        "IVF50,PQ8x4,RFlat",
        "IVF50,SQ8,Refine(SQfp16)",
        "PQ8x4",
    ],
)
def test_sizes_are_those_of_the_files(factory: str, tmp_path: Path) -> None:
    vectors = np.random.default_rng(4).normal(size=(N, DIMENSION)).astype(np.float32)
    index = faiss.index_factory(DIMENSION, factory, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    faiss.write_index(index, str(tmp_path / "index"))
    size = (tmp_path / "index").stat().st_size
    assert faiss_bytes(factory, DIMENSION, N) == pytest.approx(size, rel=0.03, abs=10_000)


def test_operations_of_cells_and_of_graphs() -> None:
    """A product of two vectors of 10 numbers is 20 operations."""
    assert operations("Flat", 10, 1000, trained=100, around=40) == 0
    # Every vector meets all 8 centroids: once to be added, 25 times for those that train.
    assert operations("IVF8,SQ8", 10, 1000, trained=100, around=40) == 20 * 8 * (1000 + 25 * 100)
    twice = operations("HNSW32", 10, 1000, trained=100, around=80)
    assert twice == 2 * operations("HNSW32", 10, 1000, trained=100, around=40)
    assert twice == 2 * operations("HNSW16", 10, 1000, trained=100, around=80)
