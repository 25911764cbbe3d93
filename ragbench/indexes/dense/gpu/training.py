"""Training of IVF: the cells are placed by the cards, all else is trained on the processor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ragbench.base.devices import Device
from ragbench.base.progress import say
from ragbench.indexes.dense.gpu.cards import count, is_wanted
from ragbench.indexes.dense.gpu.flat import gpu_flat
from ragbench.indexes.dense.library import faiss_reason

# Makes an empty exact index that the centroids are searched in: (dimensions, metric) -> index.
Assigner = Callable[[int, int], Any]


def train(faiss: Any, index: Any, vectors: Any, device: Device) -> None:
    """Train an index on vectors, with GPUs where there are some and it has cells to place.

    Raises:
        RuntimeError: The index cannot be trained on these vectors.
    """
    if cells_of(faiss, index) is not None and is_wanted(faiss, device, ""):
        try:
            train_by(faiss, index, vectors, lambda d, metric: on_all_cards(faiss, d, metric))
        except RuntimeError as error:
            say(f"the cells are placed on the processor, not on GPUs: {faiss_reason(error)}")
            faiss.downcast_index(cells_of(faiss, index).quantizer).reset()
        else:
            return
    index.train(vectors)


def cells_of(faiss: Any, index: Any) -> Any:
    """Return the IVF inside an index whose cells exact search places; None if there is none."""
    ivf = faiss.try_extract_index_ivf(index)
    if ivf is None or not isinstance(faiss.downcast_index(ivf.quantizer), faiss.IndexFlat):
        return None
    return ivf


def train_by(faiss: Any, index: Any, vectors: Any, assigner: Assigner) -> None:
    """Train an index whose nearest centroids another exact index finds."""
    ivf = cells_of(faiss, index)
    found = assigner(ivf.d, ivf.quantizer.metric_type)
    ivf.clustering_index = found  # not owned: ``found`` lives until training has ended
    try:
        index.train(vectors)
    finally:
        ivf.clustering_index = None


def on_all_cards(faiss: Any, d: int, metric: int) -> Any:
    """Return an empty exact index on every card, which share the queries of a search."""
    make = gpu_flat(faiss, d, metric, float16=False)
    every = [make(card) for card in range(count(faiss))]
    if len(every) == 1:
        return every[0]
    replicas = faiss.IndexReplicas(d, True)
    for one in every:
        replicas.addIndex(one)
    return replicas
