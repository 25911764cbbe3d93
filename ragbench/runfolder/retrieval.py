"""``retrieval/``: inputs of each ranking, what a runnable returned, and the quality."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from ragbench.base.errors import DataError
from ragbench.base.files import (
    read_json,
    read_jsonl,
    sha256_file,
    sha256_json,
    write_json,
    write_jsonl,
)
from ragbench.runfolder.schema import SPARSE, parse, parse_lines, to_json

MEASURE = re.compile(r"[A-Za-z]+@[1-9][0-9]{0,8}", re.ASCII)
Sealed = TypeVar("Sealed", "RetrievalNote", "CallLine")
SEARCH_AGAIN = "remove the folder `retrieval` of the run and give the same `ragbench run` again"


def _sparse() -> Any:
    """Return a field that is None by default, and then not written."""
    return field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalNote:
    """Inputs of a ranking by an index, a fusion or a runnable, or from a run file.

    Attributes:
        index: Digest of the index.
        parts: Digests of the indexes of a fusion.
        run_file: Digest of a run file.
        queries: Digest of the queries.
        written_by: The model that wrote the queries; None if they are the questions.
        empty_queries: Number of questions whose written query was empty, so that the question was
            the query.
        depth: Number of passages ranked per question.
        k0: Constant of the fusion.
        runnable: Digest of the code and the keys of a runnable.
        corpus_digest: Digest of the corpus of a run file or a runnable.
        kind: ``index``, ``fusion``, ``run file`` or ``runnable``.
        index_name: Name of the index, fusion, file or runnable.
        corpus: Name of the corpus.
        gold: Digest of the gold passages that the ranking was compared with.
        measures: Computed measures.
        gold_matches: What the gold ids match: passages, documents, or nothing.
        ranking_sum: Digest of the ranking's file; None in a run of format 4 or older.
        quality_sum: Digest of the file of measures.
        sum: Digest of all other fields.
    """

    index: str | None = _sparse()
    parts: tuple[str, ...] | None = _sparse()
    run_file: str | None = _sparse()
    runnable: str | None = _sparse()
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
    ranking_sum: str | None = _sparse()
    quality_sum: str | None = _sparse()
    written_by: str | None = _sparse()
    empty_queries: int | None = _sparse()
    sum: str | None = _sparse()

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


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenPassage:
    """A passage as a pipeline returned it; title and id may be empty."""

    id: str = ""
    title: str = ""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLine:
    """One call of a pipeline.

    Attributes:
        key: Digest of the pipeline's code and keys, and of the question as it was given.
        question_id: The question.
        passages: What came back, best first.
        seconds: From sending the question to the passages.
        model_calls: Calls of language models that LangChain announced.
        reported_calls: Those of them that reported their tokens.
        sent_tokens: Tokens of their prompts.
        written_tokens: Tokens of their replies.
        sum: Digest of all other fields.
    """

    key: str
    question_id: str
    passages: tuple[GivenPassage, ...]
    seconds: float
    model_calls: int = 0
    reported_calls: int = 0
    sent_tokens: int = 0
    written_tokens: int = 0
    sum: str = ""


def sealed(value: Sealed) -> Sealed:
    """Return a note or a call with the digest of its fields, which its reader compares."""
    return replace(value, sum=_digest(to_json(value)))


def _digest(value: Mapping[str, object]) -> str:
    return sha256_json({key: value[key] for key in value if key != "sum"})


def read_note(path: Path) -> RetrievalNote:
    """Return the note of a ranking; an empty one if there is no file.

    Raises:
        DataError: The note cannot be read, or has changed since it was written.
    """
    if not path.is_file():
        return RetrievalNote()
    value = read_json(path, what="the note of a retrieval")
    note = parse(RetrievalNote, value, str(path), what="note of a retrieval")
    if note.sum is not None and note.sum != _digest(value):
        what = "the note of a retrieval has changed since it was written"
        raise DataError(what, where=str(path), fix=SEARCH_AGAIN)
    return note


def check_saved(path: Path, digest: str | None) -> None:
    """Refuse a saved ranking or its measures if they are not those of the note.

    Args:
        path: The file.
        digest: Its digest by the note; None in a run of format 4 or older.

    Raises:
        DataError: The file is missing or has changed.
    """
    if digest is None:
        return
    if not path.is_file() or sha256_file(path) != digest:
        state = "has changed since it was written" if path.is_file() else "is missing"
        raise DataError(f"the file {path.name} {state}", where=str(path), fix=SEARCH_AGAIN)


def write_note(path: Path, note: RetrievalNote) -> None:
    """Write the note of a ranking."""
    write_json(path, to_json(note))


def read_quality(path: Path) -> list[QualityLine]:
    """Return the measures of a ranking, question by question."""
    found = []
    for where, line in parse_lines(QualityLine, path):
        if not MEASURE.fullmatch(line.measure):
            raise DataError(f"{line.measure!r} is no measure", where=where, fix=SEARCH_AGAIN)
        found.append(line)
    return found


def write_quality(path: Path, lines: Iterable[QualityLine]) -> None:
    """Write the measures of a ranking."""
    write_jsonl(path, map(to_json, lines))


def read_calls(path: Path) -> dict[str, CallLine]:
    """Return the last call of each question by its id; none if there is no file.

    Raises:
        DataError: A line cannot be read, or has changed since it was written.
    """
    found = {}
    for number, value in read_jsonl(path) if path.is_file() else ():
        where = f"{path}:{number}"
        line = parse(CallLine, value, where, what="call of a runnable", fix=SEARCH_AGAIN)
        if line.sum != _digest(value):
            what = "the call of a runnable has changed since it was written"
            raise DataError(what, where=where, fix=SEARCH_AGAIN)
        found[line.question_id] = line
    return found


def write_calls(path: Path, calls: Iterable[CallLine]) -> None:
    """Write calls, one per line."""
    write_jsonl(path, map(to_json, calls))
