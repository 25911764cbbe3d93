"""Postings of a corpus larger than memory: runs of passages are inverted in threads, then merged.

A *run* is some 8 MB of text. Its folder ``runs/FIRST`` (FIRST: the first row) has its terms sorted
by bytes, their postings, and the lengths of its passages. The folder appears only when complete, so
that a killed build continues after the last run. Merging processes ranges of terms and writes the
postings of each in the order of rows.
"""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ragbench.base.files import atomic_file
from ragbench.base.progress import Progress
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.bm25.tokenise import Analyser
from ragbench.indexes.retriever import FIELD

if TYPE_CHECKING:
    import pyarrow as pa

RUN_BYTES = 1 << 23
RUNS_AT_ONCE = 256  # with their terms in memory
NUMBERS = "numbers"
MERGED_AT_ONCE = 1 << 23  # postings
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PostingsRun:
    """A run on disk: the row of its first passage, and its folder."""

    first_row: int
    folder: Path

    def array(self, name: str) -> npt.NDArray[Any]:
        """Return one of its arrays in memory."""
        found: npt.NDArray[Any] = np.load(self.folder / f"{name}.npy")
        return found

    def mapped(self, name: str) -> npt.NDArray[Any]:
        """Return one of its arrays, memory-mapped."""
        found: npt.NDArray[Any] = np.load(self.folder / f"{name}.npy", mmap_mode="r")
        return found.view(np.ndarray)

    def part(self, name: str, start: int, stop: int) -> npt.NDArray[Any]:
        """Return a part of one of its int32 arrays, in memory."""
        path = self.folder / f"{name}.i32"
        return np.fromfile(path, np.int32, stop - start, offset=4 * start)

    def is_whole(self, n_texts: int) -> bool:
        """Say whether its files exist and match each other and this number of texts."""
        try:
            bounds, term_bounds = self.array("bounds"), self.array("term_bounds")
            rows = np.fromfile(self.folder / "rows.i32", np.int32)
            sizes = {(self.folder / f"{name}.i32").stat().st_size for name in ("rows", "times")}
            size = (self.folder / "terms.bin").stat().st_size
            return (
                len(self.array("lengths")) == n_texts
                and len(bounds) == len(term_bounds)
                and _ascend(bounds, rows.size)
                and _ascend(term_bounds, size)
                and sizes == {4 * rows.size}
                and (not rows.size or (rows.min() >= 0 and rows.max() < n_texts))
                and self.terms().validate(full=True) is None
            )
        except (OSError, ValueError, EOFError):
            return False

    def terms(self) -> pa.LargeStringArray:
        """Return its terms."""
        import pyarrow as pa

        bounds = self.array("term_bounds")
        data = (self.folder / "terms.bin").read_bytes()
        return pa.LargeStringArray.from_buffers(
            len(bounds) - 1, pa.py_buffer(bounds), pa.py_buffer(data)
        )


def _ascend(bounds: npt.NDArray[Any], end: int) -> bool:
    """Say whether the starts of neighbouring parts ascend from 0 to an end."""
    ends = bounds.ndim == 1 and bounds.size > 0 and bounds[0] == 0 and bounds[-1] == end
    return bool(ends and (np.diff(bounds) >= 0).all())


def invert(
    corpus: Corpus, template: str, analyser: Analyser, work: Path, progress: Progress
) -> list[PostingsRun]:
    """Return the runs of a corpus in the order of rows, inverted in one thread per processor.

    Existing runs in ``work`` are kept.
    """
    work.mkdir(parents=True, exist_ok=True)
    is_word = analyser.is_word
    runs: list[PostingsRun] = []
    threads = os.cpu_count() or 1
    waiting: deque[tuple[int, Future[None]]] = deque()

    def finish() -> None:
        count, future = waiting.popleft()
        future.result()
        progress.advance(count)

    with ThreadPoolExecutor(threads) as pool:
        for first_row, titles, texts in _pieces(corpus):
            run = PostingsRun(first_row, work / f"{first_row:012d}")
            runs.append(run)
            if run.is_whole(len(texts)):
                progress.advance(len(texts))
                continue
            future = pool.submit(_invert, run, filled(template, titles, texts), analyser, is_word)
            waiting.append((len(texts), future))
            if len(waiting) > threads:  # limits the texts in memory
                finish()
        while waiting:
            finish()
    return runs


def _pieces(corpus: Corpus) -> Iterator[tuple[int, pa.Array, pa.Array]]:
    """Yield (first row, titles, texts) of some megabytes of passages."""
    import pyarrow as pa

    slices: list[Any] = []
    row = size = 0
    for part in _slices(corpus):
        slices.append(part)
        size += part.nbytes
        if size >= RUN_BYTES:
            whole = pa.Table.from_batches(slices).combine_chunks().to_batches()[0]
            yield row, whole.column("title"), whole.column("text")
            row += len(whole)
            slices, size = [], 0
    if slices:
        whole = pa.Table.from_batches(slices).combine_chunks().to_batches()[0]
        yield row, whole.column("title"), whole.column("text")


def _slices(corpus: Corpus) -> Iterator[Any]:
    """Yield the corpus in batches of rows; batches of very long passages are divided."""
    for batch in corpus.batches():
        step = max(1, len(batch) * RUN_BYTES // max(batch.nbytes, RUN_BYTES))
        for start in range(0, len(batch), step):
            yield batch.slice(start, step)


def filled(template: str, titles: Any, texts: Any) -> Any:
    """Return the indexed texts of passages, as ``passage_text`` but without stripping blanks.

    All are Arrow strings (N).
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = pa.large_string()
    parts: list[Any] = []
    ends = [0, *(edge for found in FIELD.finditer(template) for edge in found.span())]
    for place, (start, stop) in enumerate(pairwise([*ends, len(template)])):
        piece = template[start:stop]
        if place % 2:
            parts.append(titles if piece == "{title}" else texts)
        elif piece:
            parts.append(pa.scalar(piece, kind))
    if not any(isinstance(part, pa.Array) for part in parts):
        return pa.array([template] * len(texts), kind)
    return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, pa.scalar("", kind))


def _invert(
    run: PostingsRun, texts: Any, analyser: Analyser, is_word: npt.NDArray[np.bool_]
) -> None:
    """Write the inverted passages of one run."""
    import pyarrow as pa

    from ragbench.indexes.bm25.kernels import count_terms

    codes, words, counts = encode_words(texts, is_word)
    of_word = [analyser.terms(word) for word in words]
    every = pa.array([term for terms in of_word for term in terms], pa.large_string())
    terms, numbers = _sorted_terms(every)
    starts = np.concatenate(([0], np.cumsum([len(found) for found in of_word], dtype=np.int64)))
    lengths, bounds, rows, times = count_terms(codes, counts, starts, numbers, len(terms))
    half = run.folder.parent / f".{run.folder.name}.tmp"
    shutil.rmtree(half, ignore_errors=True)
    shutil.rmtree(run.folder, ignore_errors=True)  # damaged by a crash of the machine
    half.mkdir()
    term_bounds = np.frombuffer(terms.buffers()[1], np.int64)[: len(terms) + 1]
    for name, array in (("term_bounds", term_bounds), ("bounds", bounds), ("lengths", lengths)):
        np.save(half / f"{name}.npy", array)
    (half / "terms.bin").write_bytes(memoryview(terms.buffers()[2])[: int(term_bounds[-1])])
    rows.tofile(half / "rows.i32")
    times.tofile(half / "times.i32")
    half.replace(run.folder)


def encode_words(
    texts: Any, is_word: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int32], list[str], Ints]:
    """Return the words of texts as numbers.

    Args:
        texts: Arrow large strings (N).
        is_word: Code points of words (0x110000).

    Returns:
        The number of each word, int32 (W); the distinct words; the number of words per text (N).
    """
    import pyarrow as pa

    from ragbench.indexes.bm25.splitting import split_words

    bounds = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset :][: len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    size = int(bounds[-1] - bounds[0])
    out = np.empty(size, dtype=np.uint8)
    ends = np.empty(size // 2 + len(texts) + 2, dtype=np.int32)
    counts = np.empty(len(texts), dtype=np.int64)
    n_words = split_words(data, bounds, is_word, out, ends, counts)
    words = pa.StringArray.from_buffers(n_words, pa.py_buffer(ends), pa.py_buffer(out))
    encoded = words.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return codes, encoded.dictionary.to_pylist(), counts


def _sorted_terms(every: Any) -> tuple[pa.LargeStringArray, npt.NDArray[np.int32]]:
    """Return the distinct terms sorted by bytes, and the number of each term."""
    import pyarrow.compute as pc

    encoded = every.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    rank = np.empty(len(order), dtype=np.int32)
    rank[order.to_numpy()] = np.arange(len(order), dtype=np.int32)
    numbers = encoded.indices.to_numpy(zero_copy_only=False)
    return encoded.dictionary.take(order), rank[numbers] if len(rank) else rank


def merge_terms(runs: Sequence[PostingsRun]) -> pa.LargeStringArray:
    """Return the distinct terms of all runs, sorted by bytes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pa.array([], pa.large_string())
    for start in range(0, len(runs), RUNS_AT_ONCE):
        some = (run.terms() for run in runs[start : start + RUNS_AT_ONCE])
        found = pc.unique(pa.chunked_array([found, *some]))
    return found.take(pc.sort_indices(found))


def number_terms(runs: Sequence[PostingsRun], terms: pa.LargeStringArray) -> None:
    """Write the ascending numbers of each run's terms among all ``terms`` into the run.

    One look-up serves many runs, as a corpus of many runs has many terms.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for start in range(0, len(runs), RUNS_AT_ONCE):
        some = runs[start : start + RUNS_AT_ONCE]
        each = [run.terms() for run in some]
        found = pc.index_in(pa.chunked_array(each), terms).to_numpy().astype(np.int64, copy=False)
        ends = np.cumsum([len(one) for one in each])
        for run, numbers in zip(some, np.split(found, ends[:-1]), strict=True):
            np.save(run.folder / f"{NUMBERS}.npy", numbers)


def merge(
    runs: Sequence[PostingsRun],
    indptr: Ints,
    idf: Floats,
    norms: Floats,
    factor: float,
    folder: Path,
    progress: Progress,
) -> None:
    """Write the postings of all runs by term and row: ``rows.i32`` and ``scores.f32``.

    Args:
        runs: The runs, after ``number_terms``.
        indptr: Start of each term's postings (T + 1).
        idf: Idf of each term (T).
        norms: Norm of each passage (N), as in ``kernels.place_postings``.
        factor: As in ``kernels.place_postings``.
        folder: Folder of the two files.
        progress: Advanced by the postings written.
    """
    from ragbench.indexes.bm25.kernels import place_postings

    numbers = [run.mapped(NUMBERS) for run in runs]
    bounds = [run.mapped("bounds") for run in runs]
    n_terms = indptr.size - 1
    with atomic_file(folder / "rows.i32") as rows, atomic_file(folder / "scores.f32") as scores:
        low = 0
        while low < n_terms:
            high = int(np.searchsorted(indptr, indptr[low] + MERGED_AT_ONCE, side="right")) - 1
            high = min(max(high, low + 1), n_terms)
            size = int(indptr[high] - indptr[low])
            out_rows, out_scores = np.empty(size, np.int32), np.empty(size, np.float32)
            cursor = indptr[low:high] - indptr[low]
            for run, known, edges in zip(runs, numbers, bounds, strict=True):
                first, last = np.searchsorted(known, (low, high))
                if first == last:
                    continue
                start, stop = int(edges[first]), int(edges[last])
                place_postings(
                    *(known[first:last] - low, edges[first : last + 1] - start),
                    *(run.part("rows", start, stop), run.part("times", start, stop)),
                    *(run.first_row, cursor, idf[low:high], norms, factor, out_rows, out_scores),
                )
            rows.write(out_rows.data)
            scores.write(out_scores.data)
            progress.advance(size)
            low = high
