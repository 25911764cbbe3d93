"""Passage vectors on disk, shared by every index over the same corpus and encoder.

``indexes/.embeddings/DIGEST/`` holds ``about.json`` and the shards ``ROW.npy``, named by their
first row: float32 (rows, D), each with its size and SHA-256 beside it. A shard appears whole or
not at all, so a killed build goes on after the last one; one whose bytes have changed is made
again. Where there are several GPUs, each makes shards of its own. Indexes do not need embeddings
for searching; ``ragbench index clean`` removes them. Vectors that were made elsewhere are read
where they lie. A union copies those of its members that are here, so that none is encoded twice.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock
from typing import Any, Protocol, cast

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
    identity. The device decides the number format where the card does not.
    """

    def __init__(self, corpus: Corpus, card: EncoderCard, device: Device) -> None:
        self.corpus = corpus
        self.card = card
        self.device = device
        self._given = None if card.vectors is None else Precomputed(card.vectors, corpus)
        self.dtype = (
            pick_dtype(card.dtype, pick_device(device))
            if self._given is None
            else self._given.dtype
        )
        self.about = {
            "format": FORMAT,
            "corpus": corpus.digest,
            "encoder": card.model_dump(exclude=NOT_OF_PASSAGES),
            "weights": card.passage_digest(),
            "dtype": self.dtype,
        }
        if self._given is not None:
            self.about["encoder"] = {"normalise": card.normalise}
        self.digest = sha256_json(self.about)
        self.folder = root() / self.digest

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder, loaded on first use."""
        return Encoder(self.card, self.device)

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
            self._load(start) is not None for start in self._starts()
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
        with locked(self.folder, what=f"the embeddings of {self.corpus.name!r}"):
            about = {**self.about, "corpus_name": self.corpus.name, "n": len(self.corpus)}
            if self._lenders:
                about["copied_from"] = {one.corpus.name: one.digest for _, one in self._lenders}
            write_json(self.folder / ABOUT, about)
            missing = self.verify()
            for start in missing:
                if self._sum_path(start).is_file():
                    say(f"{self._path(start)} is not as it was written; it is made again")
            with stage(f"index over {self.corpus.name}: embedding", len(self.corpus)) as progress:
                progress.advance(sum(map(self._n_rows, set(self._starts()) - set(missing))))
                self._embed_all(missing, progress)

    def verify(self) -> list[int]:
        """Return the first rows of the shards that are not there as they were written.

        A shard that was found whole is read again only if its time or size has changed.
        """
        if self._given is not None:
            return []
        sums = {self._path(start).name: self._sum(start) for start in self._starts()}
        wrong = damaged(self.folder, {name: facts for name, facts in sums.items() if facts})
        return [
            start
            for start, (name, facts) in zip(self._starts(), sums.items(), strict=True)
            if facts is None or name in wrong
        ]

    def shards(self) -> Iterator[tuple[int, Vectors]]:
        """Yield (first row, vectors) of each shard, memory-mapped."""
        for start in self._starts():
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

    def _starts(self) -> range:
        return range(0, len(self.corpus), SHARD_ROWS)

    def _n_rows(self, start: int) -> int:
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
        rows = self._n_rows(start)
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
        make = partial(Encoder, self.card, self.device)
        self._side_by_side(starts, [partial(make, device_name=name) for name in names], progress)

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
        stop = start + self._n_rows(start)
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
        size = self._path(start).stat().st_size
        facts = {"size": size, "sha256": sha256_file(self._path(start))}
        write_json(self._sum_path(start), facts)


@dataclass(frozen=True)
class Kept:
    """Embeddings on disk."""

    folder: Path
    corpus: str
    encoder: str
    size_bytes: int


def kept() -> list[Kept]:
    """Return all embeddings on disk, those of half-made builds included."""
    found: list[Kept] = []
    for folder in sorted(path for path in root().glob("*") if path.is_dir()):
        try:
            about = read_json(folder / ABOUT, what="the note of the embeddings")
        except RagbenchError:
            about = {}
        encoder = about.get("encoder")
        size = sum(path.stat().st_size for path in folder.iterdir())
        model = str(encoder.get("model", "?")) if isinstance(encoder, dict) else "?"
        found.append(Kept(folder, str(about.get("corpus_name", "?")), model, size))
    return found


def remove(embeddings: Kept) -> None:
    """Remove embeddings.

    Raises:
        DataError: A build is writing them.
    """
    with locked(embeddings.folder, what=f"the embeddings of {embeddings.corpus!r}"):
        shutil.rmtree(embeddings.folder)
