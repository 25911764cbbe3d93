"""Few-shot examples from a file or split of their own, and files without a question."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError
from ragbench.experiment.stages.prompts import messages
from ragbench.tasks.cases import CaseOptions, NejmTask
from ragbench.tasks.generation import GenerationOptions, GenerationTask
from ragbench.tasks.mcq import McqOptions, McqTask
from ragbench.tasks.mirage import MedqaUsTask, MirageOptions

QUESTIONS = [
    {"id": f"q{i}", "question": f"Which lack is number {i}?", "options": ["iron", "zinc"],
     "answer": "AB"[i % 2], "split": "test"}
    for i in range(4)
]  # fmt: skip
EXAMPLES = [
    {"id": f"e{i}", "question": f"Which excess is number {i}?", "options": ["lead", "gold"],
     "answer": "AB"[i % 2], "split": "train"}
    for i in range(6)
]  # fmt: skip


def write(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def task(home: Path, examples: list[dict[str, Any]], **options: Any) -> McqTask:
    write(home / "q.jsonl", QUESTIONS)
    write(home / "e.jsonl", examples)
    return McqTask(McqOptions(path="q.jsonl", examples="e.jsonl", **options))


def test_the_first_examples_are_turns_before_the_question(home: Path) -> None:
    made = task(home, EXAMPLES, shots=2)
    assert [example.id for example in made.info.examples] == ["e0", "e1"]
    (question, *_) = made.questions(limit=None, seed=1)
    turns = messages(made.info, question, [], "letters")
    assert [turn.role for turn in turns] == ["system", *["user", "assistant"] * 2, "user"]
    assert [turns[2].content, turns[4].content] == ["A", "B"]
    assert "number 0" in turns[5].content
    assert [q.id for q in made.questions(limit=None, seed=1)] == ["q0", "q1", "q2", "q3"]


def test_all_examples_of_a_short_file_and_a_seeded_draw(home: Path) -> None:
    assert len(task(home, EXAMPLES).info.examples) == 6
    one = [e.id for e in task(home, EXAMPLES, shots=4, shots_seed=1).info.examples]
    assert one == [e.id for e in task(home, EXAMPLES, shots=4, shots_seed=1).info.examples]
    draws = {
        tuple(e.id for e in task(home, EXAMPLES, shots=4, shots_seed=seed).info.examples)
        for seed in range(8)
    }
    assert len(draws) > 4
    assert all(len(set(draw)) == 4 for draw in draws)


def test_examples_of_another_split_of_the_same_file(home: Path) -> None:
    write(home / "q.jsonl", QUESTIONS + EXAMPLES)
    shared = {"path": "q.jsonl", "split": "test", "examples": "q.jsonl", "shots": 1}
    made = McqTask(McqOptions.model_validate({**shared, "examples_split": "train"}))
    assert [e.id for e in made.info.examples] == ["e0"]
    assert len(made.questions(limit=None, seed=1)) == 4
    with pytest.raises(DataError, match="'q0' is the scored question 'q0'") as caught:
        _ = McqTask(McqOptions.model_validate(shared)).info
    assert "examples_split" in caught.value.fix


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"id": "q3"}, "the example 'q3' is the scored question 'q3'"),
        (
            {"question": " which lack IS  number 2? "},
            "the example 'e0' is the scored question 'q2'",
        ),
        (
            {"question": "Which lack is \u2014 number 2"},  # but for punctuation
            "the example 'e0' is the scored question 'q2'",
        ),
        (
            {"question": "Which \u201clack\u201d is num\u00adber\u00a02?!"},
            "the example 'e0' is the scored question 'q2'",
        ),
        ({"answer": "C"}, "the answer 'C' is not among the options"),
    ],
)
def test_an_example_that_is_scored_or_wrong(home: Path, change: dict[str, Any], what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        _ = task(home, [EXAMPLES[0] | change]).info
    assert "e.jsonl" in caught.value.where


def test_examples_of_every_kind_of_file(home: Path) -> None:
    """Cases, records of MIRAGE (here with JSON lines as examples) and questions with texts."""
    (home / "b.json").write_text(
        json.dumps(
            {"medqa": {"1": {k: QUESTIONS[0][k] for k in ("question", "options", "answer")}}}
        )
    )
    write(home / "e.jsonl", EXAMPLES)
    mirage = MedqaUsTask(MirageOptions(path="b.json", examples="e.jsonl", shots=2))
    assert [e.id for e in mirage.info.examples] == ["e0", "e1"]

    case = {"source": "nejm", "case_text": "A.", "options": ["x", "y"], "answer": "A"}
    write(home / "c.jsonl", [case | {"id": "c1", "question": "What?"}])
    write(home / "d.jsonl", [case | {"id": "c2", "question": "Why?"}])
    cases = NejmTask(CaseOptions(path="c.jsonl", examples="d.jsonl"))
    assert [e.text for e in cases.info.examples] == ["A.\n\nWhy?"]

    write(home / "g.jsonl", [{"id": "g1", "question": "What?", "reference": "That."}])
    write(home / "h.jsonl", [{"id": "g2", "question": "Why?", "reference": "Thus."}])
    texts = GenerationTask(GenerationOptions(path="g.jsonl", examples="h.jsonl"))
    assert [e.reference for e in texts.info.examples] == ["Thus."]


def test_numbers_of_examples_that_the_file_cannot_give(home: Path) -> None:
    with pytest.raises(DataError, match="6 examples, fewer than 7"):
        _ = task(home, EXAMPLES, shots=7).info
    many = [EXAMPLES[0] | {"id": f"e{i}"} for i in range(17)]
    with pytest.raises(DataError, match="17 examples, which are many for a prompt"):
        _ = task(home, many).info
    assert len(task(home, many, shots=17).info.examples) == 17


@pytest.mark.parametrize("name", ["shots", "shots_seed", "examples_split"])
def test_options_of_examples_without_examples(home: Path, name: str) -> None:
    write(home / "q.jsonl", QUESTIONS)
    made = McqTask(McqOptions.model_validate({"path": "q.jsonl", name: "1"}))
    with pytest.raises(DataError, match=f"the option {name} has no effect"):
        _ = made.info


def test_every_file_is_told_with_its_digest(home: Path) -> None:
    digest = {
        name: hashlib.sha256((home / name).read_bytes()).hexdigest()
        for made in [task(home, EXAMPLES)]
        for name in ("q.jsonl", "e.jsonl")
    }
    assert dict(task(home, EXAMPLES).info.sources) == digest


@pytest.mark.parametrize("content", ["", "\n\n", '{"id": "q1"', "[1, 2]", "null"])
def test_files_that_hold_no_question(home: Path, content: str) -> None:
    (home / "q.jsonl").write_text(content)
    with pytest.raises(DataError, match=r"no question|not JSON|not an object") as caught:
        McqTask(McqOptions(path="q.jsonl")).questions(limit=None, seed=1)
    assert "q.jsonl" in caught.value.where
