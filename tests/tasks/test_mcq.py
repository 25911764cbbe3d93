"""Questions of the user's own: what a line may say, and what is said of a wrong one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError
from ragbench.tasks.mcq import McqOptions, McqTask

LINE: dict[str, Any] = {
    "id": "q1",
    "question": "Which lack causes scurvy?",
    "options": {"A": "vitamin C", "B": "iron"},
    "answer": "A",
}


def task(home: Path, *lines: dict[str, Any], **options: Any) -> McqTask:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (home / "q.jsonl").write_text(text, encoding="utf-8")
    return McqTask(McqOptions(path="q.jsonl", **options))


def test_a_whole_line(home: Path) -> None:
    line = LINE | {"context": "A sailor's gums bleed.", "gold_doc_ids": [7, "d8", "d8"]}
    (found,) = task(home, line).questions(limit=None, seed=1)
    assert found.text == "A sailor's gums bleed.\n\nWhich lack causes scurvy?"
    assert found.query == "Which lack causes scurvy?"  # neither context nor options
    assert (found.options, found.answer) == (("vitamin C", "iron"), 0)
    assert found.gold_doc_ids == ("7", "d8")


def test_a_text_to_search_with_of_its_own(home: Path) -> None:
    line = LINE | {"context": "A sailor's gums bleed.", "query": " scurvy cause "}
    (found,) = task(home, line).questions(limit=None, seed=1)
    assert found.query == "scurvy cause"
    assert found.text.endswith(LINE["question"])  # the prompt shows the question
    with pytest.raises(DataError, match="the field 'query' is empty or not text"):
        task(home, LINE | {"query": " "}).questions(limit=None, seed=1)


@pytest.mark.parametrize("answer", ["B", "iron"])
def test_answer_by_letter_or_text(home: Path, answer: str) -> None:
    line = LINE | {"answer": answer, "options": ["vitamin C", "iron"]}
    assert task(home, line).questions(limit=None, seed=1)[0].answer == 1


def test_letters_in_any_order_of_the_file(home: Path) -> None:
    line = LINE | {"options": {"B": "iron", "A": "vitamin C"}}
    assert task(home, line).questions(limit=None, seed=1)[0].options == ("vitamin C", "iron")


def test_split_and_limit(home: Path) -> None:
    lines = [LINE | {"id": f"q{i}", "split": "test" if i % 2 else "train"} for i in range(6)]
    made = task(home, *lines, split="test")
    assert [q.id for q in made.questions(limit=2, seed=1)] == ["q1", "q3"]
    with pytest.raises(DataError, match="3 questions, fewer than 4"):
        made.questions(limit=4, seed=1)


def test_clusters(home: Path) -> None:
    made = task(home, LINE | {"cluster": "patient-1"}, cluster_unit="patient")
    assert made.info.cluster_unit == "patient"
    assert made.questions(limit=None, seed=1)[0].cluster == "patient-1"
    with pytest.raises(DataError, match="has no cluster"):
        task(home, LINE, cluster_unit="patient").questions(limit=None, seed=1)


def test_a_cluster_needs_no_option(home: Path) -> None:
    lines = [LINE | {"id": "a", "cluster": 7}, LINE | {"id": "b"}, LINE | {"id": "c"}]
    lines[2]["cluster"] = " "
    made = task(home, *lines)
    assert made.info.cluster_unit is None
    assert [q.cluster for q in made.questions(limit=None, seed=1)] == ["7", None, None]
    with pytest.raises(DataError, match=r"has no cluster, .* belongs to one"):
        task(home, *lines, cluster_unit="patient").questions(limit=None, seed=1)
    with pytest.raises(DataError, match="cluster' is neither text nor a whole"):
        task(home, LINE | {"cluster": ["7"]}).questions(limit=None, seed=1)


@pytest.mark.parametrize(("options", "what"), [({}, "cluster"), ({"cluster_unit": "ward"}, "ward")])
def test_an_example_of_a_scored_cluster_is_refused(
    home: Path, options: dict[str, str], what: str
) -> None:
    example = LINE | {"id": "x", "question": "Another?", "cluster": "p1"}
    (home / "shots.jsonl").write_text(json.dumps(example) + "\n", encoding="utf-8")
    made = task(home, LINE | {"cluster": "p1"}, examples="shots.jsonl", **options)
    with pytest.raises(DataError, match=f"'x' shares its {what} with the scored question 'q1'"):
        made.questions(limit=None, seed=1)
    other = task(home, LINE | {"cluster": "p2"}, examples="shots.jsonl", **options)
    assert [q.id for q in other.info.examples] == ["x"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"answer": "C"}, "the answer 'C' is not among the options"),
        ({"answer": "copper"}, "the answer 'copper' is not among the options"),
        ({"answer": None}, "the answer None is not among"),
        ({"answer": 0}, "the answer 0 is not among"),
        ({"options": {"A": "iron", "B": "Iron "}}, "options 1 and 2 have the same text"),
        ({"options": {"A": "iron", "C": "zinc"}}, "the options have the letters A, C"),
        ({"options": {"A": "iron"}}, "has 1 options"),
        ({"options": {"A": "iron", "B": ""}}, "option 2 is empty"),
        ({"options": {"A": "iron", "B": 3}}, "not texts under letters"),
        ({"options": None}, "not texts under letters"),
        ({"options": [str(i) for i in range(27)]}, "27 options, more than letters"),
        ({"question": ""}, "'question' is empty or not text"),
        ({"question": float("nan")}, "'question' is empty or not text"),
        ({"question": "half \ud800"}, "half of a surrogate pair"),
        ({"context": 3}, "'context' is empty or not text"),
        ({"id": "a b"}, "white space"),
        ({"id": None}, "the id None is missing"),
        ({"id": True}, "the id True is missing"),
        ({"gold_doc_ids": "d1"}, "not a list of ids"),
        ({"explanation": "x"}, "a field 'explanation', which is not read"),
    ],
)
def test_mistakes_name_their_line(home: Path, change: dict[str, Any], what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        task(home, LINE | {"id": "q0"}, LINE | change).questions(limit=None, seed=1)
    assert caught.value.where.startswith(str(home / "q.jsonl") + ":2")


def test_further_fields_may_be_passed_over(home: Path) -> None:
    made = task(home, LINE | {"explanation": "x"}, extra_fields=True)
    assert len(made.questions(limit=None, seed=1)) == 1


def test_ids_that_stand_twice(home: Path) -> None:
    with pytest.raises(DataError, match="appears twice") as caught:
        task(home, LINE, LINE).questions(limit=None, seed=1)
    assert ":1 and" in caught.value.where


def test_files_that_are_not_there_or_empty(home: Path) -> None:
    with pytest.raises(DataError, match="not there"):
        McqTask(McqOptions(path="nowhere.jsonl")).questions(limit=None, seed=1)
    with pytest.raises(DataError, match="no question of the split 'test'"):
        task(home, LINE, split="test").questions(limit=None, seed=1)


def test_an_answer_with_two_readings_is_refused_unless_the_task_says_which(home: Path) -> None:
    line = LINE | {"options": ["E", "D", "A", "K"], "answer": "D"}
    with pytest.raises(DataError, match="the answer 'D' can be read in two ways") as caught:
        task(home, line).questions(limit=None, seed=1)
    assert caught.value.where.endswith("q.jsonl:1")
    for answers, right in (("letter", 3), ("text", 1)):
        (found,) = task(home, line, answers=answers).questions(limit=None, seed=1)
        assert found.answer == right
