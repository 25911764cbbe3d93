"""MeDiSumCode: the codes as text, letters without codes, the query, and the modes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError
from ragbench.base.records import Question
from tests.tasks.clue_files import every, lines, make, turns, write_lines

LINE: dict[str, Any] = {"hadm_id": "1", "text": "Gout.", "icd_codes": [{"code": "M109"}]}


def test_a_question_by_hand() -> None:
    question = every(make("medisumcode", shots=0))[4]
    letter = lines("MeDiSumCode.json")[4]["text"]
    assert question == Question(
        id="medisumcode-0004",
        text=f"<letter>\n{letter}\n</letter>\n\nGive only the list of codes.",
        options=(),
        answer=-1,
        query="Severe pre-eclampsia, third trimester 36 weeks of gestation Vaginal birth of a "
        "single live child",
        reference="O1414, Z3A36, Z370",
    )


def test_the_query_is_the_list_of_diagnoses_or_the_beginning() -> None:
    questions = every(make("medisumcode", shots=0))
    letters = [row["text"] for row in lines("MeDiSumCode.json")]
    hip = questions[5]  # has no such list, and fewer than 200 words
    assert hip.query == " ".join(letters[5].split())
    assert questions[0].query == (
        "Inferior ST-elevation myocardial infarction, right coronary artery Hypertension "
        "Hyperlipidaemia Tobacco dependence"
    )


@pytest.mark.parametrize(
    ("letter", "query"),
    [
        ("A.\nDISCHARGE DIAGNOSES:\nGout\nFever\n\nCondition: good", "Gout Fever"),
        (
            "A.\nDischarge Diagnosis:\nPrimary:\nGout\n\nSecondary Diagnoses:\nFever\n\n"
            "Discharge Condition:\ngood",
            "Primary: Gout Secondary Diagnoses: Fever",
        ),
        ("A.\nPrimary discharge diagnosis: Gout", "Gout"),
        (
            "The discharge diagnosis was told to him.\nB.",
            "The discharge diagnosis was told to him. B.",
        ),
        ("word " * 300, " ".join(["word"] * 200)),
    ],
)
def test_the_query_by_hand(tmp_path: Path, letter: str, query: str) -> None:
    path = write_lines(tmp_path / "m.jsonl", [LINE | {"text": letter}])
    assert every(make("medisumcode", path=path, shots=0))[0].query == query


def test_repeats_and_dots_by_mode(tmp_path: Path) -> None:
    codes = [{"code": code} for code in ("e11.9", "I10", "E119", " ", "u07.1")]
    path = write_lines(tmp_path / "m.jsonl", [LINE | {"icd_codes": codes}])
    assert every(make("medisumcode", path=path, shots=0))[0].reference == "E119, I10, U071"
    published = every(make("medisumcode", "clue-2024", path=path, shots=0))[0].reference
    assert published == "E119, I10, E119, U071"
    assert every(make("medisumcode", shots=0))[2].reference == "K8000, E119, I10"


def test_letters_without_codes_are_left_out_and_named() -> None:
    task = make("medisumcode")
    assert ("medisumcode-0011", "no gold code") in task.info.excluded
    assert len(every(task)) == 10
    for mode in ("clue-2024", "clue-2025"):
        found = {q.id: q for q in every(make("medisumcode", mode, shots=0))}
        assert found["medisumcode-0011"].reference == ""


def test_an_example_without_codes_is_passed_over(tmp_path: Path) -> None:
    rows = [LINE | {"icd_codes": []}, LINE | {"text": "Gout again."}]
    path = write_lines(tmp_path / "train.jsonl", rows)
    task = make("medisumcode", examples=path)
    assert [e.id for e in task.info.examples] == ["train:medisumcode-0001"]
    assert task.info.examples[0].reference == "M109"
    with pytest.raises(DataError, match="the file holds 1 examples, fewer than 2"):
        every(make("medisumcode", examples=path, shots=2))


@pytest.mark.parametrize(
    ("mode", "limit", "cue", "reader", "doubled"),
    [
        ("correct", 512, "", "text", False),
        ("clue-2024", 200, "ICD-10 Codes: ", "clue-text", True),
        ("clue-2025", 512, "", "raw", True),
    ],
)
def test_the_modes(mode: Any, limit: int, cue: str, reader: str, doubled: bool) -> None:
    task = make("medisumcode", mode)
    info = task.info
    assert (info.reply_limit, info.cue, info.reads) == (limit, cue, reader)
    assert info.double_first == doubled
    theirs = ("clue_code_em_f1", "clue_code_ap_f1", "clue_code_valid")
    ours = ("code_em_f1", "code_ap_f1", "code_valid", "code_billable")
    counts = ("code_hits", "code_named", "code_gold")
    assert info.metrics == (ours + counts if mode == "correct" else theirs)
    assert info.default_corpus == "icd10cm"
    found = turns(task, every(task)[0])
    replies = [m.content for m in found if m.role == "assistant"]
    # The rewritten harness keeps the prefix in its examples, and begins no reply with it.
    prefix = "" if mode == "correct" else "ICD-10 Codes: "
    plain = {q.id: q.reference for q in every(make("medisumcode", mode, shots=0))}
    assert replies[0] == prefix + plain[info.examples[0].id]
    assert replies[1:] == ([cue] if cue else [])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"icd_codes": None}, "'icd_codes' is no list of objects with a code"),
        ({"icd_codes": ["M109"]}, "'icd_codes' is no list of objects with a code"),
        ({"icd_codes": [{"code": None}]}, "'icd_codes' is no list of objects with a code"),
        ({"icd_codes": [{"description": "x"}]}, "'icd_codes' is no list of objects with a code"),
        ({"text": " "}, "'text' is empty or not text"),
    ],
)
def test_mistakes_name_their_record(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps([LINE, LINE | change]))
    with pytest.raises(DataError, match=what) as caught:
        every(make("medisumcode", path=str(path)))
    assert caught.value.where == f"{path}, record 2"


def test_a_record_that_has_no_field_of_codes(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "m.jsonl", [{"text": "Gout."}])
    with pytest.raises(DataError, match="'icd_codes' is missing"):
        every(make("medisumcode", path=path))


def test_a_file_whose_letters_all_lack_codes(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "m.jsonl", [LINE | {"icd_codes": []}] * 2)
    with pytest.raises(DataError, match="questions can be asked: no gold code"):
        every(make("medisumcode", path=path, shots=0))
