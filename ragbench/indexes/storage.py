"""The embeddings on disk: listed and removed, as ``ragbench index clean`` does."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from ragbench.base.errors import RagbenchError
from ragbench.base.files import read_json
from ragbench.indexes.dense.embeddings import ABOUT, alone, root


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
    with alone(embeddings.folder, f"the embeddings of {embeddings.corpus!r}"):
        shutil.rmtree(embeddings.folder)
