"""Sizes of FAISS indexes, and seconds of building them on this machine.

Sizes follow from FAISS's layout: per vector its code, 8 bytes of list id (IVF), 8 M + 12 bytes of
links and their offset and level (HNSW), a second code (RFlat, Refine); and once the coarse
centroids, PQ's codebooks and OPQ's matrix. Seconds rest on short measurements: a sample of the
passages is encoded, and one matrix product is timed.
"""

from __future__ import annotations

import re
import time

import numpy as np

from ragbench.indexes.dense.ann import new_index
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.dense.library import import_faiss
from ragbench.indexes.retriever import passage_text

SAMPLE = 64  # passages that are encoded
TRAINING_PASSES = 25  # of k-means
GROWTH = 1.05  # upper levels of a graph


def faiss_bytes(factory: str, dimension: int, n: int, metric: str = "inner-product") -> float:
    """Return the bytes of a FAISS file, without the constant head of every file.

    ``factory`` is resolved: its cells are counted.
    """
    faiss = import_faiss()
    whole = index = new_index(faiss, factory, dimension, metric)
    total = 0.0
    if isinstance(index, (faiss.IndexRefine, faiss.IndexRefineFlat)):
        total += n * faiss.downcast_index(index.refine_index).sa_code_size()
        index = faiss.downcast_index(index.base_index)
    if isinstance(index, faiss.IndexPreTransform):
        total += 4.0 * index.d * faiss.downcast_index(index.index).d
        index = faiss.downcast_index(index.index)
    if isinstance(index, faiss.IndexIVF):
        total += n * (index.code_size + 8) + 4.0 * index.nlist * index.d
        if "HNSW" in factory:  # of the centroids
            total += index.nlist * 8 * _links(factory)
    elif hasattr(index, "hnsw"):
        code = faiss.downcast_index(index.storage).sa_code_size()
        total += n * (code + GROWTH * 8 * _links(factory) + 12)
    else:
        total += n * index.sa_code_size()
    if hasattr(index, "pq"):
        total += 4.0 * index.pq.ksub * index.d
    del whole  # owns the parts, so it must live until here
    return float(total)


def _links(factory: str) -> int:
    found = re.search(r"HNSW(\d*)", factory)
    return int(found[1] or 32) if found else 0


def encoding_seconds(stored: Embeddings) -> float:
    """Return the seconds of encoding the corpus, from those of a sample."""
    n = len(stored.corpus)
    rows = np.unique(np.linspace(0, n - 1, min(SAMPLE, n)).astype(int)).tolist()
    passages = [stored.corpus[row] for row in rows]
    template = stored.card.template
    texts = [passage_text(template, p.title, p.text) for p in passages]
    stored.encoder.passages(texts[:2])
    started = time.perf_counter()
    stored.encoder.passages(texts)
    return (time.perf_counter() - started) / len(texts) * n


def operations(factory: str, dimension: int, n: int, *, trained: int, around: int) -> float:
    """Return the multiplications and additions of training and adding ``n`` vectors.

    ``trained`` vectors train the cells of IVF; ``around`` is HNSW's ``ef_construction``.
    """
    total = 0.0
    cells = re.search(r"IVF(\d+)", factory)
    if cells:
        total += 2.0 * (n + trained * TRAINING_PASSES) * int(cells[1]) * dimension
    if factory.startswith("HNSW"):  # one by one, some 40 times slower than a matrix product
        total += 2.0 * n * around * 2 * _links(factory) * dimension * 40
    return total


def products_per_second() -> float:
    """Return the multiplications and additions of a matrix product per second here."""
    size = 1024
    one = np.ones((size, size), dtype=np.float32)
    one @ one
    started = time.perf_counter()
    for _ in range(4):
        one @ one
    return 4 * 2 * size**3 / (time.perf_counter() - started)
