"""Passage vectors on disk, shared by every index over the same corpus and encoder.

``indexes/.embeddings/DIGEST/`` holds ``about.json`` and the shards ``ROW.npy``, named by their
first row: float32 (rows, D). A shard appears whole or not at all, so a killed build goes on
after the last one. Indexes do not need them for searching; ``ragbench index clean`` removes them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ragbench import home
from ragbench.corpora.store import Corpus
from ragbench.devices import Device, pick_device, pick_dtype
from ragbench.errors import RagbenchError
from ragbench.files import atomic_file, locked, read_json, sha256_json, write_json
from ragbench.indexes.encoders import Encoder, EncoderCard, Vectors
from ragbench.indexes.retriever import Rows, passage_text
from ragbench.progress import Progress, stage

FORMAT = 1
SHARD_ROWS = 8192
STEP_ROWS = 1024
ABOUT = "about.json"


def root() -> Path:
    """Return the folder of all embeddings of the home folder."""
    return home.home() / "indexes" / ".embeddings"


class Embeddings:
    """The vectors of one corpus by one encoder, made on demand.

    Args:
        corpus: Whose passages.
        card: Which encoder; what cannot change a passage's vector (the query's prefix, the batch
            size) is no part of the identity.
        device: Where the encoder computes; decides the number format where the card does not.
    """

    def __init__(self, corpus: Corpus, card: EncoderCard, device: Device) -> None:
        self.corpus = corpus
        self.card = card
        self.device = device
        self.dtype = pick_dtype(card.dtype, pick_device(device))
        self.about = {
            "format": FORMAT,
            "corpus": corpus.digest,
            "encoder": card.model_dump(exclude={"query_prefix", "batch_size", "dtype"}),
            "weights": card.digest(),
            "dtype": self.dtype,
        }
        self.digest = sha256_json(self.about)
        self.folder = root() / self.digest

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder, loaded on first use."""
        return Encoder(self.card, self.device)

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        first = self._load(0)
        return self.encoder.dimension if first is None else int(first.shape[1])

    @property
    def is_whole(self) -> bool:
        """Whether every shard is on disk."""
        return all(self._load(start) is not None for start in self._starts())

    def make(self) -> None:
        """Embed what is not on disk yet.

        Raises:
            DataError: Another process is embedding the same.
        """
        if self.is_whole:
            return
        with locked(self.folder, what=f"the embeddings of {self.corpus.name!r}"):
            about = {**self.about, "corpus_name": self.corpus.name, "n": len(self.corpus)}
            write_json(self.folder / ABOUT, about)
            with stage(f"index over {self.corpus.name}: embedding", len(self.corpus)) as progress:
                for start in self._starts():
                    kept = self._load(start)
                    if kept is None:
                        self._embed(start, progress)
                    else:
                        progress.advance(len(kept))

    def shards(self) -> Iterator[tuple[int, Vectors]]:
        """Yield (first row, vectors) of each shard, memory-mapped."""
        for start in self._starts():
            yield start, self._shard(start)

    def rows(self, rows: Sequence[int] | Rows) -> Vectors:
        """Return the vectors of some rows, as float32 (R, D)."""
        wanted = np.asarray(rows, dtype=np.int64)
        found = np.empty((len(wanted), self.dimension), dtype=np.float32)
        for start in np.unique(wanted // SHARD_ROWS) * SHARD_ROWS:
            here = (wanted >= start) & (wanted < start + SHARD_ROWS)
            found[here] = self._shard(int(start))[wanted[here] - start]
        return found

    def _starts(self) -> range:
        return range(0, len(self.corpus), SHARD_ROWS)

    def _path(self, start: int) -> Path:
        return self.folder / f"{start:012d}.npy"

    def _shard(self, start: int) -> Vectors:
        found = self._load(start)
        if found is None:
            raise FileNotFoundError(self._path(start))
        return found

    def _load(self, start: int) -> Vectors | None:
        """Return a shard; None if it is not there, or was cut to another length."""
        try:
            found: Vectors = np.load(self._path(start), mmap_mode="r")
        except (OSError, ValueError, EOFError):
            return None
        rows = min(SHARD_ROWS, len(self.corpus) - start)
        return found if found.ndim == 2 and len(found) == rows else None

    def _embed(self, start: int, progress: Progress) -> None:
        stop = min(start + SHARD_ROWS, len(self.corpus))
        step = min(STEP_ROWS, SHARD_ROWS // 8)
        parts: list[Vectors] = []
        for low in range(start, stop, step):
            rows = range(low, min(low + step, stop))
            passages = (self.corpus[row] for row in rows)
            texts = [passage_text(self.card.template, p.title, p.text) for p in passages]
            parts.append(self.encoder.passages(texts))
            progress.advance(len(rows))
        with atomic_file(self._path(start)) as handle:
            np.save(handle, np.concatenate(parts))


@dataclass(frozen=True)
class Kept:
    """Embeddings that lie on disk."""

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

    Args:
        embeddings: Which.

    Raises:
        DataError: A build is writing them.
    """
    with locked(embeddings.folder, what=f"the embeddings of {embeddings.corpus!r}"):
        shutil.rmtree(embeddings.folder)
