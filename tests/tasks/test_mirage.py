"""MIRAGE's sets in both layouts: the real ones where they are, BioASQ on records of our own."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError
from ragbench.base.records import Mode, Question
from ragbench.experiment.stages.prompts import messages
from ragbench.tasks.mirage import (
    PUBLISHED,
    SAME_TEXT,
    BioasqYnTask,
    MedmcqaTask,
    MedqaUsTask,
    MirageOptions,
    MirageTask,
    MmluMedTask,
)
from ragbench.tasks.pubmedqa import PubmedqaOptions, PubmedqaTask
from tests.tasks.conftest import DATA, Ask, check_letters

BIOASQ = str(DATA / "bioasq.json")
RECORD: dict[str, Any] = {
    "question": "Which lack causes scurvy?",
    "options": {"A": "iron", "B": "vitamin C", "C": "zinc", "D": "copper"},
    "answer": "B",
}


def medqa(home: Path, records: object, *, mode: Mode = "correct", **options: Any) -> MedqaUsTask:
    (home / "b.json").write_text(json.dumps({"medqa": records}), encoding="utf-8")
    return MedqaUsTask(MirageOptions(path="b.json", **options), mode=mode)


def made(kind: type[MirageTask], path: Path, mode: Mode = "correct") -> MirageTask:
    options = PubmedqaOptions if kind is PubmedqaTask else MirageOptions
    return kind(options(path=str(path)), mode=mode)


def test_records_may_name_their_cluster(home: Path) -> None:
    task = medqa(home, {"1": RECORD | {"cluster": "p"}, "2": RECORD})
    assert [q.cluster for q in task.questions(limit=None, seed=1)] == ["p", None]
    assert task.info.cluster_unit is None


@pytest.mark.parametrize(
    ("kind", "n", "gold"),
    [
        (MmluMedTask, 1089, {"A": 235, "B": 254, "C": 248, "D": 352}),
        (MedqaUsTask, 1273, {"A": 353, "B": 309, "C": 346, "D": 265}),
        (MedmcqaTask, 4183, {"A": 1348, "B": 1085, "C": 925, "D": 825}),
        (PubmedqaTask, 500, {"A": 276, "B": 169, "C": 55}),
    ],
)
def test_the_real_sets(
    kind: type[MirageTask], n: int, gold: dict[str, int], shared_data: Path
) -> None:
    path = shared_data / "tasks" / "mirage_benchmark_open.json"
    task = made(kind, path, "mirage")
    found = task.questions(limit=None, seed=1)
    assert len(found) == n
    assert Counter("ABCD"[q.answer] for q in found) == gold
    assert [q.id for q in found] == sorted(q.id for q in found)
    assert task.info.excluded == ()
    correct = made(kind, path)
    assert len(correct.questions(limit=None, seed=1)) + len(correct.info.excluded) == n


def test_medmcqa_leaves_out_what_has_two_right_options(shared_data: Path) -> None:
    """Four of the 21 items with equal options have the right one among them."""
    path = shared_data / "tasks" / "mirage_benchmark_open.json"
    task = made(MedmcqaTask, path)
    found = task.questions(limit=None, seed=1)
    assert len(found) == 4179
    assert sorted(name for name, _ in task.info.excluded) == [
        "0190dc62-5b1a-48f7-b0c2-f91fb0fd66e7",
        "0447b9a2-22ec-449c-8a23-a52c28ac6b34",
        "47e35777-f1d7-4291-81e6-6a1d1360a75c",
        "6946c04c-eee9-4b9d-ad2d-dbf5ccd40b94",
    ]
    assert {reason for _, reason in task.info.excluded} == {SAME_TEXT}
    assert sum(len(set(q.options)) < 4 for q in found) == 17


def test_mmlu_by_subject(shared_data: Path) -> None:
    sizes = {
        "anatomy": 135,
        "clinical_knowledge": 265,
        "college_biology": 144,
        "college_medicine": 173,
        "medical_genetics": 100,
        "professional_medicine": 272,
    }
    for name in ("mirage_benchmark_open.json", "mmlu_med.jsonl"):
        task = made(MmluMedTask, shared_data / "tasks" / name)
        assert Counter(q.stratum for q in task.questions(limit=None, seed=1)) == sizes


@pytest.mark.parametrize(
    ("kind", "name", "n"),
    [
        (MedqaUsTask, "medqa_us.jsonl", 1273),
        (MmluMedTask, "mmlu_med.jsonl", 1089),
        (MedmcqaTask, "medmcqa_sample.jsonl", 500),
    ],
)
def test_json_lines_hold_the_same_questions(
    kind: type[MirageTask], name: str, n: int, shared_data: Path
) -> None:
    def content(q: Question) -> tuple[object, ...]:
        return (q.text, q.options, q.answer)

    lines, whole = (
        made(kind, shared_data / "tasks" / file, "mirage").questions(limit=None, seed=1)
        for file in (name, "mirage_benchmark_open.json")
    )
    assert len(lines) == n
    assert {content(q) for q in lines} <= {content(q) for q in whole}


def test_pubmedqa_is_the_same_in_mirages_file(shared_data: Path) -> None:
    tasks = shared_data / "tasks"
    ours, theirs = (
        made(PubmedqaTask, tasks / name).questions(limit=None, seed=1)
        for name in ("pubmedqa.jsonl", "mirage_benchmark_open.json")
    )
    assert {q.id: q for q in ours} == {q.id: q for q in theirs}


def test_bioasq_has_two_options_and_gold_articles() -> None:
    task = BioasqYnTask(MirageOptions(path=BIOASQ))
    raw = json.loads(Path(BIOASQ).read_text(encoding="utf-8"))["bioasq"]
    found = task.questions(limit=None, seed=1)
    assert len(found) == len(raw) == 12
    for question in found:
        record = raw[question.id]
        assert question.options == ("yes", "no")
        assert question.options[question.answer] == record["options"][record["answer"]]
        assert question.gold_doc_ids == tuple(map(str, record["PMID"]))
        assert question.query == question.text == record["question"]
    assert task.info.default_corpus == "pubmed"
    assert task.info.data_use == "bring-your-own"


def test_bioasq_as_json_lines_answered_by_word(home: Path) -> None:
    line = {"id": "1", "question": "Is it?", "options": ["yes", "no"], "answer": "no"}
    (home / "b.jsonl").write_text(json.dumps(line | {"gold_doc_ids": [7]}))
    (found,) = BioasqYnTask(MirageOptions(path="b.jsonl")).questions(limit=None, seed=1)
    assert (found.answer, found.gold_doc_ids) == (1, ("7",))


def test_the_mode_mirage_asks_for_json_and_reads_as_mirage_does(home: Path) -> None:
    task = medqa(home, {"0": RECORD}, mode="mirage")
    info = task.info
    assert (info.scoring, info.reads, info.instruction) == ("generate", "mirage", PUBLISHED)
    assert '"answer_choice"' in info.instruction
    assert "counts as the answer A" in info.note
    (question,) = task.questions(limit=None, seed=1)
    turns = messages(info, question, [], "generate")
    assert [turn.role for turn in turns] == ["system", "user"]
    assert "\nB. vitamin C\n" in turns[1].content
    assert turns[1].content.endswith("reply with the JSON object.")
    correct = medqa(home, {"0": RECORD}).info
    assert (correct.scoring, correct.reads, correct.note) == ("letters", "option", "")


@pytest.mark.parametrize("name", ["instruction", "examples"])
def test_the_mode_mirage_takes_nothing_of_ones_own(home: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"the mode 'mirage' takes no {name}"):
        medqa(home, {"0": RECORD}, mode="mirage", **{name: "x"})


def test_equal_options_in_either_mode(home: Path) -> None:
    same = {"A": "iron", "B": "vitamin C", "C": "zinc", "D": "Iron "}
    records = {"1": RECORD | {"options": same}, "2": RECORD | {"options": same, "answer": "A"}}
    task = medqa(home, records)
    assert [q.id for q in task.questions(limit=None, seed=1)] == ["1"]
    assert task.info.excluded == (("2", SAME_TEXT),)
    task = medqa(home, records, mode="mirage")
    assert [q.id for q in task.questions(limit=None, seed=1)] == ["1", "2"]
    assert task.info.excluded == ()


def test_records_come_in_the_order_of_their_ids(home: Path) -> None:
    task = medqa(home, {name: RECORD for name in ("b", "a10", "a9")})
    assert [q.id for q in task.questions(limit=2, seed=1)] == ["a10", "a9"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"answer": "E"}, "the answer 'E' is not among the options"),
        ({"answer": 1}, "the answer 1 is not among the options"),
        ({"answer": None}, "the answer None is not among"),
        ({"options": {"A": "iron", "B": ""}}, "an option is empty"),
        ({"options": {"A": "iron", "B": None}}, "not texts under letters"),
        ({"options": {"B": "iron"}}, "the options have the letters B"),
        ({"options": {"A": "iron"}, "answer": "A"}, "has 1 options"),
        ({"question": float("nan")}, "'question' is empty or not text"),
        ({"Question": "?"}, "a field 'Question', which is not read"),
        ({"subject": "anatomy"}, "a field 'subject', which is not read"),
        ({"PMID": 7}, "PMID is not a list of ids"),
        ({"PMID": [7.0]}, "PMID is not a list of ids"),
    ],
)
def test_mistakes_name_their_record(home: Path, change: dict[str, Any], what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        medqa(home, {"1": RECORD, "2": RECORD | change}).questions(limit=None, seed=1)
    assert caught.value.where == f"{home / 'b.json'}, medqa, 2"


def test_files_that_are_not_mirages(home: Path) -> None:
    (home / "b.json").write_text(json.dumps({"mmlu": {}, "bioasq": {}}))
    task = MedqaUsTask(MirageOptions(path="b.json"))
    with pytest.raises(DataError, match="holds no set 'medqa', but mmlu, bioasq"):
        task.questions(limit=None, seed=1)
    with pytest.raises(DataError, match="the record is not an object") as caught:
        medqa(home, {"1": [RECORD]}).questions(limit=None, seed=1)
    assert caught.value.where.endswith("medqa, 1")
    with pytest.raises(DataError, match="holds no question"):
        medqa(home, {}).questions(limit=None, seed=1)
    with pytest.raises(DataError, match="no split 'train'"):
        medqa(home, {"1": RECORD}, split="train").questions(limit=None, seed=1)
    with pytest.raises(DataError, match="not there") as caught:
        MedqaUsTask(MirageOptions()).questions(limit=None, seed=1)
    assert "Teddy-XiongGZ/MIRAGE" in caught.value.fix
    assert caught.value.where == str(home / "data" / "mirage" / "benchmark.json")


PASSAGES = {
    "99000002": "Huntington's disease is inherited in an autosomal dominant manner.",
    "99000004": "Imatinib inhibits the tyrosine kinase BCR-ABL.",
    "99000006": "Thalidomide in early pregnancy causes defects of the limbs.",
    "x": "Hand washing removes germs.",
}


def test_a_model_answers_by_letter(ask: Ask) -> None:
    found = ask("bioasq_yn", {"path": BIOASQ, "corpus": "other"}, PASSAGES)
    check_letters(found)
    assert len(found.rows) == 6
    assert all(len(record["log_likelihoods"]) == 2 for record in found.records)
    given = [row for row in found.rows if row["arm"] == "bm25"]
    assert [row["gold_delivered"] for row in given] == [1, 1, 1]
    assert [row["gold_delivered"] for row in found.rows if row["arm"] == "closed-book"] == [0] * 3
    assert all(
        PASSAGES[record["passages"][0]] in found.prompts["bm25", record["question_id"]]
        for record in found.records
        if record["arm"] == "bm25"
    )


def test_gold_articles_need_a_corpus_that_holds_them(ask: Ask) -> None:
    arms = [{"name": "bm25", "retriever": "bm25", "k": 1}]
    passages = {"x": PASSAGES["x"], "y": "Germs cause disease."}
    found = ask("bioasq_yn", {"path": BIOASQ}, passages, arms=arms)
    assert len(found.rows) == 3
    assert not any(row["has_gold"] for row in found.rows)


def test_a_model_answers_the_other_sets(ask: Ask, home: Path) -> None:
    yes = {"question": "Does rest help?", "answer": "B"}
    records = {
        "mmlu": {f"anatomy-{i:03d}": RECORD for i in range(2)},
        "medmcqa": {f"id-{i}": RECORD for i in range(2)},
        "pubmedqa": {
            str(i): yes | {"options": {"A": "yes", "B": "no", "C": "maybe"}, "PMID": [i]}
            for i in range(2)
        },
    }
    (home / "b.json").write_text(json.dumps(records))
    names = ("mmlu_med", "medmcqa", "pubmedqa")
    tasks = [{"name": name, "limit": 2, "options": {"path": "b.json"}} for name in names]
    found = ask("mmlu_med", {}, {"0": "Rest does not help.", **PASSAGES}, tasks=tasks)
    assert len(found.rows) == 12
    for name in names:
        check_letters(found.of(name))
    assert {row["stratum"] for row in found.of("mmlu_med").rows} == {"anatomy"}
    assert "Rest does not help." in found.prompts["bm25", "0"]
    assert "\nC. maybe\n" in found.prompts["closed-book", "1"]


def test_a_model_writes_and_mirages_rules_read(ask: Ask, home: Path) -> None:
    (home / "b.json").write_text(json.dumps({"medqa": {str(i): RECORD for i in range(3)}}))
    keys = {"mode": "mirage", "reply_limit": 6}
    found = ask("medqa_us", {"path": "b.json"}, PASSAGES, limit=2, **keys)
    assert all(row["scoring"] == "generate" for row in found.rows)
    assert {row["outcome"] for row in found.rows} <= {"parsed", "assumed"}  # the default is A
    assert all(row["rule"].startswith(("mirage ", "default A")) for row in found.rows)
    assert all(row["accuracy"] == float(row["pick"] == 1) for row in found.rows)
    prompt = found.prompts["closed-book", "0"]
    assert PUBLISHED in prompt
    assert "\nD. copper\n" in prompt
    assert found.task["reader"] == "mirage"
