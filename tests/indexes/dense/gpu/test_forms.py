"""Which indexes have a GPU form, and the bytes of their vectors."""

from __future__ import annotations

import faiss
import pytest

from ragbench.indexes.dense.gpu import forms


# Bytes of one of 200 vectors of 24 dimensions, and of what each card has besides.
@pytest.mark.parametrize(
    ("factory", "float16", "bytes_each", "once"),
    [
        ("Flat", False, 4 * 24 + 4, 0),  # and the squared length
        ("Flat", True, 2 * 24 + 4, 0),
        ("SQfp16", False, 2 * 24 + 4, 0),
        ("PCA16,Flat", False, 4 * 16 + 4, 0),
        ("IVF4,Flat", False, 4 * 24 + 8, 4 * 4 * 24),  # and the row; centroids
        ("IVF4,SQ8", False, 24 + 8, 4 * 4 * 24),
        ("OPQ8_16,IVF4,PQ8", False, 8 + 8, 4 * 4 * 16),
        ("OPQ8_16,IVF4,PQ8,Refine(SQ8)", False, 8 + 8, 4 * 4 * 16),
    ],
)
def test_bytes_on_the_cards(factory: str, float16: bool, bytes_each: int, once: int) -> None:
    index = faiss.index_factory(24, factory)
    held = forms.held_bytes(faiss, index, 200, float16=float16)
    assert held == 200 * bytes_each + once


def test_half_precision_of_pubmed_takes_37_gb() -> None:
    """24 million vectors of 768 numbers: 2 x 24e6 x 768 = 36.9 GB, and 4 bytes each."""
    held = forms.held_bytes(faiss, faiss.IndexFlatIP(768), 24_000_000, float16=True)
    assert held == pytest.approx(36.96e9)


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
        ("OPQ8,IVF4,PQ8,Refine(SQ8)", True),  # the codes; the processor refines
        ("IVF4,Flat,RFlat", True),
        ("HNSW8,RFlat", False),
    ],
)
def test_which_indexes_have_a_gpu_form(factory: str, expected: bool) -> None:
    index = faiss.index_factory(24, factory, faiss.METRIC_L2)
    assert forms.has_form(faiss, index) == expected
