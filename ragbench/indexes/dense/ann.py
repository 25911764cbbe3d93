"""FAISS indexes from factory strings: made, trained, filled and set for searching."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ragbench.base.errors import DataError, UsageError, space_for
from ragbench.base.files import plain_file, write_text
from ragbench.base.progress import stage
from ragbench.indexes.dense import flatcodes
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.dense.gpu.training import train
from ragbench.indexes.dense.library import faiss_reason

MIN_ROWS_A_CELL = 39  # where FAISS begins to warn that cells are badly placed
FEW_LINKS = re.compile(r"HNSW0*[01](?!\d)")
CELLS = re.compile(r"(?<![A-Za-z])IVF([0-9]+)")
AUTO_IVF = re.compile(r"(?<![A-Za-z])IVF(?=[,_]|$)")
KNOBS = {
    "nprobe": "nprobe",
    "ef_search": "efSearch",
    "ef_construction": "efConstruction",
    "k_factor": "k_factor_rf",
}
TRAINED = "trained.faiss"
ADDING = "adding.faiss"
FILLED_FROM = "filled-from.txt"
CHECKPOINT_S = 300.0
FILES_OF_A_CALL = 16  # of the embeddings: 131,072 vectors


def metric_number(faiss: Any, metric: str) -> int:
    """Return FAISS's number of a metric; cosine is the inner product of unit vectors."""
    return int(faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT)


def resolve_factory(factory: str, n: int) -> str:
    """Return a factory string with the number of cells of a bare ``IVF`` for n vectors.

    It has 4 * sqrt(n) cells, or fewer where a cell would hold less than 39 vectors.
    """
    cells = max(1, min(round(4 * math.sqrt(n)), n // MIN_ROWS_A_CELL))
    return AUTO_IVF.sub(f"IVF{cells}", factory)


def training_rows(factory: str, n: int, wanted: int) -> int:
    """Return how many of n vectors train an index of a resolved factory string.

    They are as many as are wanted, or more where a cell of IVF would have fewer than 39 of them.
    """
    cells = CELLS.search(factory)
    return min(n, max(wanted, MIN_ROWS_A_CELL * int(cells[1]) if cells else 0))


def new_index(faiss: Any, factory: str, dimension: int, metric: str) -> Any:
    """Return an empty FAISS index of a resolved factory string, the metric set in all its parts.

    Raises:
        UsageError: FAISS does not know the string, or cannot do it with this metric or dimension.
    """
    if FEW_LINKS.search(factory):  # FAISS itself would end the process
        raise _refused(factory, dimension, metric, "a graph needs two links a vector at least")
    try:
        index = faiss.index_factory(dimension, factory, metric_number(faiss, metric))
    except RuntimeError as error:
        raise _refused(factory, dimension, metric, faiss_reason(error)) from None
    if index.metric_type != metric_number(faiss, metric):
        raise _refused(factory, dimension, metric, "it has another metric")
    if isinstance(index, faiss.IndexIVF) and index.nlist < 1:
        raise _refused(factory, dimension, metric, "it has no cells; a bare IVF counts its own")
    if isinstance(index, (faiss.IndexNSG, faiss.IndexNNDescent)):
        raise _refused(factory, dimension, metric, "it cannot be filled block by block; take HNSW")
    if "IDMap" in factory:
        raise _refused(factory, dimension, metric, "rows are the ids here; leave IDMap away")
    return index


def _refused(factory: str, dimension: int, metric: str, reason: str) -> UsageError:
    return UsageError(
        f"FAISS makes no {factory!r} over {dimension} dimensions with {metric}: {reason}",
        where="recipe: factory",
        fix="write Flat, HNSW32, IVF,Flat or another string of FAISS's index factory",
    )


def set_knobs(faiss: Any, index: Any, knobs: dict[str, int], *, factory: str) -> None:
    """Set what a recipe says of building and searching, by the recipe's names.

    Raises:
        UsageError: The index has no such setting.
    """
    for name, value in knobs.items():
        try:
            faiss.ParameterSpace().set_index_parameter(index, KNOBS[name], value)
        except RuntimeError:
            raise UsageError(
                f"an index of the factory {factory!r} has no {name}",
                where=f"recipe: {name}",
                fix="nprobe belongs to IVF; ef_search and ef_construction belong to HNSW; "
                "k_factor belongs to codes with RFlat or Refine(...)",
            ) from None


def range_parameters(faiss: Any, index: Any, rows: range) -> Any:
    """Return FAISS's search parameters for a range of rows alone, on the processor.

    None is returned for an index that cannot do it, or only with a loss.
    """
    selector = faiss.IDSelectorRange(rows.start, rows.stop)
    if isinstance(index, (faiss.IndexIVFFlat, faiss.IndexIVFScalarQuantizer, faiss.IndexIVFPQ)):
        return faiss.SearchParametersIVF(sel=selector, nprobe=index.nprobe)
    if isinstance(index, (faiss.IndexFlat, faiss.IndexScalarQuantizer)):
        return faiss.SearchParameters(sel=selector)
    # Other codes (PQ, RQ, LSH) take no selection; a graph that is walked through few rows that
    # count finds too little.
    return None


def fill(
    faiss: Any,
    index: Any,
    stored: Embeddings,
    *,
    train_rows: int,
    seed: int,
    path: Path,
    all_threads: bool = False,
) -> Any:
    """Return an index, trained on a sample if it needs training, filled and written to ``path``.

    The folder keeps what is trained, and every few minutes what has been added, so that a build
    that was killed resumes. Plain codes are written to the file block by block. A graph is filled
    by one thread unless ``all_threads`` is set: with more, its links depend on which of them is
    first, and no two builds give the same file.
    """
    n, work = len(stored.corpus), path.parent
    _forget_other_vectors(work, path, stored.digest)
    kept = next((work / file for file in (ADDING, TRAINED) if (work / file).is_file()), None)
    if kept is not None:
        index = faiss.read_index(str(kept))
    if not index.is_trained:
        _train(faiss, index, stored, train_rows, seed)
        write_index(faiss, index, work / TRAINED)
    head = flatcodes.header(faiss, index, n)
    if head is None:
        _add(faiss, index, stored, seed, work, all_threads)
        write_index(faiss, index, path)
    else:
        flatcodes.write(index, head, stored, path)
        index = read_mapped(faiss, str(path))
    for file in (TRAINED, ADDING, FILLED_FROM):
        (work / file).unlink(missing_ok=True)
    return index


def _forget_other_vectors(work: Path, path: Path, digest: str) -> None:
    """Remove what a build that was stopped made of other vectors, as on a GPU in bfloat16."""
    note = work / FILLED_FROM
    if note.is_file() and note.read_text(encoding="utf-8") == digest:
        return
    for leftover in (work / TRAINED, work / ADDING, flatcodes.half_of(path)):
        leftover.unlink(missing_ok=True)
    write_text(note, digest)


def _graph(faiss: Any, index: Any) -> Any:
    """Return the graph of an index, also behind transforms and under a refinement, or None."""
    while isinstance(index, (faiss.IndexPreTransform, faiss.IndexRefine)):
        is_refined = isinstance(index, faiss.IndexRefine)
        index = faiss.downcast_index(index.base_index if is_refined else index.index)
    return index if hasattr(index, "hnsw") else None


def _blocks(stored: Embeddings, first: int, count: int) -> Iterator[tuple[int, Any]]:
    """Yield (first row, vectors) of ``count`` files at a time, from the row ``first`` on."""
    files = ((start, vectors) for start, vectors in stored.shards() if start >= first)
    while some := list(islice(files, count)):
        vectors = [vectors for _, vectors in some]
        block = vectors[0] if len(some) == 1 else np.concatenate(vectors)
        yield some[0][0], np.ascontiguousarray(block, dtype=np.float32)


def _add(
    faiss: Any, index: Any, stored: Embeddings, seed: int, work: Path, all_threads: bool
) -> None:
    n, name = len(stored.corpus), stored.corpus.name
    threads = faiss.omp_get_max_threads()
    graph = _graph(faiss, index)
    if graph is not None and not all_threads:
        faiss.omp_set_num_threads(1)
    # Each call prepares a lock for every vector of the graph, so that threads get large blocks.
    files = FILES_OF_A_CALL if graph is not None and all_threads else 1
    last = time.monotonic()
    try:
        with stage(f"index over {name}: adding", n) as progress:
            progress.advance(index.ntotal)
            for start, vectors in _blocks(stored, index.ntotal, files):
                if graph is not None:  # its heights, too, as if it had never stopped
                    graph.hnsw.rng = faiss.RandomGenerator(seed + start)
                index.add(vectors)
                progress.advance(len(vectors))
                if time.monotonic() - last > CHECKPOINT_S and index.ntotal < n:
                    write_index(faiss, index, work / ADDING)
                    last = time.monotonic()
    finally:
        faiss.omp_set_num_threads(threads)


def _train(faiss: Any, index: Any, stored: Embeddings, size: int, seed: int) -> None:
    n, name = len(stored.corpus), stored.corpus.name
    rows = np.sort(np.random.default_rng(seed).choice(n, size=size, replace=False))
    with stage(f"index over {name}: training", size) as progress:
        try:
            train(faiss, index, stored.rows(rows), stored.device)
        except RuntimeError as error:
            raise DataError(
                f"the index cannot be trained on {size:,} passages: {faiss_reason(error)}",
                where=str(stored.corpus.folder),
                fix="use fewer cells, shorter codes or fewer dimensions in `factory`, or Flat",
            ) from None
        progress.advance(size)


def write_index(faiss: Any, index: Any, path: Path) -> None:
    """Write an index so that the file is whole or not there."""
    half = path.with_name(f".{path.name}.tmp")
    with space_for(path):
        faiss.write_index(index, str(half))
    half.replace(path)


def read_mapped(faiss: Any, path: str) -> Any:
    """Return an index with its vectors or codes memory-mapped, where this FAISS can do that.

    It is for searching only.

    Raises:
        RuntimeError: The file is not an index.
    """
    flag = getattr(faiss, "IO_FLAG_MMAP_IFC", faiss.IO_FLAG_MMAP)
    return faiss.read_index(str(plain_file(Path(path))), flag)
