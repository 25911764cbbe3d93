"""Which indexes have a GPU form, and the bytes of their vectors."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from ragbench.indexes.dense.gpu import forms


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
    assert forms.size_of(faiss, index) == 200 * bytes_each


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
    assert forms.has_form(faiss, index) == expected
