"""FAISS on NVIDIA GPUs: copied to one or several where it fits, searched by blocks where not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ragbench.base.devices import Device, pick_device
from ragbench.base.errors import PrerequisiteError, UsageError
from ragbench.base.progress import say
from ragbench.indexes.dense.ann import faiss_reason

SHARE = 0.8  # of a card's free memory; FAISS needs some for itself
BLOCK_BYTES = 1 << 30
MAX_K = 2048  # hits, and cells of one search
# Bytes of product codes that there are GPU kernels for; those above 48 with float16 tables alone.
PQ_CODES = (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96)
WIDE_CODES = 48
SCALAR_CODES = (
    *("QT_8bit", "QT_8bit_uniform", "QT_8bit_direct", "QT_6bit", "QT_4bit", "QT_4bit_uniform"),
    "QT_fp16",
)
# Gives the nearest of some vectors: (queries, vectors, k, metric) -> scores, rows.
Nearest = Callable[..., tuple[Any, Any]]


def count(faiss: Any) -> int:
    """Return how many GPUs this FAISS can use; 0 for faiss-cpu."""
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


def require(faiss: Any) -> None:
    """Refuse a machine on which FAISS can use no GPU.

    Raises:
        PrerequisiteError: There is none, or the package has no GPU support.
    """
    if count(faiss) == 0:
        raise PrerequisiteError(
            "the installed FAISS has no GPU support, or sees no GPU",
            fix="pip uninstall faiss-cpu, then pip install faiss-gpu; `ragbench doctor` shows both",
        )


def is_wanted(faiss: Any, device: Device, factory: str) -> bool:
    """Say whether an index is to be searched on GPUs.

    ``auto`` uses GPUs where both torch and FAISS see some; FAISS has no GPU form of HNSW.
    """
    if device == "cuda":
        pick_device(device)  # torch tells more about what is missing
        require(faiss)
    is_seen = count(faiss) > 0 and pick_device(device) == "cuda"
    return is_seen and "HNSW" not in factory


def has_form(faiss: Any, index: Any) -> bool:
    """Say whether FAISS can put an index onto a GPU.

    It is asked beforehand, since an error of a copy to several GPUs would end the process.

    Source: FAISS's GpuCloner, and what GpuIndexIVFPQ and GpuIndexIVFScalarQuantizer verify.
    """
    index = _inner(faiss, index)
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


def to_gpus(faiss: Any, index: Any, *, float16: bool) -> Any:
    """Return the GPU form of an index; the given one where it stays on the processor.

    It is spread over all GPUs if there are several. Exact search that does not fit is done by
    blocks of vectors, which are copied to the card one after the other; any other index that does
    not fit stays on the processor, as does one that FAISS has no GPU form of. ``float16`` holds
    ``Flat`` in half precision.
    """
    import torch

    cards = count(faiss)
    inner = _inner(faiss, index)
    float16 = float16 and isinstance(inner, faiss.IndexFlat)
    free = cards * min(torch.cuda.mem_get_info(card)[0] for card in range(cards))
    is_large = size_of(faiss, index) / (2 if float16 else 1) > SHARE * free
    why = ""
    if not has_form(faiss, index):
        why = "FAISS has no GPU form of it"
    elif getattr(inner, "nprobe", 1) > MAX_K:
        why = f"there FAISS searches at most {MAX_K:,} cells, not nprobe {inner.nprobe:,}"
    elif is_large and isinstance(index, faiss.IndexFlat):
        return BlockedFlat(faiss, index, _on_gpu(faiss, float16))
    elif is_large:
        why = "it is larger than their memory"
    else:
        try:
            return _copied(faiss, index, cards, float16 or _has_wide_codes(faiss, inner))
        except RuntimeError as error:
            why = faiss_reason(error)
    say(f"the FAISS index is searched on the processor, not on GPUs: {why}")
    return index


def check_k(k: int, n: int) -> None:
    """Refuse more hits than FAISS gives on a GPU, as their end would look like the ranking's.

    Raises:
        UsageError: It is more, and there are as many vectors.
    """
    if min(k, n) > MAX_K:
        raise UsageError(
            f"{k:,} hits are wanted, and FAISS gives at most {MAX_K:,} on a GPU",
            fix="search with --device cpu, or ask for fewer",
        )


def _copied(faiss: Any, index: Any, cards: int, float16: bool) -> Any:
    options = faiss.GpuClonerOptions() if cards == 1 else faiss.GpuMultipleClonerOptions()
    options.useFloat16 = float16
    options.use_cuvs = False  # which has other limits, and no scalar codes
    if cards == 1:
        return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index, options)
    options.shard = True
    return faiss.index_cpu_to_all_gpus(index, co=options)


def _has_wide_codes(faiss: Any, index: Any) -> bool:
    """Say whether the tables of product codes fit into a GPU's shared memory as float16 alone."""
    return isinstance(index, faiss.IndexIVFPQ) and index.pq.M > WIDE_CODES


def _inner(faiss: Any, index: Any) -> Any:
    """Return the index behind the transforms of the vectors."""
    while isinstance(index, faiss.IndexPreTransform):
        index = faiss.downcast_index(index.index)
    return index


def size_of(faiss: Any, index: Any) -> int:
    """Return the bytes of the vectors or codes of an index."""
    inner = _inner(faiss, index)
    code = getattr(inner, "code_size", 4 * index.d)
    return int(index.ntotal * (code + (8 if isinstance(inner, faiss.IndexIVF) else 0)))


def _on_gpu(faiss: Any, float16: bool) -> Nearest:
    resources = faiss.StandardGpuResources()

    def nearest(queries: Any, vectors: Any, k: int, metric: int) -> tuple[Any, Any]:
        if float16:
            queries, vectors = queries.astype(np.float16), vectors.astype(np.float16)
        found: tuple[Any, Any] = faiss.knn_gpu(resources, queries, vectors, k, metric=metric)
        return found

    return nearest


class BlockedFlat:
    """Exact search over more vectors than a card holds.

    ``index`` is an IndexFlat; memory-mapped, it need not fit into memory either. ``nearest``
    searches one block of ``block_bytes``.
    """

    def __init__(
        self, faiss: Any, index: Any, nearest: Nearest, *, block_bytes: int = BLOCK_BYTES
    ) -> None:
        self.d, self.ntotal, self.metric_type = index.d, index.ntotal, index.metric_type
        self._faiss = faiss
        self._index = index
        self._nearest = nearest
        self._rows = max(1, block_bytes // (4 * index.d))

    def search(self, queries: Any, k: int) -> tuple[Any, Any]:
        """Return scores and rows of the nearest vectors, both (Q, k), nearest first.

        Queries are float32 (Q, D); rows are -1 where there are fewer.
        """
        flat = self._faiss.rev_swig_ptr(self._index.get_xb(), self.ntotal * self.d)
        vectors = flat.reshape(self.ntotal, self.d)
        keep_max = self.metric_type == self._faiss.METRIC_INNER_PRODUCT
        heap = self._faiss.ResultHeap(len(queries), k, keep_max=keep_max)
        for start in range(0, self.ntotal, self._rows):
            block = vectors[start : start + self._rows]
            size = min(k, len(block))
            scores, rows = self._nearest(queries, block, size, self.metric_type)
            heap.add_result(
                np.ascontiguousarray(scores, np.float32),
                np.ascontiguousarray(rows + start, np.int64),
            )
        heap.finalize()
        return heap.D, heap.I
