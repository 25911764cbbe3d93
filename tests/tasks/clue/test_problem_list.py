"""Problem lists: how the reference is made of the column Summary, and the modes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError
from ragbench.base.records import Question
from tests.tasks.clue_files import every, make, turns

HEADER = ["Subjectives", "Assessment", "Summary"]


def write_csv(path: Path, *rows: list[str]) -> str:
    with path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows(rows)
    return str(path)


def test_a_question_by_hand() -> None:
    question = every(make("problem_list", shots=0))[3]
    subjective = "Net negative 2.4 liters. Breathes easier, sleeps on one pillow. Legs less tight."
    assessment = (
        "67M with EF 30% who ran out of furosemide, admitted in volume overload, potassium 2.9 on "
        "diuresis."
    )
    assert question == Question(
        id="probsum-0003",
        text=f"<note>\n{subjective}\n\n{assessment}\n</note>\n\nGive only the list.",
        options=(),
        answer=-1,
        query=assessment,
        reference="Acute on chronic systolic heart failure, Hypokalemia",
    )
    assert "Afebrile" not in question.text  # the objective part is not read


@pytest.mark.parametrize(
    ("summary", "correct", "published"),
    [
        ("GI bleed; Anemia;", "GI bleed, Anemia", "GI bleed,  Anemia, "),
        ("GI bleed;Anemia", "GI bleed, Anemia", "GI bleed, Anemia"),
        (" ; Sepsis ;; ", "Sepsis", ",  Sepsis , , "),
        ("Sepsis", "Sepsis", "Sepsis"),
    ],
)
def test_the_reference_by_mode(tmp_path: Path, summary: str, correct: str, published: str) -> None:
    path = write_csv(tmp_path / "p.csv", HEADER, ["s", "a", summary])
    assert every(make("problem_list", path=path, shots=0))[0].reference == correct
    for mode in ("clue-2024", "clue-2025"):
        assert every(make("problem_list", mode, path=path, shots=0))[0].reference == published


def test_a_reference_that_ends_in_a_semicolon_in_the_fixture() -> None:
    assert (
        every(make("problem_list", shots=0))[1].reference
        == "Upper GI bleed, Gastric ulcer, Acute blood loss anemia"
    )
    published = every(make("problem_list", "clue-2024", shots=0))[1].reference
    assert published.endswith("anemia, ")


@pytest.mark.parametrize(
    ("mode", "limit", "cue", "reader", "doubled"),
    [
        ("correct", 200, "", "text", False),
        ("clue-2024", 100, "Diagnoses/Patient problems: ", "clue-text", True),
        ("clue-2025", 512, "", "raw", False),
    ],
)
def test_the_modes(mode: Any, limit: int, cue: str, reader: str, doubled: bool) -> None:
    task = make("problem_list", mode)
    info = task.info
    assert (info.reply_limit, info.cue, info.reads) == (limit, cue, reader)
    assert info.double_first == doubled
    assert info.metrics == ("rougeL", "rouge1", "rouge2", "problem_f1")
    assert info.data_use == "restricted"
    found = turns(task, every(task)[0])
    replies = [m.content for m in found if m.role == "assistant"]
    assert replies == [*(cue + e.reference for e in info.examples), *([cue] if cue else [])]


@pytest.mark.parametrize(
    ("header", "what"),
    [
        (["Subjective", "Assessment", "Summary"], "no column 'Subjectives'"),
        (["Subjectives", "Assessment", "summary"], "no column 'Summary'"),
    ],
)
def test_other_columns(tmp_path: Path, header: list[str], what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        every(make("problem_list", path=write_csv(tmp_path / "p.csv", header, ["s", "a", "x"])))
    assert caught.value.fix == "the columns read are Subjectives, Assessment, Summary"


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (["s", "a", ""], "'Summary' is empty or not text"),
        (["s", "a", " ; ;"], "'Summary' names no problem"),
        (["", "a", "x"], "'Subjectives' is empty or not text"),
        (["s", " ", "x"], "'Assessment' is empty or not text"),
        (["s", "a"], "the row has 2 cells, the header 3"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, row: list[str], what: str) -> None:
    path = write_csv(tmp_path / "p.csv", HEADER, ["s", "a", "x"], row)
    with pytest.raises(DataError, match=what) as caught:
        every(make("problem_list", path=path))
    assert caught.value.where == f"{path}:3"


def test_words_that_look_like_missing_values_are_text(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "p.csv", HEADER, ["None", "NA", "nan; NULL"])
    (question,) = every(make("problem_list", path=path, shots=0))
    assert (question.query, question.reference) == ("NA", "nan, NULL")
