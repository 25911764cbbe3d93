"""MedNLI: the labels, premises as clusters, and the modes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError
from ragbench.base.records import Answered, Question
from ragbench.metrics.choice import accuracy
from ragbench.tasks.replies import reply_readers
from tests.tasks.clue_files import every, lines, make, turns, write_lines

LINE = {"sentence1": "He has a fever.", "sentence2": "He is ill.", "gold_label": "entailment"}


def test_a_question_by_hand() -> None:
    question = every(make("mednli", shots=0))[1]
    premise = "The patient was given two units of packed red cells for a hematocrit of 21."
    hypothesis = "The patient had a normal hematocrit."
    assert question == Question(
        id="mednli-0001",
        text=f"SENTENCE_1: {premise}\nSENTENCE_2: {hypothesis}",
        options=("entailment", "contradiction", "neutral"),
        answer=1,
        query=f"{premise} {hypothesis}",
        cluster=hashlib.sha256(premise.encode()).hexdigest()[:12],
    )


def test_labels_and_clusters_of_the_whole_file() -> None:
    questions = every(make("mednli", shots=0))
    rows = lines("mli_test_v1.jsonl")
    assert [q.options[q.answer] for q in questions] == [row["gold_label"] for row in rows]
    assert [q.cluster for q in questions[::3]] == [q.cluster for q in questions[2::3]]
    assert len({q.cluster for q in questions}) == 8
    assert make("mednli").info.cluster_unit == "premise"


def test_correct_takes_whole_premises_out() -> None:
    task = make("mednli")
    examples, scored = task.info.examples, every(task)
    assert len(examples) == 3
    clusters = {e.cluster for e in examples}
    assert len(clusters) == 3  # of three premises
    assert not clusters & {q.cluster for q in scored}
    assert len(scored) == 24 - 3 * 3
    reasons = [reason for _, reason in task.info.excluded]
    assert reasons.count("few-shot example") == 3
    assert reasons.count("shares its cluster with a few-shot example") == 6
    excluded = {identifier for identifier, _ in task.info.excluded}
    assert excluded | {q.id for q in scored} == {f"mednli-{i:04d}" for i in range(24)}
    # The first of the file by the hash of their ids, of premises not used yet.
    order = sorted(range(24), key=lambda i: hashlib.sha256(f"mednli-{i:04d}".encode()).digest())
    by_hand: list[int] = []
    for i in order:
        if i // 3 not in {j // 3 for j in by_hand}:
            by_hand.append(i)
    assert [e.id for e in examples] == [f"mednli-{i:04d}" for i in by_hand[:3]]


def test_the_modes() -> None:
    for mode in ("clue-2024", "clue-2025"):
        task = make("mednli", mode)
        info = task.info
        assert (info.reader, info.reply_limit, info.double_first) == ("clue-label", 20, True)
        assert (info.cue, info.answers, info.scoring) == ("", "label", "generate")
        assert len(every(task)) == 21
    info = make("mednli").info
    assert (info.reader, info.reads, info.double_first) == ("", "label", False)
    assert [e.id for e in make("mednli", "clue-2024").info.examples] == [
        "mednli-0000",
        "mednli-0001",
        "mednli-0002",
    ]


def test_the_prompt_shows_examples_with_bare_labels() -> None:
    task = make("mednli", "clue-2024")
    asked = every(task)[0]
    found = turns(task, asked)
    assert [m.role for m in found] == ["system", *["user", "assistant"] * 3, "user"]
    assert [m.content for m in found[2::2]] == ["entailment", "contradiction", "neutral"]
    assert found[-1].content == asked.text
    for word in ("SENTENCE_1", "SENTENCE_2", "ENTAILMENT", "CONTRADICTION", "NEUTRAL"):
        assert word in found[0].content
    assert "A. " not in found[-1].content


@pytest.mark.parametrize(
    ("reply", "correct", "published"),
    [
        ("Neutral.", "neutral", True),
        ("entailment", "entailment", False),
        ("entailment, contradiction or neutral", None, True),  # all three: counted as right
        ("NEUTRAL. I say neutral.", "neutral", False),  # twice: counted as wrong
        ("This is not neutral", None, True),
        ("I think it is\nneutral\nand no contradiction or entailment follows", "neutral", True),
    ],
)
def test_what_the_two_readers_make_of_a_reply(
    reply: str, correct: str | None, published: bool
) -> None:
    question = every(make("mednli", shots=0))[2]
    assert question.options[question.answer] == "neutral"
    found = reply_readers.get("label")(reply, question, "stop")
    assert (found.pick is None) == (correct is None)
    if found.pick is not None:
        assert question.options[found.pick] == correct
    theirs = reply_readers.get("clue-label")(reply, question, "stop")
    answered = Answered(question, theirs.outcome, theirs.pick)
    assert list(accuracy([answered], {})) == [float(published)]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"gold_label": "-"}, "the gold_label '-' is none of entailment, contradiction, neutral"),
        ({"gold_label": ""}, "'gold_label' is empty or not text"),
        ({"gold_label": None}, "'gold_label' is empty or not text"),
        ({"sentence1": float("nan")}, "'sentence1' is empty or not text"),
        ({"sentence2": 3}, "'sentence2' is empty or not text"),
    ],
)
def test_mistakes_name_their_line(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    path = write_lines(tmp_path / "m.jsonl", [LINE, LINE | change])
    with pytest.raises(DataError, match=what) as caught:
        every(make("mednli", path=path))
    assert caught.value.where == f"{path}:2"


def test_a_field_of_another_name(tmp_path: Path) -> None:
    rows = [{"premise": "a", "hypothesis": "b", "gold_label": "neutral"}]
    with pytest.raises(DataError, match="'sentence1' is missing") as caught:
        every(make("mednli", path=write_lines(tmp_path / "m.jsonl", rows)))
    assert "premise, hypothesis, gold_label" in caught.value.fix


def test_examples_of_another_file(tmp_path: Path) -> None:
    rows = [LINE | {"sentence1": f"He has a fever of {n}."} for n in (38, 39, 40, 41)]
    task = make("mednli", examples=write_lines(tmp_path / "train.jsonl", rows))
    assert [e.id for e in task.info.examples] == [f"train:mednli-000{i}" for i in range(3)]
    assert len(every(task)) == 24
    assert task.info.excluded == ()
    assert [name for name, _ in task.info.sources] == ["mli_test_v1.jsonl", "train.jsonl"]


def test_examples_of_a_scored_premise_are_refused(tmp_path: Path) -> None:
    scored = lines("mli_test_v1.jsonl")
    for change, what in (
        ({}, "is the scored question"),
        ({"sentence2": "New."}, "shares its prem"),
    ):
        path = write_lines(tmp_path / "train.jsonl", [scored[4] | change])
        with pytest.raises(DataError, match=what):
            every(make("mednli", examples=path, shots=1))
