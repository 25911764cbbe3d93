"""Questions: nothing of them is lost, and a broken line is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError
from ragbench.base.records import Question
from ragbench.runfolder.questions import question_digest, read_questions, write_questions
from tests.runfolder.golden import OWN, lines

WHOLE = Question(
    *("q", "t", ("a", "b"), 1, "s", ("g",), "stratum", "cluster", "reference", ("g", "h")),
    gold_spans=(("g", 3, 9),),
)


def test_questions_survive_the_round_trip(tmp_path: Path) -> None:
    text = Question("r", "t", (), -1, "s", reference="a text")
    write_questions(tmp_path / "q.jsonl", [WHOLE, text])
    assert read_questions(tmp_path / "q.jsonl") == [WHOLE, text]
    assert read_questions(tmp_path / "q.jsonl")[0].gold_spans == (("g", 3, 9),)


def test_what_an_earlier_version_did_not_write_has_its_default(tmp_path: Path) -> None:
    first = lines(OWN.questions("facts"))[0]
    for name in ("documents", "gold_spans", "reference"):
        del first[name]
    (tmp_path / "q.jsonl").write_text(json.dumps(first), encoding="utf-8")
    (found,) = read_questions(tmp_path / "q.jsonl")
    assert (found.id, found.documents, found.gold_spans, found.reference) == (
        *(first["id"], (), (), ""),
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": "A"}, "'options'"),
        ({"options": [1]}, "'options'"),
        ({"answer": 3}, "beyond its options"),
        ({"answer": -1}, "beyond its options"),
        ({"answer": True}, "'answer'"),
        ({"id": "q-scurvy"}, "repeats an id"),
        ({"text": ...}, "is missing 'text'"),
        ({"gold_spans": [["d", 1]]}, "'gold_spans'"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    first, second = lines(OWN.questions("facts"))
    second = {key: value for key, value in (second | changes).items() if value is not ...}
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(first) + "\n" + json.dumps(second) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        read_questions(path)
    assert caught.value.where == f"{path}:2"
    assert caught.value.fix


QUESTION = Question(
    id="t-1",
    text="Which code stands for gout?",
    options=("M10.9", "M11.9"),
    answer=0,
    query="gout",
    gold_doc_ids=("M10.9",),
    stratum="one",
    cluster="c1",
)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "t-2"},
        {"text": "Which code stands for Gout?"},
        {"options": ("M11.9", "M10.9")},
        {"answer": 1},
        {"query": "gout "},
        {"gold_doc_ids": ()},
        {"stratum": ""},
        {"cluster": None},
    ],
)
def test_everything_in_a_question_is_in_its_digest(change: dict[str, Any]) -> None:
    assert question_digest(replace(QUESTION, **change)) != question_digest(QUESTION)


def test_equal_questions_have_equal_digests() -> None:
    assert question_digest(replace(QUESTION)) == question_digest(QUESTION)
    assert len(question_digest(QUESTION)) == 64
