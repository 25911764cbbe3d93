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
NORM = 4  # bytes of the squared length that a card keeps beside a vector of ``Flat``
ROW = 8  # bytes of a row's number in a list of IVF


def has_form(faiss: Any, index: Any) -> bool:
    """Say whether FAISS can search an index on a GPU; of a refined one, the codes it refines.

    It is asked beforehand, since an error of a copy to several GPUs would end the process.

    Source: FAISS's GpuCloner, and what GpuIndexIVFPQ and GpuIndexIVFScalarQuantizer verify.
    """
    index = inner_of(faiss, base_of(faiss, index))
    if is_half(faiss, index):
        return True
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


def is_half(faiss: Any, index: Any) -> bool:
    """Say whether an index is ``SQfp16``, whose codes a card searches as they are."""
    return bool(
        type(index) is faiss.IndexScalarQuantizer
        and index.sq.qtype == faiss.ScalarQuantizer.QT_fp16
    )


def has_wide_codes(faiss: Any, index: Any) -> bool:
    """Say whether the tables of product codes fit into a GPU's shared memory as float16 alone."""
    return isinstance(index, faiss.IndexIVFPQ) and index.pq.M > WIDE_CODES


def base_of(faiss: Any, index: Any) -> Any:
    """Return the index whose hits a refined index ranks again; any other index itself."""
    return faiss.downcast_index(index.base_index) if is_refined(faiss, index) else index


def is_refined(faiss: Any, index: Any) -> bool:
    """Say whether an index ranks the hits of another one again (``RFlat``, ``Refine(...)``)."""
    return isinstance(index, faiss.IndexRefine)


def inner_of(faiss: Any, index: Any) -> Any:
    """Return the index behind the transforms of the vectors."""
    while isinstance(index, faiss.IndexPreTransform):
        index = faiss.downcast_index(index.index)
    return index


def transforms_of(faiss: Any, index: Any) -> list[Any]:
    """Return the transforms of the vectors, in the order in which they are applied."""
    found = []
    while isinstance(index, faiss.IndexPreTransform):
        chain = index.chain
        found += [faiss.downcast_VectorTransform(chain.at(i)) for i in range(chain.size())]
        index = faiss.downcast_index(index.index)
    return found


def held_bytes(faiss: Any, index: Any, n: int, *, float16: bool = False) -> float:
    """Return the bytes that cards hold of an index of n vectors, all cards together.

    ``float16`` holds ``Flat`` in half precision. Each card has the centroids of an IVF.
    """
    inner = inner_of(faiss, base_of(faiss, index))
    if isinstance(inner, faiss.IndexIVF):
        return float(n * (inner.code_size + ROW) + 4 * inner.nlist * inner.d)
    if isinstance(inner, faiss.IndexFlat):
        return float(n * ((2 if float16 else 4) * inner.d + NORM))
    return float(n * (inner.sa_code_size() + NORM))
