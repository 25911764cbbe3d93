"""FAISS on NVIDIA GPUs: copied to one or several where it fits, searched by blocks where not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ragbench.devices import Device, pick_device
from ragbench.errors import PrerequisiteError
from ragbench.progress import say

SHARE = 0.8  # of a card's free memory; FAISS needs some for itself
BLOCK_BYTES = 1 << 30
# Gives the nearest of some vectors: (queries, vectors, k, metric) -> scores, rows.
Nearest = Callable[..., tuple[Any, Any]]


def count(faiss: Any) -> int:
    """Return how many GPUs this FAISS can use; 0 for faiss-cpu."""
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


def require(faiss: Any) -> None:
    """Refuse a machine on which FAISS can use no GPU.

    Args:
        faiss: The module.

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

    Args:
        faiss: The module.
        device: ``auto`` takes GPUs where there are some.
        factory: Of the index; FAISS has no GPU form of HNSW.

    Returns:
        Whether it is.
    """
    if device == "cuda":
        pick_device(device)  # torch tells more about what is missing
        require(faiss)
    return device != "cpu" and count(faiss) > 0 and "HNSW" not in factory


def to_gpus(faiss: Any, index: Any, *, float16: bool) -> Any:
    """Return the GPU form of an index.

    It is spread over all GPUs if there are several. Exact search that does not fit is done by
    blocks of vectors, which go to the card one after the other; any other index that does not fit
    stays on the processor.

    Args:
        faiss: The module.
        index: On the processor.
        float16: Whether ``Flat`` is held in half precision.

    Returns:
        An index.
    """
    import torch

    free = sum(torch.cuda.mem_get_info(card)[0] for card in range(count(faiss)))
    if size_of(faiss, index) / (2 if float16 else 1) > SHARE * free:
        if isinstance(index, faiss.IndexFlat):
            return BlockedFlat(faiss, index, _on_gpu(faiss, float16))
        say("the FAISS index is larger than the GPUs' memory: it is searched on the processor")
        return index
    if count(faiss) > 1:
        several = faiss.GpuMultipleClonerOptions()
        several.shard, several.useFloat16 = True, float16
        return faiss.index_cpu_to_all_gpus(index, co=several)
    one = faiss.GpuClonerOptions()
    one.useFloat16 = float16
    return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index, one)


def size_of(faiss: Any, index: Any) -> int:
    """Return the bytes of the vectors or codes of an index."""
    inner = faiss.extract_index_ivf(index) if isinstance(index, faiss.IndexIVF) else index
    code = getattr(inner, "code_size", 4 * index.d)
    return int(index.ntotal * (code + (8 if inner is not index else 0)))


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

    Args:
        faiss: The module.
        index: An IndexFlat; memory-mapped, it need not fit into memory either.
        nearest: Searches one block.
        block_bytes: The size of a block.
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
        """Return the nearest vectors of each query.

        Args:
            queries: float32 (Q, D).
            k: How many.

        Returns:
            Scores and rows, both (Q, k), nearest first; rows of -1 where there are fewer.
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
