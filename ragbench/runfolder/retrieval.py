"""``retrieval/``: inputs of each ranking, and its quality."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ragbench.base.files import read_json, write_json, write_jsonl
from ragbench.runfolder.schema import SPARSE, parse, parse_lines, to_json


def _sparse() -> Any:
    """Return a field that is None by default, and then not written."""
    return field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalNote:
    """Inputs of a ranking by an index, by a fusion, or from a run file.

    Attributes:
        index: Digest of the index.
        parts: Digests of the indexes of a fusion.
        run_file: Digest of a run file.
        queries: Digest of the queries.
        depth: Number of passages ranked per question.
        k0: Constant of the fusion.
        corpus_digest: Digest of the corpus of a run file.
        kind: ``index``, ``fusion`` or ``run file``.
        index_name: Name of the index, fusion or file.
        corpus: Name of the corpus.
        gold: Digest of the gold passages that the ranking was compared with.
        measures: Computed measures.
        gold_matches: What the gold ids match: passages, documents, or nothing.
    """

    index: str | None = _sparse()
    parts: tuple[str, ...] | None = _sparse()
    run_file: str | None = _sparse()
    queries: str | None = _sparse()
    depth: int | None = _sparse()
    k0: int | None = _sparse()
    corpus_digest: str | None = _sparse()
    kind: str | None = _sparse()
    index_name: str | None = _sparse()
    corpus: str | None = _sparse()
    gold: str | None = _sparse()
    measures: tuple[str, ...] | None = _sparse()
    gold_matches: str | None = _sparse()

    def says(self, asked: RetrievalNote) -> bool:
        """Say whether this note has every value that another note states."""
        return all(
            getattr(asked, part.name) in (None, getattr(self, part.name)) for part in fields(self)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityLine:
    """One retrieval measure of one question; NaN if the measure is undefined."""

    question_id: str
    measure: str
    value: float


def read_note(path: Path) -> RetrievalNote:
    """Return the note of a ranking; an empty one if there is no file."""
    if not path.is_file():
        return RetrievalNote()
    return parse(RetrievalNote, read_json(path, what="the note of a retrieval"), str(path))


def write_note(path: Path, note: RetrievalNote) -> None:
    """Write the note of a ranking."""
    write_json(path, to_json(note))


def read_quality(path: Path) -> list[QualityLine]:
    """Return the measures of a ranking, question by question."""
    return [line for _, line in parse_lines(QualityLine, path)]


def write_quality(path: Path, lines: Iterable[QualityLine]) -> None:
    """Write the measures of a ranking."""
    write_jsonl(path, map(to_json, lines))
