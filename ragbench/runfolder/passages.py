"""``passages.jsonl`` and ``prompts/0.jsonl``: texts that many lines refer to, each once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ragbench.base.errors import DataError
from ragbench.base.files import sha256_text, write_jsonl
from ragbench.base.records import Passage
from ragbench.runfolder.schema import AGAIN, parse_lines, to_json

Passages = Mapping[tuple[str, str], Passage]  # by corpus and id


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageLine:
    """One delivered passage, or the delivered beginning of a document."""

    corpus: str
    id: str
    doc_id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptLine:
    """One rendered prompt with the SHA-256 of its text."""

    digest: str
    text: str


def read_passages(
    path: Path, wanted: Collection[tuple[str, str]] | None = None
) -> dict[tuple[str, str], Passage]:
    """Return delivered passages by their corpus and their id, without their metadata.

    Args:
        path: The file of a run.
        wanted: Corpus and id of the passages to return; every passage by default.

    Raises:
        DataError: A wanted passage is missing.
    """
    found = {
        (line.corpus, line.id): Passage(line.id, line.doc_id, line.title, line.text)
        for _, line in parse_lines(PassageLine, path)
        if wanted is None or (line.corpus, line.id) in wanted
    }
    if wanted is not None and len(found) < len(wanted):
        corpus, name = min(set(wanted) - found.keys())
        what = f"the run has no text of the passage {name!r} of {corpus!r}"
        raise DataError(what, where=str(path), fix=AGAIN)
    return found


def write_passages(path: Path, passages: Passages) -> None:
    """Write the delivered passages, sorted by corpus and id."""
    lines = (
        PassageLine(corpus=corpus, id=p.id, doc_id=p.doc_id, title=p.title, text=p.text)
        for (corpus, _), p in sorted(passages.items())
    )
    write_jsonl(path, map(to_json, lines))


def read_prompts(path: Path) -> dict[str, str]:
    """Return every rendered prompt by its digest; empty if there is no file.

    Raises:
        DataError: A text is not that of its digest.
    """
    return {line.digest: line.text for line in prompt_lines(path)}


def prompt_lines(path: Path) -> Iterator[PromptLine]:
    """Yield every rendered prompt; none if there is no file.

    Raises:
        DataError: A text is not that of its digest.
    """
    for where, line in parse_lines(PromptLine, path) if path.exists() else ():
        if sha256_text(line.text) != line.digest:
            raise DataError("the prompt is not that of its digest", where=where, fix=AGAIN)
        yield line


def write_prompts(path: Path, prompts: Mapping[str, str]) -> None:
    """Write prompts by their digest."""
    write_jsonl(path, (to_json(PromptLine(digest=d, text=t)) for d, t in prompts.items()))
