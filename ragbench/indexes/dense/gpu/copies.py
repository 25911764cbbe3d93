"""An index as it is searched: on the cards, by blocks, or on the processor."""

from __future__ import annotations

from typing import Any

from ragbench.base.progress import say
from ragbench.indexes.dense.gpu.blocks import BlockedFlat, nearest_on
from ragbench.indexes.dense.gpu.cards import MAX_K, count, fits, free_bytes
from ragbench.indexes.dense.gpu.flat import Transformed, flat_on_cards, gpu_flat
from ragbench.indexes.dense.gpu.forms import (
    base_of,
    has_form,
    has_wide_codes,
    held_bytes,
    inner_of,
    is_half,
    is_refined,
    transforms_of,
)
from ragbench.indexes.dense.gpu.refined import Refined
from ragbench.indexes.dense.library import faiss_reason


class OnCards:
    """An index on the cards, and the same on the processor for what no card can do.

    ``most`` is the number of hits that the cards give at most.
    """

    def __init__(self, gpu: Any, cpu: Any, most: int = MAX_K) -> None:
        self.cpu = cpu
        self.most = most
        self._gpu = gpu
        self._said: set[str] = set()

    def search(self, queries: Any, k: int, *, params: Any = None) -> tuple[Any, Any]:
        """Return scores and rows of the nearest vectors, both (Q, k), as FAISS does.

        More hits than the cards give, ``params`` such as a range of rows, and what a card has no
        memory for, are searched for on the processor.
        """
        found: tuple[Any, Any]
        if params is not None:
            found = self.cpu.search(queries, k, params=params)
            return found
        if k <= self.most:
            try:
                found = self._gpu.search(queries, k)
            except RuntimeError as error:
                self._say(f"a GPU cannot search: {faiss_reason(error)}")
            else:
                return found
        else:
            self._say(f"FAISS gives {self.most:,} hits of this index on a GPU, and more are wanted")
        found = self.cpu.search(queries, k)
        return found

    def _say(self, why: str) -> None:
        """Say once why the processor searches."""
        if why not in self._said:
            self._said.add(why)
            say(f"{why}; the processor searches instead")


def to_gpus(faiss: Any, index: Any, *, float16: bool) -> Any:
    """Return an index with its GPU form (``OnCards``); the given one if it has none.

    It is spread over all GPUs if there are several. Exact search that does not fit is done by
    blocks of vectors, which are copied to the cards one after the other; any other index that does
    not fit stays on the processor, as does one that FAISS has no GPU form of. Of a refined index
    the codes are copied, and their hits are refined on the processor. ``float16`` holds ``Flat`` in
    half precision.
    """
    cards = count(faiss)
    base = base_of(faiss, index)
    inner = inner_of(faiss, base)
    if not has_form(faiss, index):
        return _stays(index, "FAISS has no GPU form of it")
    if isinstance(inner, faiss.IndexIVF) and inner.nprobe > MAX_K:
        cells = f"at most {MAX_K:,} cells, not nprobe {inner.nprobe:,}"
        return _stays(index, f"there FAISS searches {cells}")
    is_exact = isinstance(inner, faiss.IndexFlat) or is_half(faiss, inner)
    each = held_bytes(faiss, index, index.ntotal, float16=float16) / cards
    free = free_bytes(cards)
    found: Any
    try:
        if not fits(each, free):
            if not is_exact:
                return _stays(index, _too_large(each, free))
            found = BlockedFlat(faiss, inner, [nearest_on(faiss, card) for card in range(cards)])
        elif is_exact:
            half = float16 or is_half(faiss, inner)
            make = gpu_flat(faiss, inner.d, inner.metric_type, float16=half)
            found = flat_on_cards(faiss, inner, cards, make)
        else:
            found = _copied(faiss, base, cards, has_wide_codes(faiss, inner))
    except RuntimeError as error:
        return _stays(index, faiss_reason(error))
    if is_exact and base is not inner:
        found = Transformed(transforms_of(faiss, base), found)
    if not is_refined(faiss, index):
        return OnCards(found, index)
    refined = Refined(faiss, index, found)
    return OnCards(refined, index, int(MAX_K / max(1.0, refined.factor)))


def _stays(index: Any, why: str) -> Any:
    say(f"the FAISS index is searched on the processor, not on GPUs: {why}")
    return index


def _too_large(each: float, free: list[int]) -> str:
    rooms = ", ".join(f"{room / 1e9:,.1f}" for room in free)
    return f"it needs {each / 1e9:,.1f} GB of each, and {rooms} GB are free"


def _copied(faiss: Any, index: Any, cards: int, float16: bool) -> Any:
    options = faiss.GpuClonerOptions() if cards == 1 else faiss.GpuMultipleClonerOptions()
    options.useFloat16 = float16
    options.use_cuvs = False  # which has other limits, and no scalar codes
    if cards == 1:
        return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index, options)
    options.shard = True
    return faiss.index_cpu_to_all_gpus(index, co=options)
