"""Questions of the user's own whose answers are texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ragbench.base.errors import DataError
from ragbench.experiment.stages.prompts import messages
from ragbench.metrics import metrics
from ragbench.tasks.generation import GenerationOptions, GenerationTask
from ragbench.tasks.task import TEXT_METRICS
from tests.tasks.conftest import Ask

LINE: dict[str, Any] = {
    "id": "q1",
    "question": "What causes scurvy?",
    "reference": "A lack of vitamin C.",
}


def write(path: Path, *lines: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def task(home: Path, *lines: dict[str, Any], **options: Any) -> GenerationTask:
    write(home / "g.jsonl", *lines)
    return GenerationTask(GenerationOptions(path="g.jsonl", **options))


def test_a_whole_line(home: Path) -> None:
    line = LINE | {"context": "A sailor's gums bleed.", "gold_doc_ids": ["d1"], "stratum": "sea"}
    made = task(home, line | {"cluster": "s1"}, cluster_unit="sailor", corpus="notes")
    (found,) = made.questions(limit=None, seed=1)
    assert found.text == "A sailor's gums bleed.\n\nWhat causes scurvy?"
    assert found.query == "What causes scurvy?"
    assert (found.options, found.answer) == ((), -1)
    assert found.reference == "A lack of vitamin C."
    assert (found.gold_doc_ids, found.stratum, found.cluster) == (("d1",), "sea", "s1")
    info = made.info
    assert (info.answers, info.scoring, info.reads) == ("text", "generate", "text")
    assert (info.default_corpus, info.cluster_unit) == ("notes", "sailor")
    assert info.metrics == TEXT_METRICS == ("rougeL", "rouge1", "rouge2")


def test_a_text_to_search_with_of_its_own(home: Path) -> None:
    line = LINE | {"context": "A sailor's gums bleed.", "query": " scurvy cause "}
    (found,) = task(home, line).questions(limit=None, seed=1)
    assert found.query == "scurvy cause"
    assert found.text.endswith(LINE["question"])  # the prompt shows the question
    with pytest.raises(DataError, match="the field 'query' is empty or not text"):
        task(home, LINE | {"query": " "}).questions(limit=None, seed=1)


def test_the_prompt_lists_nothing_and_examples_reply_in_full(home: Path) -> None:
    write(home / "e.jsonl", LINE | {"id": "e1", "question": "What causes rickets?"})
    made = task(home, LINE, examples="e.jsonl")
    (question,) = made.questions(limit=None, seed=1)
    turns = messages(made.info, question, [], "generate")
    assert [turn.content for turn in turns[1:]] == [
        "What causes rickets?",
        "A lack of vitamin C.",
        "What causes scurvy?",
    ]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"reference": None}, "'reference' is empty or not text"),
        ({"reference": " "}, "'reference' is empty or not text"),
        ({"reference": float("nan")}, "'reference' is empty or not text"),
        ({"reference": ["vitamin C"]}, "'reference' is empty or not text"),
        ({"question": None}, "'question' is empty or not text"),
        ({"answer": "vitamin C"}, "a field 'answer', which is not read"),
        ({"context": ""}, "'context' is empty or not text"),
        ({"gold_doc_ids": "d1"}, "gold_doc_ids is not a list of ids"),
        ({"id": None}, "the id None is missing"),
        ({"id": "q0"}, "the id 'q0' appears twice"),
    ],
)
def test_mistakes_name_their_line(home: Path, change: dict[str, Any], what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        task(home, LINE | {"id": "q0"}, LINE | change).questions(limit=None, seed=1)
    assert caught.value.where.endswith("g.jsonl:2")


def test_a_question_needs_a_metric(home: Path) -> None:
    with pytest.raises(ValidationError, match="metrics"):
        GenerationOptions(path="g.jsonl", metrics=())


def test_a_model_writes_with_and_without_a_passage(ask: Ask, home: Path) -> None:
    lacks = {"scurvy": "vitamin C", "rickets": "vitamin D", "beriberi": "thiamine"}
    passages = {f"d-{name}": f"{name} comes from a lack of {lack}." for name, lack in lacks.items()}
    lines = [
        {"id": name, "question": f"What causes {name}?", "reference": f"A lack of {lack}.",
         "gold_doc_ids": [f"d-{name}"]}
        for name, lack in lacks.items()
    ]  # fmt: skip
    write(home / "g.jsonl", *lines)
    known = [name for name in TEXT_METRICS if name in metrics] or ["accuracy"]
    options = {"path": "g.jsonl", "corpus": "small", "metrics": known}
    found = ask("generation", options, passages, reply_limit=8)
    assert len(found.rows) == 6
    assert {record["finish"] for record in found.records} <= {"stop", "length"}
    for row, record in zip(
        sorted(found.rows, key=lambda r: (r["arm"], r["question_id"])),
        sorted(found.records, key=lambda r: (r["arm"], r["question_id"])),
        strict=True,
    ):
        assert (row["outcome"], row["pick"], row["rule"]) == ("parsed", None, "text")
        assert row["reply"] == record["reply"].strip()
        assert 0.0 <= row[known[0]] <= 1.0
    for name, lack in lacks.items():
        assert lack not in found.prompts["closed-book", name]
        assert f"a lack of {lack}." in found.prompts["bm25", name]
    assert found.task["answers"] == "text"
