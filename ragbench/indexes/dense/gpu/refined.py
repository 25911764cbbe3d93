"""Codes on the cards, and their hits ranked again on the processor by finer vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

BATCH_BYTES = 1 << 28  # of finer vectors in memory


class Refined:
    """What a refined index of FAISS finds, which has no GPU form, with the base searched elsewhere.

    ``index`` is the refined index on the processor, and ``base`` the GPU form of its codes.
    """

    def __init__(self, faiss: Any, index: Any, base: Any) -> None:
        self.d, self.ntotal, self.metric_type = index.d, index.ntotal, index.metric_type
        self.factor = float(index.k_factor)
        self._faiss = faiss
        self._index = index
        self._finer = faiss.downcast_index(index.refine_index)
        self._base = base

    def search(self, queries: Any, k: int) -> tuple[Any, Any]:
        """Return scores and rows of the nearest vectors, both (Q, k), nearest first.

        Ties are in the order of the codes; rows are -1 where there are fewer.
        """
        rows = self._base.search(queries, max(k, int(k * self.factor)))[1]
        scores = np.empty(rows.shape, np.float32)
        step = max(1, BATCH_BYTES // (4 * self.d * rows.shape[1]))
        for start in range(0, len(rows), step):
            some = slice(start, start + step)
            scores[some] = self._scores(queries[some], rows[some])
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        scores, rows = (np.take_along_axis(array, best, axis=1) for array in (scores, rows))
        is_distance = self.metric_type != self._faiss.METRIC_INNER_PRODUCT
        return np.ascontiguousarray(-scores if is_distance else scores), rows

    def _scores(self, queries: Any, rows: Any) -> Any:
        """Return inner products or minus the squared distances; minus infinity for a row of -1."""
        finer = self._finer.reconstruct_batch(np.maximum(rows, 0).ravel())
        finer = finer.reshape(*rows.shape, self.d)
        if self.metric_type == self._faiss.METRIC_INNER_PRODUCT:
            found = np.einsum("qd,qkd->qk", queries, finer)
        else:
            found = -((finer - queries[:, None]) ** 2).sum(axis=2)
        return np.where(rows < 0, -np.inf, found)
