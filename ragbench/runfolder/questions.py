"""``questions/TASK.jsonl``: the questions of a task, in the order asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from ragbench.base.errors import DataError
from ragbench.base.files import sha256_json, write_jsonl
from ragbench.base.records import Question
from ragbench.runfolder.schema import AGAIN, parse_lines, to_json


def question_digest(question: Question) -> str:
    """Return the digest of everything in a question."""
    return sha256_json(asdict(question))


def read_questions(path: Path) -> list[Question]:
    """Return the questions of a task in the order asked.

    Raises:
        DataError: A line is not a question, or an id is repeated.
    """
    found: dict[str, Question] = {}
    for where, question in parse_lines(Question, path):
        beyond = not 0 <= question.answer < len(question.options)
        if question.id in found or (beyond and not question.reference):
            what = "repeats an id" if question.id in found else "has an answer beyond its options"
            raise DataError(f"the question {question.id!r} {what}", where=where, fix=AGAIN)
        found[question.id] = question
    return list(found.values())


def write_questions(path: Path, questions: Iterable[Question]) -> None:
    """Write the questions of a task."""
    write_jsonl(path, map(to_json, questions))
