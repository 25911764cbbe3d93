"""LongHealth: which documents a question comes with, where its answer stands, and the modes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError
from ragbench.base.records import UNANSWERABLE, Question
from ragbench.tasks.replies import reply_readers
from tests.tasks.clue_files import DATA, every, make, turns

BENCHMARK = json.loads((DATA / "benchmark_v5.json").read_text(encoding="utf-8"))
PATIENTS = [f"patient_0{n}" for n in (1, 2, 3, 4)]
# By question, the documents and the very words of the fixture that hold the answer.
ANSWERS: dict[str, list[tuple[str, str]]] = {
    "patient_01-q01": [
        ("text_0", "Oestrogen receptor 90 %, progesterone receptor 40 %, HER2 negative (score 1+)")
    ],
    "patient_01-q02": [
        (
            "text_1",
            "Paclitaxel had to be stopped after nine of twelve doses because of a sensory "
            "neuropathy of grade 3",
        )
    ],
    "patient_01-q03": [
        ("text_2", "50 Gy in 25 fractions"),
        ("text_2", "boost of 10 Gy in 5 fractions to the tumour bed"),
    ],
    "patient_02-q03": [
        ("text_0", "deletion 17p in 62 % of the cells"),
        ("text_2", "melphalan 140 mg/m2, reduced because of the kidney function"),
    ],
    "patient_04-q03": [
        ("text_2", "Enterococcus faecalis grew in six of six blood culture bottles")
    ],
}


def text_of(document: str) -> str:
    patient, _, name = document.partition("/")
    return str(BENCHMARK[patient]["texts"][name])


def patient_of(document: str) -> str:
    return document.partition("/")[0]


def changed(folder: Path, change: Any) -> str:
    """Write the fixture with a change made to its first patient's first question."""
    value = json.loads((DATA / "benchmark_v5.json").read_text(encoding="utf-8"))
    row = value["patient_01"]["questions"][0]
    for key, new in change.items():
        if new is None:
            row.pop(key)
        else:
            row[key] = new
    path = folder / "b.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    return str(path)


def test_a_question_by_hand() -> None:
    question = every(make("longhealth1", draws=1))[5]
    texts = BENCHMARK["patient_02"]["texts"]
    first, second = (ANSWERS["patient_02-q03"][i][1] for i in (0, 1))
    a, b = texts["text_0"].index(first), texts["text_2"].index(second)
    asked = (
        "Which genetic change did the myeloma of Mr. Novak have, and with what dose of melphalan "
        "was he treated?"
    )
    assert question == Question(
        id="patient_02-q03-d1",
        text=asked,
        options=(
            "Translocation 4;14 and 200 mg/m2",
            "Deletion 17p and 200 mg/m2",
            "Translocation 11;14 and 140 mg/m2",
            "Deletion 17p and 140 mg/m2",
            "Gain of 1q and 100 mg/m2",
        ),
        answer=3,
        query=asked,
        gold_doc_ids=("patient_02/text_0", "patient_02/text_2"),
        cluster="patient_02",
        documents=(
            "patient_02/text_0",
            "patient_02/text_2",
            "patient_02/text_1",
            "patient_02/text_3",
        ),
        gold_spans=(
            ("patient_02/text_0", a, a + len(first)),
            ("patient_02/text_2", b, b + len(second)),
        ),
    )


@pytest.mark.parametrize("name", ["longhealth1", "longhealth2"])
def test_the_places_are_the_very_words(name: str) -> None:
    questions = {q.id.removesuffix("-d1"): q for q in every(make(name, draws=1))}
    for identifier, expected in ANSWERS.items():
        spans = questions[identifier].gold_spans
        found = [(doc.partition("/")[2], text_of(doc)[a:b]) for doc, a, b in spans]
        assert found == expected
    assert all(q.gold_spans and q.gold_doc_ids for q in questions.values())


def test_five_draws_of_each_question_in_file_order() -> None:
    ids = [q.id for q in every(make("longhealth1"))]
    assert ids == [
        f"{patient}-q0{number}-d{draw}"
        for patient in PATIENTS
        for number in (1, 2, 3)
        for draw in (1, 2, 3, 4, 5)
    ]
    assert make("longhealth1").questions(limit=7, seed=17) == every(make("longhealth1"))[:7]
    with pytest.raises(DataError, match="there are 60 questions, fewer than 61"):
        make("longhealth1").questions(limit=61, seed=17)


def test_task_1_has_the_patients_own_documents_those_with_the_answer_first() -> None:
    for question in every(make("longhealth1")):
        patient = question.cluster
        own = [f"{patient}/{name}" for name in BENCHMARK[patient]["texts"]]
        gold = list(question.gold_doc_ids)
        assert list(question.documents) == [*gold, *(d for d in own if d not in gold)]
        assert len(question.options) == 5


def test_task_2_always_holds_the_answer_and_task_3_never_the_patient() -> None:
    second, third = every(make("longhealth2")), every(make("longhealth3"))
    assert len(second) == len(third) == 60
    for question in second:
        gold = question.gold_doc_ids
        assert gold
        assert question.documents[: len(gold)] == gold
        assert {patient_of(d) for d in gold} == {question.cluster}
        others = question.documents[len(gold) :]
        assert len(set(others)) == len(others) == 10
        assert question.cluster not in {patient_of(d) for d in others}
        assert question.options[5] == UNANSWERABLE
        row = BENCHMARK[question.cluster]["questions"][int(question.id.split("-")[1][1:]) - 1]
        assert question.options[question.answer] == row["correct"]
    for question in third:
        assert len(set(question.documents)) == len(question.documents) == 10
        assert question.cluster not in {patient_of(d) for d in question.documents}
        assert (question.options[question.answer], question.answer) == (UNANSWERABLE, 5)
        assert question.gold_doc_ids == ()
        assert question.gold_spans == ()


def test_draws_are_the_same_again_and_differ_by_draw_task_and_seed() -> None:
    def drawn(name: str, seed: int = 17) -> list[tuple[str, ...]]:
        return [q.documents[-10:] for q in make(name).questions(limit=None, seed=seed)]

    second, third = drawn("longhealth2"), drawn("longhealth3")
    assert drawn("longhealth2") == second
    assert len(set(second)) == len(set(third)) == 60
    assert all(a != b for a, b in zip(second, third, strict=True))
    assert all(a != b for a, b in zip(third, drawn("longhealth3", 18), strict=True))
    # Fewer draws, or other patients' questions left out, change no draw.
    some = make("longhealth3", draws=2).questions(limit=None, seed=17)
    every_one = {q.id: q for q in every(make("longhealth3"))}
    assert all(q == every_one[q.id] for q in some)


def test_too_few_documents_of_others() -> None:
    # The patients have 4, 4, 5 and 4 documents: others of the third have 12, else 13.
    assert len(every(make("longhealth3", distractors=12, draws=1))) == 12
    with pytest.raises(DataError, match="the other patients have 12 documents, fewer than 13"):
        every(make("longhealth3", distractors=13, draws=1))
    assert len(every(make("longhealth1", distractors=99))) == 60


@pytest.mark.parametrize("mode", ["clue-2024", "clue-2025"])
def test_the_published_modes(mode: Any) -> None:
    task = make("longhealth2", mode)
    info = task.info
    assert (info.scoring, info.reader, info.reply_limit) == ("generate", "clue-longhealth", 50)
    assert not info.double_first
    found = turns(task, every(task)[0])
    assert [m.role for m in found] == ["system", "user"]
    assert f"F. {UNANSWERABLE}\n\n{info.rule}" in found[1].content
    assert "'The correct answer is'" in info.rule
    assert "A, B, C, D and E" in info.rule  # as theirs, though there is an F
    assert make("longhealth2").info.reads == "option"
    assert make("longhealth2").info.scoring == "letters"


def test_metrics_and_clusters() -> None:
    assert make("longhealth1").info.metrics == ("accuracy",)
    # Task 2 can always be answered, task 3 never: the other share would be of no question.
    assert make("longhealth2").info.metrics == ("accuracy", "over_refusal")
    assert make("longhealth3").info.metrics == ("accuracy", "hallucination")
    assert make("longhealth1").info.cluster_unit == "patient"


@pytest.mark.parametrize(
    ("reply", "pick"),
    [
        ("The correct answer is C: HER2.", 2),
        ("Well. The correct answer is F: none. The correct answer is A: x", 5),
        ("The correct answer is C.", None),
        ("The correct answer is (C): x", None),
        ("The correct answer is **C**: x", None),
        ("the correct answer is C: x", None),
        ("The correct answer is: C", None),
        ("The correct answer is G: x", None),
        ("", None),
    ],
)
def test_the_published_reader(reply: str, pick: int | None) -> None:
    question = every(make("longhealth2"))[0]
    assert reply_readers.get("clue-longhealth")(reply, question, "stop").pick == pick


def test_a_sixth_letter_lies_outside_the_options_of_task_1() -> None:
    question = every(make("longhealth1"))[0]
    found = reply_readers.get("clue-longhealth")("The correct answer is F: x", question, "stop")
    assert (found.outcome, found.pick) == ("unparsed", None)


def test_the_right_option_is_found_by_its_whole_text(tmp_path: Path) -> None:
    change = {
        "answer_a": "5 mg",
        "answer_b": "2.5 mg",
        "answer_c": "2.5 mg twice",
        "correct": "5 mg ",
    }
    path = changed(tmp_path, change)
    answers = {
        mode: every(make("longhealth1", mode, path=path))[0].answer
        for mode in ("correct", "clue-2024", "clue-2025")
    }
    # Both harnesses look for the text within the options: the one takes the last, the other
    # the first.
    assert answers == {"correct": 0, "clue-2024": 2, "clue-2025": 0}


def test_a_question_without_a_place_is_not_asked_in_task_2(tmp_path: Path) -> None:
    path = changed(tmp_path, {"answer_location": {}})
    task = make("longhealth2", path=path)
    assert len(every(task)) == 55
    assert task.info.excluded == (("patient_01-q01", "no document is named for the answer"),)
    for name in ("longhealth1", "longhealth3"):
        assert len(every(make(name, path=path))) == 60
        assert make(name, path=path).info.excluded == ()
    assert len(every(make("longhealth2", "clue-2024", path=path))) == 60


def test_empty_documents_are_given_to_nobody(tmp_path: Path) -> None:
    value = json.loads((DATA / "benchmark_v5.json").read_text(encoding="utf-8"))
    value["patient_01"]["texts"]["text_3"] = " \n"
    path = tmp_path / "b.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    for name in ("longhealth1", "longhealth2", "longhealth3"):
        for question in every(make(name, path=str(path))):
            assert "patient_01/text_3" not in question.documents


SHARES = "is no part of the text"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"correct": "None of them"}, r"'correct' \('None of them'\) is the text of 0 options"),
        ({"correct": None}, "is the text of 0 options"),
        ({"answer_b": "Same", "answer_c": "Same", "correct": "Same"}, "the text of 2 options"),
        ({"answer_b": "ER positive, PR positive, HER2 Negative"}, "have the same text"),
        ({"answer_e": None}, "'answer_e' is missing or not text"),
        ({"answer_e": 5}, "'answer_e' is missing or not text"),
        ({"answer_location": {"text_9": {"start": [0], "end": [1]}}}, "'answer_location' is wrong"),
        ({"answer_location": [0.1]}, "'answer_location' is wrong"),
        ({"answer_location": {"text_0": [0.1, 0.2]}}, "'answer_location' is wrong"),
        ({"answer_location": {"text_0": {"start": [0.1]}}}, "'answer_location' is wrong"),
        (
            {"answer_location": {"text_0": {"start": [0.1, 0.5], "end": [0.2]}}},
            "'answer_location' is wrong",
        ),
        ({"answer_location": {"text_0": {"start": [0.1], "end": [1.2]}}}, SHARES),
        ({"answer_location": {"text_0": {"start": [-0.1], "end": [0.2]}}}, SHARES),
        ({"answer_location": {"text_0": {"start": [0.4], "end": [0.2]}}}, SHARES),
        ({"answer_location": {"text_0": {"start": [float("nan")], "end": [0.2]}}}, SHARES),
        ({"answer_location": {"text_0": {"start": [True], "end": [True]}}}, SHARES),
        ({"answer_location": {"text_0": {"start": ["0"], "end": [0.2]}}}, SHARES),
    ],
)
def test_mistakes_name_their_question(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    path = changed(tmp_path, change)
    with pytest.raises(DataError, match=what) as caught:
        every(make("longhealth1", path=path))
    assert caught.value.where == f"{path}, patient_01, question 1"


def test_the_file_is_not_there(home: Path) -> None:
    task = make("longhealth1", path="data/longhealth/benchmark_v5.json")
    assert task.info.sources == ()
    with pytest.raises(DataError, match="not there") as caught:
        every(task)
    assert "https://github.com/kbressem/LongHealth" in caught.value.fix
