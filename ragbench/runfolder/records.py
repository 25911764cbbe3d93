"""``records/MODEL+TASK+ARM.0.jsonl``: raw answers, appended and never rewritten."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragbench.base.files import write_jsonl
from ragbench.runfolder.schema import SPARSE, parse_lines, to_json

ASK_AGAIN = "remove the line; the question is then asked again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One answer, or the backend's error.

    Attributes:
        key: Digest of task, question, model, prompt, scoring, decoding and seed.
        passages: Ids of the delivered passages in prompt order.
        prompt: Digest of the rendered prompt; empty if unknown.
        log_likelihoods: One per option; None if the answer was generated or is missing.
        option_tokens: Number of tokens of each option.
        reply: The reply as the model wrote it; None if options were scored.
        elapsed_s: Seconds that the model took.
        error: The backend's error; None if it answered.
        finish: How the answer ended: ``scored``, ``stop``, ``length``, ``error``, or as imported.
        opened: Marker of a reasoning trace that the prompt opened, if it did.
        reply_before_filter: An imported reply before lm-eval's filter, if that changed it.
        replaced: Halves of characters (lone surrogates) that are U+FFFD in the reply.
    """

    key: str
    model: str = ""
    task: str = ""
    arm: str = ""
    seed: int = 0
    scoring: str = ""
    question_id: str
    passages: tuple[str, ...] = ()
    prompt: str
    log_likelihoods: tuple[float, ...] | None
    option_tokens: tuple[int, ...] | None = None
    reply: str | None = None
    reply_tokens: int | None = None
    prompt_tokens: int | None = None
    elapsed_s: float | None = None
    error: str | None
    finish: str | None = None
    opened: str | None = field(default=None, metadata=SPARSE)
    reply_before_filter: str | None = field(default=None, metadata=SPARSE)
    replaced: int | None = field(default=None, metadata=SPARSE)


def read_records(path: Path) -> Iterator[Record]:
    """Yield one cell's records in the order written; none if there is no file.

    Raises:
        DataError: A field of a record is missing or unreadable.
    """
    if path.exists():
        for _, record in parse_lines(Record, path, what="record", fix=ASK_AGAIN):
            yield record


def last_records(path: Path) -> dict[str, Record]:
    """Return the last record of each question: a later answer replaces an earlier error."""
    return {record.question_id: record for record in read_records(path)}


def record_to_json(record: Record, *, imported: bool = False) -> dict[str, Any]:
    """Return the object of a record; an imported one has its error after its finish."""
    value = to_json(record)
    if imported:
        for key in ("error", "reply_before_filter"):
            if key in value:
                value[key] = value.pop(key)
    return value


def write_imported_records(path: Path, records: Iterable[Record]) -> None:
    """Write one cell of an imported run; other runs append line by line."""
    write_jsonl(path, (record_to_json(record, imported=True) for record in records))
