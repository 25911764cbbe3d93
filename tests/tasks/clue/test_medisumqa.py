"""MeDiSumQA: the letter that does not hold the answer, both layouts, and the modes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError
from ragbench.base.records import Question
from tests.tasks.clue_files import DATA, every, lines, make, turns, write_lines

LINE = {"discharge_summary": "He came with gout.", "Question": "Why?", "Answer": "Gout."}


def test_a_question_by_hand() -> None:
    question = every(make("medisumqa", shots=0))[8]
    letter = lines("MeDiSumQA.json")[8]["discharge_summary"]
    asked = "Which medicine must I never take again, and why?"
    assert question == Question(
        id="medisumqa-0008",
        text=f"<letter>\n{letter}\n</letter>\n\n{asked}",
        options=(),
        answer=-1,
        query=asked,
        reference="Ibuprofen, because it caused the ulcer in your stomach that bled.",
    )


def test_the_older_layout_gives_the_same_without_the_instructions() -> None:
    path = str(DATA / "MeDiSumQA.jsonl")
    older = every(make("medisumqa", path=path, shots=0))
    assert older == every(make("medisumqa", shots=0))[:3]
    for question, row in zip(older, lines("MeDiSumQA.jsonl"), strict=True):
        assert "Discharge Instructions" in row["with_discharge_summary"]
        assert "Discharge Instructions" not in question.text


def test_the_letter_with_the_instructions_alone_is_refused(tmp_path: Path) -> None:
    row = {"with_discharge_summary": "x", "Question": "q", "Answer": "a"}
    with pytest.raises(DataError, match="'discharge_summary' is missing"):
        every(make("medisumqa", path=write_lines(tmp_path / "m.jsonl", [row])))


def test_both_modes_of_clue_shuffle() -> None:
    old, new = (make("medisumqa", mode) for mode in ("clue-2024", "clue-2025"))
    assert [e.id for e in old.info.examples] == [e.id for e in new.info.examples]
    assert [q.id for q in every(old)] == [q.id for q in every(new)]
    assert [q.id for q in every(old)] != sorted(q.id for q in every(old))


@pytest.mark.parametrize(
    ("mode", "limit", "cue", "reader", "doubled", "before"),
    [
        ("correct", 200, "", "text", False, ""),
        ("clue-2024", 200, "Answer: ", "clue-text", True, "Question: "),
        ("clue-2025", 512, "", "raw", False, ""),
    ],
)
def test_the_modes(
    mode: Any, limit: int, cue: str, reader: str, doubled: bool, before: str
) -> None:
    task = make("medisumqa", mode)
    info = task.info
    assert (info.reply_limit, info.cue, info.reads) == (limit, cue, reader)
    assert info.double_first == doubled
    asked = every(task)[0]
    found = turns(task, asked)
    (example,) = info.examples
    assert found[1].content.endswith(f"</letter>\n\n{before}{example.query}")
    assert found[2].content == cue + example.reference
    assert found[3].content.endswith(f"</letter>\n\n{before}{asked.query}")
    assert [m.content for m in found[4:]] == ([cue] if cue else [])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"Answer": ""}, "'Answer' is empty or not text"),
        ({"Answer": None}, "'Answer' is empty or not text"),
        ({"Question": float("nan")}, "'Question' is empty or not text"),
        ({"discharge_summary": []}, "'discharge_summary' is empty or not text"),
        ({"without_discharge_summary": None}, "'without_discharge_summary' is empty"),
    ],
)
def test_mistakes_name_their_record(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    path = write_lines(tmp_path / "m.jsonl", [LINE, LINE | change])
    with pytest.raises(DataError, match=what) as caught:
        every(make("medisumqa", path=path))
    assert caught.value.where == f"{path}:2"
