"""Exact search over more vectors than the cards hold, by blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

BLOCK_BYTES = 1 << 30
# Gives the nearest of some vectors: (queries, vectors, k, metric) -> scores, rows.
Nearest = Callable[..., tuple[Any, Any]]


def on_gpu(faiss: Any, float16: bool) -> Nearest:
    """Return the search of one block by one card, in half precision with ``float16``."""
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
