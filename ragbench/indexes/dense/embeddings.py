"""Passage vectors on disk, shared by every index over the same corpus and encoder.

``indexes/.embeddings/DIGEST/`` holds ``about.json`` and the shards ``ROW.npy``, named by their
first row: float32 (rows, D), each with its size and SHA-256 beside it. A shard appears whole or
not at all, so a killed build goes on after the last one; one whose bytes have changed is made
again. Where there are several GPUs, each makes shards of its own. So do several machines, each of
which makes every n-th file, with the bytes that one process would write. Indexes do not need
embeddings for searching. Vectors that were made elsewhere are read where they lie. A union copies
those of its members that are here, so that none is encoded twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock
from typing import Any, Protocol, cast, get_args

import numpy as np

from ragbench.base import home
from ragbench.base.checksums import damaged
from ragbench.base.devices import Device, Dtype, pick_device, pick_dtype
from ragbench.base.errors import RagbenchError
from ragbench.base.files import (
    atomic_file,
    locked,
    read_json,
    sha256_file,
    sha256_json,
    write_json,
)
from ragbench.base.progress import Progress, say, stage
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.npy import map_array
from ragbench.corpora.union import Union
from ragbench.indexes.dense.cluster.encoding import RemoteEncoder, encoders
from ragbench.indexes.dense.encoder_model import Vectors
from ragbench.indexes.dense.encoders import NOT_OF_PASSAGES, Encoder, EncoderCard, unit
from ragbench.indexes.dense.precomputed import Precomputed
from ragbench.indexes.retriever import Rows, passage_text

FORMAT = 1
SHARD_ROWS = 8192
STEP_ROWS = 1024
ABOUT = "about.json"
SHARDS = "shards"  # of `ragbench embed`, in the note


def root() -> Path:
    """Return the folder of all embeddings of the home folder."""
    return home.home() / "indexes" / ".embeddings"


def device_names(device: Device) -> list[str]:
    """Return torch's names of the devices that share the work: every GPU, or the processor."""
    import torch

    picked = pick_device(device)
    if picked == "cpu":
        return [picked]
    return [f"{picked}:{number}" for number in range(torch.cuda.device_count())]


class Passages(Protocol):
    """Something that encodes passages: an encoder here or on a cluster."""

    def passages(self, texts: Sequence[str]) -> Vectors:
        """Encode passages that the template has been applied to, as float32 (N, D)."""


class Embeddings:
    """The vectors of one corpus by one encoder, made on demand.

    What cannot change a passage's vector (the query's prefix, the batch size) is not part of the
    identity. The device decides the number format where the card does not, unless ``make_shard``
    has started vectors in another format, as on a machine with a GPU.
    """

    def __init__(self, corpus: Corpus, card: EncoderCard, device: Device) -> None:
        self.corpus = corpus
        self.card = card
        self.device = device
        self._given = None if card.vectors is None else Precomputed(card.vectors, corpus)
        self.about: dict[str, Any] = {
            "format": FORMAT,
            "corpus": corpus.digest,
            "encoder": card.model_dump(exclude=NOT_OF_PASSAGES),
            "weights": card.passage_digest(),
        }
        if self._given is None:
            self.dtype = self._pick_dtype()
        else:
            self.dtype = self._given.dtype
            self.about["encoder"] = {"normalise": card.normalise}
        self.about["dtype"] = self.dtype
        self.digest = sha256_json(self.about)
        self.folder = root() / self.digest

    def _pick_dtype(self) -> str:
        own = pick_dtype(self.card.dtype, pick_device(self.device))
        if self.card.dtype == "auto" and not self._note(own):
            for other in get_args(Dtype):
                if SHARDS in self._note(other):
                    return str(other)
        return own

    def _note(self, dtype: str) -> dict[str, Any]:
        """Return what is noted of the vectors in a number format; nothing where there are none."""
        path = root() / sha256_json({**self.about, "dtype": dtype}) / ABOUT
        if not path.is_file():
            return {}
        try:
            return read_json(path, what="the note of the embeddings")
        except RagbenchError:
            return {}

    @property
    def is_given(self) -> bool:
        """Whether the vectors were made elsewhere and are read where they are."""
        return self._given is not None

    @property
    def planned_shards(self) -> int:
        """How many shards ``make_shard`` was asked for last; 1 if it was not."""
        count = self._note(self.dtype).get(SHARDS)
        return count if isinstance(count, int) and count > 0 else 1

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder, loaded on first use."""
        return self._loaded(None)

    def _loaded(self, device_name: str | None) -> Encoder:
        same = {} if self.is_given else {"dtype": self.dtype}
        card = self.card.model_copy(update=same)
        return Encoder(card, self.device, device_name=device_name)

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        if self._given is not None:
            return self._given.dimension
        first = self._load(0)
        return self.encoder.dimension if first is None else int(first.shape[1])

    @property
    def is_whole(self) -> bool:
        """Whether every shard is on disk."""
        return self._given is not None or all(
            self._load(start) is not None for start in self.starts()
        )

    def missing_bytes(self) -> float:
        """Return the bytes that ``make`` would still write; all of them unless it is whole."""
        return 0.0 if self.is_whole else 4.0 * self.dimension * len(self.corpus)

    def make(self) -> None:
        """Embed what is not on disk yet, or not as it was written; check what was given.

        Raises:
            DataError: Another process is embedding the same, or the vectors that were given
                cannot be those of the passages.
        """
        if self._given is not None:
            self._given.check(self.encoder.dimension)
            return
        if not self.verify():
            return
        with alone(self.folder, f"the embeddings of {self.corpus.name!r}"):
            self._make(self.starts(), {})

    def make_shard(self, shard: int, shards: int) -> int:
        """Embed the rows of one of several shards that are not on disk; return their number.

        Shards count from 1. Others may be made at the same time, on this machine or another.

        Raises:
            DataError: Another process makes the same shard.
        """
        what = f"shard {shard}/{shards} of the embeddings of {self.corpus.name!r}"
        place = self.folder.with_name(f"{self.digest}.{shard}-of-{shards}")
        with locked(place, what=what):
            return self._make(self.starts(shard, shards), {SHARDS: shards})

    def _make(self, starts: Sequence[int], notes: dict[str, Any]) -> int:
        """Embed those of some files that are missing; return how many rows they have."""
        about = {**self.about, "corpus_name": self.corpus.name, "n": len(self.corpus)}
        if self._lenders:
            about["copied_from"] = {one.corpus.name: one.digest for _, one in self._lenders}
        known = self._note(self.dtype)
        about |= {SHARDS: known[SHARDS]} if SHARDS in known else {}
        if known != about | notes:
            write_json(self.folder / ABOUT, about | notes)
        missing = self.verify(starts)
        for start in missing:
            if self._sum_path(start).is_file():
                say(f"{self._path(start)} is not as it was written; it is made again")
        n_rows, n_missing = (sum(map(self.n_rows, some)) for some in (starts, missing))
        with stage(f"index over {self.corpus.name}: embedding", n_rows) as progress:
            progress.advance(n_rows - n_missing)
            self._embed_all(missing, progress)
        return n_missing

    def verify(self, among: Sequence[int] | None = None) -> list[int]:
        """Return the first rows of the shards that are not there as they were written.

        A shard that was found whole is read again only if its time or size has changed. ``among``
        are first rows, all by default.
        """
        if self._given is not None:
            return []
        starts = self.starts() if among is None else among
        sums = {self._path(start).name: self._sum(start) for start in starts}
        wrong = damaged(self.folder, {name: facts for name, facts in sums.items() if facts})
        return [
            start
            for start, (name, facts) in zip(starts, sums.items(), strict=True)
            if facts is None or name in wrong
        ]

    def shards(self) -> Iterator[tuple[int, Vectors]]:
        """Yield (first row, vectors) of each shard, memory-mapped."""
        for start in self.starts():
            yield start, self._shard(start)

    def rows(self, rows: Sequence[int] | Rows) -> Vectors:
        """Return the vectors of some rows, as float32 (R, D)."""
        wanted = np.asarray(rows, dtype=np.int64)
        if self._given is not None:
            return self._scaled(self._given.rows(wanted))
        found = np.empty((len(wanted), self.dimension), dtype=np.float32)
        for start in np.unique(wanted // SHARD_ROWS) * SHARD_ROWS:
            here = (wanted >= start) & (wanted < start + SHARD_ROWS)
            found[here] = self._shard(int(start))[wanted[here] - start]
        return found

    def starts(self, shard: int = 1, shards: int = 1) -> range:
        """Return the first rows of the files of one of several shards; all by default."""
        return range((shard - 1) * SHARD_ROWS, len(self.corpus), shards * SHARD_ROWS)

    def shard_of(self, start: int, shards: int) -> int:
        """Return which of several shards makes the file with a first row."""
        return start // SHARD_ROWS % shards + 1

    def n_rows(self, start: int) -> int:
        """Return the number of rows of the file with a first row."""
        return min(SHARD_ROWS, len(self.corpus) - start)

    def _path(self, start: int) -> Path:
        return self.folder / f"{start:012d}.npy"

    def _sum_path(self, start: int) -> Path:
        return self._path(start).with_suffix(".json")

    def _sum(self, start: int) -> dict[str, Any] | None:
        """Return the size and SHA-256 of a shard of the right length; None if there is none."""
        if self._load(start) is None:
            return None
        try:
            facts = read_json(self._sum_path(start), what="the sum of a shard")
        except RagbenchError:
            return None
        is_whole = isinstance(facts.get("size"), int) and isinstance(facts.get("sha256"), str)
        return facts if is_whole else None

    def _shard(self, start: int) -> Vectors:
        found = self._load(start)
        if found is None:
            raise FileNotFoundError(self._path(start))
        return found

    def _load(self, start: int) -> Vectors | None:
        """Return a shard; None if it is not there, or was cut to another length."""
        rows = self.n_rows(start)
        if self._given is not None:
            return self._scaled(self._given.slice(start, start + rows))
        try:
            found: Vectors = map_array(self._path(start))
        except (OSError, ValueError):
            return None
        return found if found.ndim == 2 and len(found) == rows else None

    def _scaled(self, vectors: Vectors) -> Vectors:
        return unit(vectors) if self.card.normalise else vectors

    def _embed_all(self, starts: Sequence[int], progress: Progress) -> None:
        """Embed shards, by as many workers as there are devices, or those of a cluster."""
        with encoders(self.corpus) as pool:
            if pool is None:
                self._embed_here(starts, progress)
                return
            remote = RemoteEncoder(pool, self.card, self.device, cast("Dtype", self.dtype))
            self._side_by_side(starts, [lambda: remote] * pool.size, progress)

    def _embed_here(self, starts: Sequence[int], progress: Progress) -> None:
        names = device_names(self.device)[: len(starts)]
        if len(names) < 2:
            for start in starts:
                self._embed(start, self.encoder, progress, Lock())
            return
        self._side_by_side(starts, [partial(self._loaded, name) for name in names], progress)

    def _side_by_side(
        self,
        starts: Sequence[int],
        encoders: Sequence[Callable[[], Passages]],
        progress: Progress,
    ) -> None:
        """Embed shards by several encoders; the first error stops all."""
        queue: SimpleQueue[int] = SimpleQueue()
        for start in starts:
            queue.put(start)
        stop, lock = Event(), Lock()

        def work(make: Callable[[], Passages]) -> None:
            try:
                encoder = make()
                while not stop.is_set():
                    self._embed(queue.get_nowait(), encoder, progress, lock)
            except Empty:
                return
            except BaseException:
                stop.set()
                raise

        with ThreadPoolExecutor(len(encoders)) as pool:
            try:
                for done in [pool.submit(work, make) for make in encoders]:
                    done.result()
            finally:
                stop.set()

    def _texts(self, start: int, stop: int) -> Iterator[str]:
        """Yield what is embedded of the rows, each read once and not mapped."""
        for batch in self.corpus.batches(start, stop):
            titles, texts = (batch.column(name).to_pylist() for name in ("title", "text"))
            for title, text in zip(titles, texts, strict=True):
                yield passage_text(self.card.template, title, text)

    @cached_property
    def _lenders(self) -> list[tuple[int, Embeddings]]:
        """The members of a union whose vectors are here, each with its first row in the union.

        A vector's last bits may depend on what it shared a batch with, as they do on batch sizes.
        """
        if not isinstance(self.corpus, Union):
            return []
        starts = [rows.start for rows in self.corpus.ranges.values()]
        every = [Embeddings(one, self.card, self.device) for one in self.corpus.members]
        return [pair for pair in zip(starts, every, strict=True) if not pair[1].verify()]

    def _spans(self, start: int, stop: int) -> Iterator[tuple[range, Vectors | None]]:
        """Yield consecutive rows, with their vectors where a member has them."""
        for first, lender in self._lenders:
            low, high = max(start, first), min(stop, first + len(lender.corpus))
            if low < high:
                yield range(start, low), None
                yield range(low, high), lender.rows(np.arange(low - first, high - first))
                start = high
        yield range(start, stop), None

    def _embed(self, start: int, encoder: Passages, progress: Progress, lock: Lock) -> None:
        stop = start + self.n_rows(start)
        step = min(STEP_ROWS, SHARD_ROWS // 8)
        parts: list[Vectors] = []
        for rows, vectors in self._spans(start, stop):
            every = self._texts(rows.start, rows.stop) if vectors is None else iter(())
            if vectors is not None:
                parts.append(vectors)
                with lock:
                    progress.advance(len(rows))
            while texts := list(islice(every, step)):
                parts.append(encoder.passages(texts))
                with lock:
                    progress.advance(len(texts))
        with atomic_file(self._path(start)) as handle:
            np.save(handle, np.concatenate(parts))
        facts = {"size": self._path(start).stat().st_size, "sha256": sha256_file(self._path(start))}
        write_json(self._sum_path(start), facts)


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Hold the locks of a folder of embeddings and of every shard that was started.

    Raises:
        DataError: Another process writes to the folder.
    """
    with ExitStack() as locks:
        locks.enter_context(locked(folder, what=what))
        for lock in sorted(folder.parent.glob(f".{folder.name}.*-of-*.lock")):
            place = lock.with_name(lock.name[1:].removesuffix(".lock"))
            locks.enter_context(locked(place, what=what))
        yield
