"""MIRAGE's ``benchmark.json`` (Xiong et al. 2024): its sets, their records, and their questions.

The file is ``{set: {id: {question, options, answer, PMID?}}}``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ragbench.base.errors import DataError
from ragbench.base.records import Question
from ragbench.tasks.files import fields
from ragbench.tasks.files.rows import Located
from ragbench.tasks.mcq import read_question

# The task that asks each set.
TASKS = {
    "mmlu": "mmlu_med",
    "medqa": "medqa_us",
    "medmcqa": "medmcqa",
    "pubmedqa": "pubmedqa",
    "bioasq": "bioasq_yn",
}
LAYOUT = "{set: {id: {question, options, answer}}}"


def records(path: Path, benchmark: Mapping[str, Any], name: str) -> Iterator[Located]:
    """Yield (place, record with its id) of a set, in the order of the ids.

    Raises:
        DataError: The file has no such set, or a record is not an object.
    """
    held = benchmark.get(name)
    if not isinstance(held, dict):
        what = f"the file holds no set {name!r}, but {', '.join(benchmark) or 'nothing'}"
        raise DataError(
            f"the set {name!r} is not an object of records" if name in benchmark else what,
            where=str(path),
            fix=f"give MIRAGE's benchmark.json, {LAYOUT}, or JSON lines in a file that ends in "
            ".jsonl",
        )
    for identifier, record in sorted(held.items()):
        where = f"{path}, {name}, {identifier}"
        if not isinstance(record, dict):
            raise DataError("the record is not an object", where=where)
        yield where, {**record, "id": identifier}


def read_record(record: fields.Row, where: str, reading: fields.Reading = "either") -> Question:
    """Return the question of a record; two of its options may have the same text, as published.

    Raises:
        DataError: A field is missing or wrong.
    """
    question = read_question(record, where, reading)
    for option in question.options:
        if not option:
            raise DataError("an option is empty", where=where, fix="give it a text")
    if len(question.options) < 2:
        raise DataError(f"the question has {len(question.options)} options", where=where)
    gold = question.gold_doc_ids or fields.ids(record, "PMID", where)
    return replace(question, gold_doc_ids=gold)


def is_ambiguous(question: Question) -> bool:
    """Say whether the right option has the same text as another, but for case and blanks."""
    texts = [" ".join(option.split()).casefold() for option in question.options]
    return texts.count(texts[question.answer]) > 1
