"""What every registered task keeps to."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ragbench.base.errors import DataError, UsageError
from ragbench.metrics import metrics
from ragbench.tasks import tasks
from ragbench.tasks.task import about, check_options
from tests.tasks.clue_files import FILES, every, make

OF_FILES = [name for name in tasks.names() if name in FILES]
GENERATED = ["hpo", "icd10cm"]


@pytest.mark.parametrize("name", OF_FILES)
def test_a_task_of_a_file_states_what_it_is_and_gives_whole_questions(name: str) -> None:
    task = make(name)
    info, questions = task.info, every(task)
    assert info.instruction
    assert info.licence == task.about.licence
    assert (info.data_use, info.cluster_unit) == (task.about.data_use, task.about.cluster_unit)
    assert info.scoring == task.about.scoring
    assert info.metrics == task.about.metrics
    assert info.reply_limit == task.about.reply_limit
    assert len({question.id for question in questions}) == len(questions) > 0
    for question in questions:
        assert not any(c.isspace() for c in question.id)
        assert question.text
        assert question.query
        assert (question.cluster is None) == (info.cluster_unit is None)
        assert bool(question.reference) == (info.answers == "text")
        if info.answers != "text":
            check_options(question.options, question.answer, where=question.id)
    assert every(make(name)) == questions


@pytest.mark.parametrize("name", GENERATED)
def test_a_task_states_what_it_is_and_gives_whole_questions(name: str) -> None:
    kind = tasks.get(name)
    info = kind(kind.Options()).info
    assert info.instruction
    assert info.licence
    assert all(metric in metrics for metric in info.metrics)
    questions = kind(kind.Options()).questions(limit=20, seed=1)
    assert len({question.id for question in questions}) == len(questions) == 20
    for question in questions:
        assert not any(c.isspace() for c in question.id)
        assert len(set(question.options)) == len(question.options) >= 2
        assert 0 <= question.answer < len(question.options)
        assert question.text
        assert question.query
        assert (question.cluster is None) == (info.cluster_unit is None)
    assert kind(kind.Options()).questions(limit=20, seed=1) == questions


@pytest.mark.parametrize("name", tasks.names())
def test_a_task_tells_of_itself_before_its_file_is_there(name: str) -> None:
    kind: Any = tasks.get(name)
    stated = about(kind)
    assert stated.instruction
    assert stated.licence
    assert stated.query
    assert stated.access
    assert stated.modes[0] == "correct"
    if name in GENERATED:
        assert kind(kind.Options()).info is stated
    else:
        assert " (" in stated.file  # a place, then the layout


def test_a_class_that_states_nothing_is_named() -> None:
    class Silent:
        about = "doses"

    silent: Any = Silent
    with pytest.raises(UsageError, match="states nothing about itself") as caught:
        about(silent)
    assert "Silent" in caught.value.where
    assert "about = TaskInfo(...)" in caught.value.fix


@pytest.mark.parametrize("name", tasks.names())
def test_an_option_that_a_task_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="no_such_option"):
        tasks.get(name).Options.model_validate({"path": "q.jsonl", "no_such_option": 1})


@pytest.mark.parametrize(
    ("options", "answer", "what"),
    [
        (("a",), 0, "has 1 options"),
        (("a", " "), 0, "option 2 is empty"),
        (("Yes", "no", "yes "), 0, "options 1 and 3 have the same text"),
        (("a", "b"), 2, "the answer is option 3 of 2"),
    ],
)
def test_options_that_no_answer_can_be_told_apart_by(
    options: tuple[str, ...], answer: int, what: str
) -> None:
    with pytest.raises(DataError, match=what) as caught:
        check_options(options, answer, where="q.jsonl:3")
    assert caught.value.where == "q.jsonl:3"
