"""Which indexes FAISS can put onto a GPU, and the bytes that they take there."""

from __future__ import annotations

from typing import Any

# Bytes of product codes that there are GPU kernels for; those above 48 with float16 tables alone.
PQ_CODES = (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96)
WIDE_CODES = 48
SCALAR_CODES = (
    *("QT_8bit", "QT_8bit_uniform", "QT_8bit_direct", "QT_6bit", "QT_4bit", "QT_4bit_uniform"),
    "QT_fp16",
)


def has_form(faiss: Any, index: Any) -> bool:
    """Say whether FAISS can put an index onto a GPU.

    It is asked beforehand, since an error of a copy to several GPUs would end the process.

    Source: FAISS's GpuCloner, and what GpuIndexIVFPQ and GpuIndexIVFScalarQuantizer verify.
    """
    index = inner_of(faiss, index)
    if type(index) is faiss.IndexScalarQuantizer:
        return bool(index.sq.qtype == faiss.ScalarQuantizer.QT_fp16)
    if not isinstance(index, faiss.IndexIVF):
        return isinstance(index, faiss.IndexFlat)
    if not isinstance(faiss.downcast_index(index.quantizer), faiss.IndexFlat):
        return False
    if type(index) is faiss.IndexIVFScalarQuantizer:
        return index.sq.qtype in [getattr(faiss.ScalarQuantizer, name) for name in SCALAR_CODES]
    if type(index) is faiss.IndexIVFPQ:
        pq = index.pq
        return bool(pq.nbits == 8 and pq.M in PQ_CODES and index.by_residual)
    return type(index) is faiss.IndexIVFFlat


def has_wide_codes(faiss: Any, index: Any) -> bool:
    """Say whether the tables of product codes fit into a GPU's shared memory as float16 alone."""
    return isinstance(index, faiss.IndexIVFPQ) and index.pq.M > WIDE_CODES


def inner_of(faiss: Any, index: Any) -> Any:
    """Return the index behind the transforms of the vectors."""
    while isinstance(index, faiss.IndexPreTransform):
        index = faiss.downcast_index(index.index)
    return index


def size_of(faiss: Any, index: Any) -> int:
    """Return the bytes of the vectors or codes of an index."""
    inner = inner_of(faiss, index)
    code = getattr(inner, "code_size", 4 * index.d)
    return int(index.ntotal * (code + (8 if isinstance(inner, faiss.IndexIVF) else 0)))
