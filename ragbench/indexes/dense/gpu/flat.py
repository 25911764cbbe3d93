"""Exact search over vectors that the cards hold: one share of the rows per card."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ragbench.indexes.dense.gpu.forms import is_half

BLOCK_BYTES = 1 << 31  # of decoded vectors in memory
# Makes an empty exact index on a card: card -> index.
Make = Callable[[int], Any]


def flat_on_cards(faiss: Any, index: Any, cards: int, make: Make) -> Any:
    """Return exact search over the rows of ``Flat`` or ``SQfp16``, dealt to the cards in order.

    Every part is filled by one call, since FAISS reserves what a call adds: with several calls the
    card would hold the vectors twice while they are moved. Parts of one card are searched one after
    the other, cards at the same time.
    """
    n, d = index.ntotal, index.d
    parts = []
    for card in range(cards):
        rows = range(n * card // cards, n * (card + 1) // cards)
        own = faiss.IndexShards(d, False, True)
        for block in _blocks(faiss, index, rows):
            part = make(card)
            part.add(block)
            own.add_shard(part)
        if rows:
            parts.append(own)
    if len(parts) == 1:
        return parts[0]
    every = faiss.IndexShards(d, True, True)
    for part in parts:
        every.add_shard(part)
    return every


def gpu_flat(faiss: Any, d: int, metric: int, *, float16: bool) -> Make:
    """Return what makes an empty exact index on a card, in half precision with ``float16``."""
    resources: dict[int, Any] = {}

    def make(card: int) -> Any:
        config = faiss.GpuIndexFlatConfig()
        config.device = card
        config.useFloat16 = float16
        config.use_cuvs = False
        if card not in resources:
            resources[card] = faiss.StandardGpuResources()
        return faiss.GpuIndexFlat(resources[card], d, metric, config)

    return make


class Transformed:
    """An index behind transforms of the vectors, which the processor applies to queries."""

    def __init__(self, transforms: Sequence[Any], index: Any) -> None:
        self._transforms = transforms
        self._index = index

    def search(self, queries: Any, k: int) -> tuple[Any, Any]:
        """Return scores and rows of the nearest vectors, both (Q, k)."""
        for one in self._transforms:
            queries = one.apply(queries)
        found: tuple[Any, Any] = self._index.search(queries, k)
        return found


def vectors_of(faiss: Any, index: Any) -> Any:
    """Return the vectors of ``Flat`` as float32 or those of ``SQfp16`` as float16, not copied.

    The array is (N, D) and must not outlive the index.
    """
    if is_half(faiss, index):
        codes = faiss.rev_swig_ptr(index.codes.data(), 2 * index.ntotal * index.d)
        return codes.view(np.float16).reshape(index.ntotal, index.d)
    flat = faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d)
    return flat.reshape(index.ntotal, index.d)


def _blocks(faiss: Any, index: Any, rows: range) -> Iterator[Any]:
    """Yield the vectors of some rows as float32: those of ``Flat`` at once, as they are mapped."""
    vectors = vectors_of(faiss, index)
    step = len(rows) if vectors.dtype == np.float32 else max(1, BLOCK_BYTES // (4 * index.d))
    for start in range(rows.start, rows.stop, max(1, step)):
        block = vectors[start : min(start + step, rows.stop)]
        yield block if block.dtype == np.float32 else _decoded(index, start, len(block))


def _decoded(index: Any, start: int, count: int) -> Any:
    return index.reconstruct_n(start, count)  # by FAISS, which is faster than NumPy
