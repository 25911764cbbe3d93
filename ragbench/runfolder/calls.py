"""``retrieval/TASK+SOURCE.calls.jsonl``: what a pipeline returned for each question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ragbench.base.errors import DataError
from ragbench.base.files import read_jsonl, sha256_json, write_jsonl
from ragbench.runfolder.retrieval import SEARCH_AGAIN
from ragbench.runfolder.schema import parse, to_json


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


def sealed(line: CallLine) -> CallLine:
    """Return the line with the digest of its fields."""
    return replace(line, sum=_digest(to_json(line)))


def _digest(value: Mapping[str, object]) -> str:
    return sha256_json({key: value[key] for key in value if key != "sum"})


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
