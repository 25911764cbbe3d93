"""The protocol of open corpora, the manifest of a built one, and the folder that holds it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from ragbench.base import home
from ragbench.base.checksums import read_manifest, write_manifest
from ragbench.base.errors import DataError
from ragbench.base.records import Passage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

FORMAT = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class SourceFile:
    """A source file as it was read; the digest of one that could not be read is empty."""

    name: str
    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class Member:
    """A corpus of a union as it was joined."""

    name: str
    digest: str
    n_passages: int


@dataclass(frozen=True)
class CorpusManifest:
    """The contents of ``manifest.json`` of a built corpus."""

    name: str
    digest: str
    card_digest: str
    n_passages: int
    n_docs: int
    n_characters: int
    batch_rows: int
    skipped: dict[str, int]
    licence: str
    data_use: str
    title: str
    description: str
    source: str
    reader: str
    files: list[SourceFile]
    built_at: str
    versions: dict[str, str]
    chunking: dict[str, Any] | None = None
    members: list[Member] | None = None  # of a union
    origin: dict[str, str] | None = None
    sums: dict[str, dict[str, Any]] = field(default_factory=dict)
    noted: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)  # left out of texts or replaced in them
    format: int = FORMAT


class Terms(TypedDict):
    """The terms under which a corpus may be used."""

    licence: str
    data_use: str


class CardFacts(Terms):
    """What a manifest repeats of its card and may change without a new build."""

    title: str
    description: str
    source: str


class Corpus(Protocol):
    """An open corpus: passages by row, in constant time, and rows by id.

    Attributes:
        folder: ``corpora/NAME``.
        manifest: Facts of the build.
        id_order: int64 (N,), the rows by ascending id.
        id_rank: int64 (N,), the place of each row in that order.
    """

    folder: Path
    manifest: CorpusManifest
    id_order: npt.NDArray[np.int64]
    id_rank: npt.NDArray[np.int64]

    @property
    def members(self) -> tuple[Corpus, ...]:
        """The corpora of a union, in the order of their rows; none of a stored corpus."""

    @property
    def name(self) -> str:
        """The corpus's name."""

    @property
    def digest(self) -> str:
        """SHA-256 of the passages' contents."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> Passage: ...

    def __iter__(self) -> Iterator[Passage]: ...

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield each passage as its id, doc_id, title, text and meta (JSON)."""

    def batches(self, start: int = 0, stop: int | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the passages from row ``start`` to before ``stop`` as Arrow record batches.

        Columns are id, doc_id, title, text and meta (JSON). Batches are read, not mapped: only
        one is in memory at a time.
        """

    def ids_of(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> list[tuple[str, str]]:
        """Return (id, doc_id) of many rows, in their order; IndexError if a row is outside."""

    def find(self, identifier: str) -> int | None:
        """Return the row of a passage id, or None."""

    def rows_of_doc(self, doc_id: str) -> list[int]:
        """Return the rows of a document's passages in text order; empty if it is unknown."""

    def match(self, identifier: str, *, prefer: str = "") -> int | None:
        """Return the row of a passage id as gold and qrels write it, or None.

        Over a union the id may omit the name of its corpus: it is looked for in the corpus
        ``prefer`` first, and then must be in one member alone (else DataError).
        """

    def match_doc(self, doc_id: str, *, prefer: str = "") -> list[int]:
        """Return the rows of a document as gold and qrels write it; see ``match``."""


def folder_of(name: str) -> Path:
    """Return the folder of a corpus's built passages."""
    return home.home() / "corpora" / home.check_name(name, what="a corpus")


def is_built(name: str) -> bool:
    """Return whether a corpus has been built in the home folder."""
    return (folder_of(name) / MANIFEST).is_file()


def rebuild_command(name: str) -> str:
    """Return the command that builds a corpus anew."""
    return f"ragbench corpus build {name} --replace"


def other_content(name: str) -> DataError:
    """Return the error of a build whose corpus is there already, with other content."""
    return DataError(
        f"the corpus {name!r} is built already, from another card or other files",
        where=str(folder_of(name)),
        fix=f"{rebuild_command(name)}, or give the new one another name",
    )


def update_manifest(corpus: Corpus, facts: CardFacts, card_digest: str) -> bool:
    """Write what has changed on the card into a corpus's manifest; return whether anything has."""
    fresh = replace(corpus.manifest, **facts, card_digest=card_digest)
    is_changed = fresh != corpus.manifest
    if is_changed:
        write_manifest(corpus.folder / MANIFEST, asdict(fresh))
    return is_changed


def manifest_of(folder: Path) -> CorpusManifest:
    """Return the manifest of a built corpus; DataError if it is missing or damaged."""
    fix = rebuild_command(folder.name)
    return read_manifest(folder / MANIFEST, CorpusManifest, FORMAT, what="the corpus", fix=fix)
