"""PubMedQA in both layouts, and the real set where it lies beside the repository."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from ragbench.base.errors import DataError
from ragbench.tasks.pubmedqa import PubmedqaOptions, PubmedqaTask

RECORDS = {
    "101": {"QUESTION": "Does rest help?", "final_decision": "yes", "CONTEXTS": ["secret text"]},
    "102": {"QUESTION": "Does heat help?", "final_decision": "maybe", "CONTEXTS": ["secret text"]},
    "103": {"QUESTION": "Does ice help?", "final_decision": "no", "CONTEXTS": ["secret text"]},
}


def published(home: Path) -> Path:
    (home / "ori_pqal.json").write_text(json.dumps(RECORDS))
    (home / "test_ground_truth.json").write_text(json.dumps({"101": "yes", "102": "maybe"}))
    return home / "ori_pqal.json"


def test_the_published_layout(home: Path) -> None:
    task = PubmedqaTask(PubmedqaOptions(path=str(published(home))))
    found = task.questions(limit=None, seed=1)
    assert [(q.id, q.options[q.answer], q.gold_doc_ids) for q in found] == [
        ("101", "yes", ("101",)),
        ("102", "maybe", ("102",)),
    ]
    assert all("secret" not in q.text + q.query for q in found)
    rest = PubmedqaTask(PubmedqaOptions(path=str(published(home)), split="train"))
    assert [q.id for q in rest.questions(limit=None, seed=1)] == ["103"]
    every = PubmedqaTask(PubmedqaOptions(path=str(published(home)), split=None))
    assert len(every.questions(limit=None, seed=1)) == 3


def test_what_is_lacking_is_told(home: Path) -> None:
    with pytest.raises(DataError, match="not there") as caught:
        PubmedqaTask(PubmedqaOptions()).questions(limit=None, seed=1)
    assert "pubmedqa/pubmedqa" in caught.value.fix
    path = published(home)
    (home / "test_ground_truth.json").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        PubmedqaTask(PubmedqaOptions(path=str(path))).questions(limit=None, seed=1)


BENCHMARK = {
    pmid: {
        "question": record["QUESTION"],
        "options": {"A": "yes", "B": "no", "C": "maybe"},
        "answer": {"yes": "A", "no": "B", "maybe": "C"}[str(record["final_decision"])],
        "PMID": [int(pmid)],
    }
    for pmid, record in RECORDS.items()
}


def test_the_three_layouts_give_the_same_questions(home: Path) -> None:
    (home / "benchmark.json").write_text(json.dumps({"medqa": {}, "pubmedqa": BENCHMARK}))
    lines = [
        {"id": pmid, "split": "test", "gold_doc_ids": [pmid]}
        | {k: v for k, v in record.items() if k != "PMID"}
        for pmid, record in BENCHMARK.items()
    ]
    (home / "q.jsonl").write_text("\n".join(map(json.dumps, lines)))
    options = [
        PubmedqaOptions(path=str(published(home)), split=None),
        PubmedqaOptions(path="benchmark.json"),
        PubmedqaOptions(path="q.jsonl"),
    ]
    first, *others = (PubmedqaTask(o).questions(limit=None, seed=1) for o in options)
    assert len(first) == 3
    assert others == [first, first]


def test_what_mirages_file_does_not_hold(home: Path) -> None:
    (home / "benchmark.json").write_text(json.dumps({"pubmedqa": BENCHMARK}))
    with pytest.raises(DataError, match="no split 'train'"):
        PubmedqaTask(PubmedqaOptions(path="benchmark.json", split="train")).questions(
            limit=None, seed=1
        )
    (home / "benchmark.json").write_text(json.dumps({"medqa": BENCHMARK}))
    with pytest.raises(DataError, match="holds no set 'pubmedqa', but medqa"):
        PubmedqaTask(PubmedqaOptions(path="benchmark.json")).questions(limit=None, seed=1)


def test_the_published_layout_with_examples_of_the_other_split(home: Path) -> None:
    path = str(published(home))
    options = PubmedqaOptions(path=path, examples=path, examples_split="train")
    task = PubmedqaTask(options)
    assert [e.id for e in task.info.examples] == ["103"]
    assert [name for name, _ in task.info.sources] == ["ori_pqal.json", "test_ground_truth.json"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"final_decision": "perhaps"}, "the answer 'perhaps' is not among the options"),
        ({"final_decision": None}, "the answer None is not among the options"),
        ({"QUESTION": None}, "'question' is empty or not text"),
    ],
)
def test_a_wrong_record_is_named(home: Path, change: dict[str, object], what: str) -> None:
    path = published(home)
    path.write_text(json.dumps(RECORDS | {"102": RECORDS["102"] | change}))
    with pytest.raises(DataError, match=what) as caught:
        PubmedqaTask(PubmedqaOptions(path=str(path))).questions(limit=None, seed=1)
    assert caught.value.where == f"{path}, record 2 (102)"


def test_in_the_mode_mirage_the_same_is_asked_otherwise(home: Path) -> None:
    options = PubmedqaOptions(path=str(published(home)))
    correct, mirage = PubmedqaTask(options), PubmedqaTask(options, mode="mirage")
    assert correct.questions(limit=None, seed=1) == mirage.questions(limit=None, seed=1)
    assert correct.info.instruction.endswith("with yes, no or maybe. Reply with the answer alone.")
    assert (correct.info.scoring, correct.info.note) == ("letters", "")
    assert (mirage.info.scoring, mirage.info.reads) == ("generate", "mirage")
    assert mirage.info.default_corpus == "pubmedqa"


def test_the_real_test_set(shared_data: Path) -> None:
    """500 questions, 276 yes, 169 no, 55 maybe: the published distribution."""
    path = shared_data / "tasks" / "pubmedqa.jsonl"
    found = PubmedqaTask(PubmedqaOptions(path=str(path))).questions(limit=None, seed=1)
    assert Counter(q.options[q.answer] for q in found) == {"yes": 276, "no": 169, "maybe": 55}
    assert all(q.gold_doc_ids == (q.id,) for q in found)
