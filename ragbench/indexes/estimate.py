"""What an index will take before it is built: disk, memory, a GPU's memory, hours.

Sizes follow from FAISS's layout: per vector its code, 8 bytes of list id (IVF), 8 M + 12 bytes of
links and their offset and level (HNSW), a second code (RFlat, Refine); and once the coarse
centroids, PQ's codebooks and OPQ's matrix. Hours rest on short measurements on this machine: a
sample of the passages is encoded, and one matrix product is timed.
"""

from __future__ import annotations

import re
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ragbench.base import home
from ragbench.base.devices import Device
from ragbench.base.errors import PrerequisiteError, UsageError
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.bm25.index import Bm25Recipe
from ragbench.indexes.composite.hybrid import HybridRecipe
from ragbench.indexes.composite.quota import QuotaRecipe
from ragbench.indexes.composite.rerank import RerankRecipe
from ragbench.indexes.dense import flatcodes, gpu
from ragbench.indexes.dense.ann import KNOBS, import_faiss, new_index, resolve_factory
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.dense.index import DenseRecipe
from ragbench.indexes.langchain.store_recipe import VectorstoreRecipe
from ragbench.indexes.langchain.stores import STORES
from ragbench.indexes.retriever import Recipe, passage_text

BASE = 600e6  # bytes of the process itself: Python, torch, FAISS
SAMPLE = 64  # passages that are encoded
BM25_SAMPLE = 2000
BM25 = "bm25"
POSTING = 8
PYTHON_FLOAT = 32.0  # bytes of a number in a list, as LangChain's store in memory has them
PASSAGE = 12  # its length (int32) and norm (float64)
TRAINING_PASSES = 25  # of k-means
# What `ragbench index estimate` sets beside a recipe, from the largest to the smallest.
TYPES = ("HNSW32", "Flat", "IVF,Flat", "SQfp16", "SQ8", "IVF,SQ8", "OPQ48,IVF,PQ48")
GROWTH = 1.05  # upper levels of a graph


@dataclass(frozen=True)
class Estimate:
    """What one index takes.

    Attributes:
        name: The recipe.
        what: The kind, or the factory with its cells counted.
        disk: Bytes of the built index.
        embeddings: Bytes of the vectors that are kept beside it, if they are not there yet.
        build_memory: Bytes of memory while it is built; pages of files that the system may drop
            are left out.
        search_memory: Bytes that are in memory after all of it has been searched.
        gpu_memory: Bytes on a GPU; None where FAISS has no GPU form.
        hours: Of building, on this machine; None if not measured.
    """

    name: str
    what: str
    disk: float
    embeddings: float
    build_memory: float
    search_memory: float
    gpu_memory: float | None
    hours: float | None

    @property
    def build_disk(self) -> float:
        """Bytes on disk at the end of the build: BM25's runs go when all postings are merged."""
        return self.embeddings + self.disk * (2 if self.what == BM25 else 1)

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)


def faiss_bytes(factory: str, dimension: int, n: int, metric: str = "inner-product") -> float:
    """Return the bytes of a FAISS file.

    Args:
        factory: A resolved factory string.
        dimension: Of the vectors.
        n: How many there are.
        metric: Of the index; some kinds have one only.

    Returns:
        Bytes; what every file has is left out.
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
    del whole  # which owns the parts that were looked at
    return float(total)


def is_streamed(factory: str, dimension: int, metric: str) -> bool:
    """Say whether an index is written block by block, so that building takes little memory."""
    faiss = import_faiss()
    return flatcodes.streams(faiss, new_index(faiss, factory, dimension, metric))


def _links(factory: str) -> int:
    found = re.search(r"HNSW(\d*)", factory)
    return int(found[1] or 32) if found else 0


def estimate(
    name: str, recipe: Recipe, corpus: Corpus, *, measure: bool, device: Device = "auto"
) -> list[Estimate]:
    """Return what an index and its parts take.

    Args:
        name: The recipe's name.
        recipe: The recipe, those that it names in their places.
        corpus: What it would be built over.
        measure: Whether hours are estimated, which takes some seconds.
        device: Where the encoder computes.

    Returns:
        One a part that has a size of its own; none for kinds whose size is not known.
    """
    if isinstance(recipe, Bm25Recipe):
        return [_bm25(name, recipe, corpus, measure)]
    if isinstance(recipe, DenseRecipe):
        return [_dense(name, recipe, Embeddings(corpus, recipe.encoder, device), measure)]
    if isinstance(recipe, VectorstoreRecipe):
        return [_store(name, recipe, Embeddings(corpus, recipe.encoder, device))]
    return [
        one
        for place, part in _parts(recipe)
        for one in estimate(f"{name}: {place}", part, corpus, measure=measure, device=device)
    ]


def _parts(recipe: Recipe) -> list[tuple[str, Recipe]]:
    """Return the recipes that stand inside another, by what they are there."""
    if isinstance(recipe, HybridRecipe):
        return [(f"part {place}", part) for place, part in enumerate(recipe.recipes())]
    if isinstance(recipe, RerankRecipe):
        return [("first", recipe.recipe())]
    return [("of", recipe.recipe())] if isinstance(recipe, QuotaRecipe) else []


def other_types(name: str, recipe: Recipe, corpus: Corpus, device: Device) -> list[Estimate]:
    """Return what FAISS's other types of index would take for the same encoder.

    Args:
        name: The recipe's name.
        recipe: The recipe.
        corpus: What it would be built over.
        device: Where the encoder computes.

    Returns:
        One a type, without hours; none of a recipe that is not FAISS's.
    """
    if not isinstance(recipe, DenseRecipe):
        return []
    settings = dict.fromkeys((*KNOBS, "target_recall"))
    stored = Embeddings(corpus, recipe.encoder, device)
    found: list[Estimate] = []
    for factory in TYPES:
        if factory == recipe.factory:
            continue
        other = recipe.model_copy(update={**settings, "factory": factory})
        with suppress(UsageError):  # codes that do not divide the dimensions
            found.append(_dense(f"({name} as)", other, stored, False))
    return found


def _bm25(name: str, recipe: Bm25Recipe, corpus: Corpus, measure: bool) -> Estimate:
    """Count the terms of a sample of passages."""
    analyse = recipe.analyser()
    rows = np.linspace(0, len(corpus) - 1, min(BM25_SAMPLE, len(corpus))).astype(int)
    postings = 0
    for row in np.unique(rows).tolist():
        passage = corpus[row]
        postings += len(set(analyse(passage_text(recipe.template, passage.title, passage.text))))
    disk = POSTING * postings / len(np.unique(rows)) * len(corpus)
    hours = disk / POSTING / 5e6 / 3600 if measure else None  # postings/s, docs/performance.md
    memory = BASE + PASSAGE * len(corpus)
    return Estimate(name, BM25, disk, 0.0, memory, BASE + disk, None, hours)


def _dense(name: str, recipe: DenseRecipe, stored: Embeddings, measure: bool) -> Estimate:
    n = len(stored.corpus)
    dimension = stored.dimension
    factory = resolve_factory(recipe.factory, n)
    disk = faiss_bytes(factory, dimension, n, recipe.metric)
    sample = 0.0 if recipe.is_exact else 4.0 * dimension * min(n, recipe.train_rows)
    in_memory = 0.0 if is_streamed(factory, dimension, recipe.metric) else disk
    faiss = import_faiss()
    empty = new_index(faiss, factory, dimension, recipe.metric)
    on_gpu = disk if gpu.has_form(faiss, empty) else None
    if on_gpu is not None and recipe.gpu_float16 and recipe.is_exact:
        on_gpu /= 2
    missing = 0.0 if stored.is_whole else 4.0 * dimension * n
    hours = _hours(stored, factory, dimension, recipe, bool(missing)) if measure else None
    return Estimate(
        *(name, factory, disk, missing, BASE + in_memory + sample, BASE + disk, on_gpu, hours)
    )


def _store(name: str, recipe: VectorstoreRecipe, stored: Embeddings) -> Estimate:
    """Count a store's vectors and texts once; what it keeps beside them is its own affair."""
    n, dimension = len(stored.corpus), stored.dimension
    missing = 0.0 if stored.is_whole else 4.0 * dimension * n
    if recipe.url:  # another machine has the store
        return Estimate(name, recipe.store, 0.0, missing, BASE, BASE, None, None)
    texts = float(stored.corpus.manifest.n_characters)
    disk = 4.0 * dimension * n + (texts if STORES[recipe.store].keeps else 0.0)
    number = PYTHON_FLOAT if recipe.store == "in-memory" else 4.0
    memory = BASE + number * dimension * n + texts
    return Estimate(name, recipe.store, disk, missing, memory, memory, None, None)


def _hours(
    stored: Embeddings, factory: str, dimension: int, recipe: DenseRecipe, has_to_encode: bool
) -> float:
    n = len(stored.corpus)
    seconds = 0.0
    if has_to_encode:
        rows = np.unique(np.linspace(0, n - 1, min(SAMPLE, n)).astype(int)).tolist()
        passages = [stored.corpus[row] for row in rows]
        template = recipe.encoder.template
        texts = [passage_text(template, p.title, p.text) for p in passages]
        stored.encoder.passages(texts[:2])
        started = time.perf_counter()
        stored.encoder.passages(texts)
        seconds += (time.perf_counter() - started) / len(texts) * n
    operations = 0.0
    cells = re.search(r"IVF(\d+)", factory)
    if cells:
        trained = min(n, recipe.train_rows) * TRAINING_PASSES
        operations += 2.0 * (n + trained) * int(cells[1]) * dimension
    if factory.startswith("HNSW"):
        around = recipe.ef_construction or 40
        operations += 2.0 * n * around * 2 * _links(factory) * dimension * 40  # one by one, unlike
    return (seconds + operations / _products_a_second()) / 3600


def _products_a_second() -> float:
    """Return how many multiplications and additions a matrix product does in a second here."""
    size = 1024
    one = np.ones((size, size), dtype=np.float32)
    one @ one
    started = time.perf_counter()
    for _ in range(4):
        one @ one
    return 4 * 2 * size**3 / (time.perf_counter() - started)


def memory_available() -> int | None:
    """Return the bytes of memory that can be had now; None where Linux does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith("MemAvailable:")), "")
    return int(found.split()[1]) * 1024 if found else None


def check_fits(name: str, recipe: Recipe, corpus: Corpus) -> None:
    """Refuse a build that cannot fit on the disk or into memory.

    Args:
        name: The recipe's name.
        recipe: The recipe.
        corpus: What it would be built over.

    Raises:
        PrerequisiteError: There is too little room.
    """
    parts = estimate(name, recipe, corpus, measure=False)
    if not parts:
        return
    wanted = sum(part.build_disk for part in parts)
    free = shutil.disk_usage(home.home()).free
    if wanted > free:
        raise PrerequisiteError(
            f"the index needs about {_gb(wanted)} on disk, and {_gb(free)} are free",
            where=str(home.home() / "indexes"),
            fix="set RAGBENCH_HOME to a larger disk, or take a smaller type: `ragbench index "
            "estimate` compares them; --anyway builds regardless",
        )
    memory, most = memory_available(), max(part.build_memory for part in parts)
    if memory is not None and most > memory:
        raise PrerequisiteError(
            f"building the index needs about {_gb(most)} of memory, and {_gb(memory)} are free",
            where=f"recipe {name!r} over {corpus.name!r}, {len(corpus):,} passages",
            fix="take a smaller type (SQ8, or IVF with PQ): `ragbench index estimate` compares "
            "them; --anyway builds regardless",
        )


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"
