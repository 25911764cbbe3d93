"""An index as it is searched: on the cards, by blocks, or on the processor."""

from __future__ import annotations

from typing import Any

from ragbench.base.progress import say
from ragbench.indexes.dense.gpu.blocks import BlockedFlat, on_gpu
from ragbench.indexes.dense.gpu.cards import MAX_K, count
from ragbench.indexes.dense.gpu.forms import has_form, has_wide_codes, inner_of, size_of
from ragbench.indexes.dense.library import faiss_reason

SHARE = 0.8  # of a card's free memory; FAISS needs some for itself


def to_gpus(faiss: Any, index: Any, *, float16: bool) -> Any:
    """Return the GPU form of an index; the given one where it stays on the processor.

    It is spread over all GPUs if there are several. Exact search that does not fit is done by
    blocks of vectors, which are copied to the card one after the other; any other index that does
    not fit stays on the processor, as does one that FAISS has no GPU form of. ``float16`` holds
    ``Flat`` in half precision.
    """
    import torch

    cards = count(faiss)
    inner = inner_of(faiss, index)
    float16 = float16 and isinstance(inner, faiss.IndexFlat)
    free = cards * min(torch.cuda.mem_get_info(card)[0] for card in range(cards))
    is_large = size_of(faiss, index) / (2 if float16 else 1) > SHARE * free
    why = ""
    if not has_form(faiss, index):
        why = "FAISS has no GPU form of it"
    elif getattr(inner, "nprobe", 1) > MAX_K:
        why = f"there FAISS searches at most {MAX_K:,} cells, not nprobe {inner.nprobe:,}"
    elif is_large and isinstance(index, faiss.IndexFlat):
        return BlockedFlat(faiss, index, on_gpu(faiss, float16))
    elif is_large:
        why = "it is larger than their memory"
    else:
        try:
            return _copied(faiss, index, cards, float16 or has_wide_codes(faiss, inner))
        except RuntimeError as error:
            why = faiss_reason(error)
    say(f"the FAISS index is searched on the processor, not on GPUs: {why}")
    return index


def _copied(faiss: Any, index: Any, cards: int, float16: bool) -> Any:
    options = faiss.GpuClonerOptions() if cards == 1 else faiss.GpuMultipleClonerOptions()
    options.useFloat16 = float16
    options.use_cuvs = False  # which has other limits, and no scalar codes
    if cards == 1:
        return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index, options)
    options.shard = True
    return faiss.index_cpu_to_all_gpus(index, co=options)
