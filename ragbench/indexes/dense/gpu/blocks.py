"""Exact search over more vectors than the cards hold, by blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ragbench.indexes.dense.gpu.flat import vectors_of

BLOCK_BYTES = 1 << 30
# Gives the nearest of some vectors: (queries, vectors, k, metric) -> scores, rows.
Nearest = Callable[..., tuple[Any, Any]]


def nearest_on(faiss: Any, card: int) -> Nearest:
    """Return the search of one block by one card, in the number format of the block."""
    resources = faiss.StandardGpuResources()

    def nearest(queries: Any, vectors: Any, k: int, metric: int) -> tuple[Any, Any]:
        found: tuple[Any, Any] = faiss.knn_gpu(
            resources, queries, vectors, k, metric=metric, device=card
        )
        return found

    return nearest


class BlockedFlat:
    """Exact search over the vectors of ``Flat`` or ``SQfp16`` that stay in memory or in their file.

    ``nearest`` has one function per card; blocks of ``block_bytes`` go to whichever is free. Blocks
    are copied to a card as they are stored, without a conversion.
    """

    def __init__(
        self,
        faiss: Any,
        index: Any,
        nearest: Sequence[Nearest],
        *,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        self.d, self.ntotal, self.metric_type = index.d, index.ntotal, index.metric_type
        self._faiss = faiss
        self._index = index
        self._nearest = nearest
        self._block_bytes = block_bytes

    def search(self, queries: Any, k: int) -> tuple[Any, Any]:
        """Return scores and rows of the nearest vectors, both (Q, k), nearest first.

        Queries are float32 (Q, D), rounded to the vectors' number format; rows are -1 where there
        are fewer.
        """
        vectors = vectors_of(self._faiss, self._index)
        given = np.ascontiguousarray(queries, dtype=vectors.dtype)
        step = max(1, self._block_bytes // (vectors.itemsize * self.d))
        keep_max = self.metric_type == self._faiss.METRIC_INNER_PRODUCT
        heap = self._faiss.ResultHeap(len(queries), k, keep_max=keep_max)
        starts = range(0, self.ntotal, step)

        def ask(place: int, nearest: Nearest) -> tuple[Any, Any]:
            block = vectors[starts[place] : starts[place] + step]
            scores, rows = nearest(given, block, min(k, len(block)), self.metric_type)
            return scores, rows + starts[place]

        # One block per card at a time; merged in the order of the rows.
        with ThreadPoolExecutor(len(self._nearest)) as pool:
            for first in range(0, len(starts), len(self._nearest)):
                places = range(first, min(first + len(self._nearest), len(starts)))
                for scores, rows in pool.map(ask, places, self._nearest):
                    heap.add_result(
                        np.ascontiguousarray(scores, np.float32),
                        np.ascontiguousarray(rows, np.int64),
                    )
        heap.finalize()
        return heap.D, heap.I
