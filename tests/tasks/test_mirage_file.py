"""MIRAGE's benchmark file: sets, records and their questions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError
from ragbench.base.records import Question
from ragbench.tasks import tasks
from ragbench.tasks.mirage import DATASETS
from ragbench.tasks.mirage_file import TASKS, is_ambiguous, read_record, records
from ragbench.tasks.pubmedqa import PubmedqaTask

PATH = Path("benchmark.json")
RECORD: dict[str, Any] = {"question": " Why? ", "options": {"B": "y ", "A": "x"}, "answer": "B"}


def test_every_set_has_its_task() -> None:
    assert set(TASKS.values()) <= set(tasks.names())
    named = {dataset.key: name for name, dataset in DATASETS.items()}
    assert named | {PubmedqaTask.SET.key: "pubmedqa"} == TASKS


def test_records_come_by_id_with_their_place() -> None:
    benchmark = {"medqa": {"b": RECORD, "a": RECORD}, "mmlu": {}}
    assert list(records(PATH, benchmark, "medqa")) == [
        ("benchmark.json, medqa, a", {**RECORD, "id": "a"}),
        ("benchmark.json, medqa, b", {**RECORD, "id": "b"}),
    ]
    assert list(records(PATH, benchmark, "mmlu")) == []


@pytest.mark.parametrize(
    ("benchmark", "what", "where"),
    [
        ({"mmlu": {}, "bioasq": {}}, "holds no set 'medqa', but mmlu, bioasq", "benchmark.json"),
        ({}, "holds no set 'medqa', but nothing", "benchmark.json"),
        ({"medqa": [RECORD]}, "the set 'medqa' is not an object of records", "benchmark.json"),
        ({"medqa": {"1": 3}}, "the record is not an object", "benchmark.json, medqa, 1"),
    ],
)
def test_what_is_not_a_set(benchmark: dict[str, Any], what: str, where: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        list(records(PATH, benchmark, "medqa"))
    assert caught.value.where == where


def test_the_question_of_a_record() -> None:
    found = read_record({**RECORD, "id": "1", "PMID": [7, "8", 7]}, "x")
    assert found == Question("1", "Why?", ("x", "y"), 1, "Why?", ("7", "8"))


@pytest.mark.parametrize(
    ("options", "answer", "ambiguous"),
    [
        (("x", "y", "X "), 0, True),
        (("x", "y", "X "), 2, True),
        (("x", "y", "X "), 1, False),
        (("a  b", "A b"), 0, True),
        (("x", "y"), 0, False),
    ],
)
def test_a_right_option_that_appears_twice(
    options: tuple[str, ...], answer: int, ambiguous: bool
) -> None:
    assert is_ambiguous(Question("q", "?", options, answer, "?")) is ambiguous


def test_an_answer_with_two_readings_is_refused() -> None:
    letters = dict(zip("ABCD", "EDAK", strict=True))
    record = {"id": "1", "question": "Which vitamin?", "options": letters, "answer": "D"}
    with pytest.raises(DataError, match="can be read in two ways"):
        read_record(record, "x")
    assert read_record(record, "x", "letter").answer == 3
