"""The base of tasks over a file: rows, splits, exclusions, examples, and messages about a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import AbsentError, DataError
from ragbench.base.records import Question
from ragbench.tasks.files import fields
from ragbench.tasks.files.filetask import FileOptions, FileTask, Selection, first
from ragbench.tasks.task import TaskInfo


class Drugs(FileTask):
    """Yes-or-no questions; those without an answer are not asked."""

    COLUMNS = ("Question", "Answer")
    about = TaskInfo(
        instruction="Be brief.",
        default_corpus="drugs",
        licence="CC0",
        data_use="open",
        file="data/drugs.csv (columns Question, Answer)",
        access="ask the pharmacy",
    )

    def _question(self, row: fields.Row, where: str, number: int) -> Question:
        text = fields.text(row, "Question", where)
        answer = str(row.get("Answer") or "")
        return Question(f"d{number}", text, ("yes", "no"), int(answer == "no"), text, (), answer)

    def _reason(self, question: Question) -> str:
        return "" if question.stratum else "no answer"

    def _select(self, asked: Sequence[Question]) -> Selection:
        if self.options.examples is None:
            return super()._select(asked)
        path = self._at(self.options.examples)
        return Selection(tuple(asked), self._examples(self._candidates(path), 1, asked, path))


ROWS = [("Is it safe?", "yes"), ("Is it cheap?", ""), ("Is it new?", "no")]


def write(path: Path, rows: Sequence[tuple[str, str]]) -> str:
    made = [{"Question": question, "Answer": answer} for question, answer in rows]
    if path.suffix == ".csv":
        lines = ["Question,Answer", *(",".join(row) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
    elif path.suffix == ".json":
        path.write_text(json.dumps(made))
    else:
        path.write_text("\n".join(map(json.dumps, made)))
    return str(path)


@pytest.mark.parametrize("name", ["q.csv", "q.json", "q.jsonl"])
def test_a_table_an_array_and_lines_give_the_same_questions(home: Path, name: str) -> None:
    path = write(home / name, ROWS)
    task = Drugs(FileOptions(path=path))
    asked = task.questions(limit=None, seed=1)
    assert [(q.id, q.text, q.answer) for q in asked] == [
        ("d0", "Is it safe?", 0),
        ("d2", "Is it new?", 1),
    ]
    assert task.info.excluded == (("d1", "no answer"),)
    digest = hashlib.sha256((home / name).read_bytes()).hexdigest()
    assert task.info.sources == ((name, digest),)
    assert (task.info.default_corpus, task.info.licence) == ("drugs", "CC0")
    assert Drugs(FileOptions(path=path, corpus="other")).info.default_corpus == "other"


@pytest.mark.parametrize("name", ["q.csv", "q.json", "q.jsonl"])
def test_a_row_of_any_file_may_name_its_cluster(home: Path, name: str) -> None:
    """The reader of the rows knows nothing of clusters; a blank one is none."""
    rows = [("Is it safe?", "yes", "ward 1"), ("Is it new?", "no", " "), ("Is it old?", "no", "1")]
    made = [{"Question": q, "Answer": a, "cluster": c} for q, a, c in rows]
    text = {
        "q.csv": "\n".join(["Question,Answer,cluster", *map(",".join, rows)]),
        "q.json": json.dumps(made),
        "q.jsonl": "\n".join(map(json.dumps, made)),
    }
    (home / name).write_text(text[name])
    task = Drugs(FileOptions(path=name))
    assert [q.cluster for q in task.questions(limit=None, seed=1)] == ["ward 1", None, "1"]
    assert task.info.cluster_unit is None


def test_the_default_place_is_that_of_the_statement(home: Path) -> None:
    with pytest.raises(AbsentError, match="the file of questions is not there") as caught:
        Drugs(FileOptions()).questions(limit=None, seed=1)
    assert caught.value.where == str(home / "data" / "drugs.csv")
    assert caught.value.fix == (
        "ask the pharmacy; expected: data/drugs.csv (columns Question, Answer); another place "
        "goes into the task's option path"
    )


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([("Is it safe?", ""), ("Is it new?", "")], "none of the 2 questions can be asked: no ans"),
        ([], "the file holds no question"),
        ([("", "yes")], "'Question' is empty or not text"),
    ],
)
def test_a_file_without_a_question_to_ask(
    home: Path, rows: list[tuple[str, str]], what: str
) -> None:
    path = write(home / "q.json", rows)
    with pytest.raises(DataError, match=what) as caught:
        Drugs(FileOptions(path=path)).questions(limit=None, seed=1)
    assert caught.value.where.startswith(path)


def test_an_id_that_appears_twice_is_refused_with_both_places(home: Path) -> None:
    class Named(Drugs):
        def _question(self, row: fields.Row, where: str, number: int) -> Question:
            return super()._question(row, where, 0)

    path = write(home / "q.jsonl", ROWS)
    with pytest.raises(DataError, match="the id 'd0' appears twice") as caught:
        Named(FileOptions(path=path)).questions(limit=None, seed=1)
    assert caught.value.where == f"{path}:1 and {path}:2"


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        # Without an answer it cannot be shown, so that the second row is the first example.
        ([("Is it red?", ""), ("Is it blue?", "no")], "Is it blue?"),
        ([("is it  SAFE?", "yes")], "the example 'd0' is the scored question 'd0'"),
        ([("Is it red?", "yes")], "the example 'd0' is the scored question 'd0'"),  # by its id
        ([("Is it red?", "")], "the file holds 0 examples, fewer than 1"),
    ],
)
def test_examples_of_a_file(home: Path, rows: list[tuple[str, str]], found: str) -> None:
    options: dict[str, Any] = {
        "path": write(home / "q.jsonl", ROWS),
        "examples": write(home / "e.jsonl", rows),
    }
    task = Drugs(FileOptions(**options))
    if found.endswith("?"):
        assert [example.text for example in task.info.examples] == [found]
        assert [name for name, _ in task.info.sources] == ["q.jsonl", "e.jsonl"]
        return
    with pytest.raises(DataError) as caught:
        _ = task.info
    assert caught.value.what == found
    assert caught.value.where == str(home / "e.jsonl")


def test_the_first_questions_of_a_file() -> None:
    found = [Question(f"q{i}", "?", (), -1, "?") for i in range(3)]
    path = Path("q.jsonl")
    assert first(found, 2, path) == found[:2]
    assert first(found, None, path) == first(found, 3, path) == found
    with pytest.raises(DataError, match="there are 3 questions, fewer than 4") as caught:
        first(found, 4, path)
    assert (caught.value.where, caught.value.fix) == (
        "q.jsonl; tasks: limit",
        "set limit to 3 or less",
    )
