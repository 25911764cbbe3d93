"""PubMedQA in both layouts, and the real set where it lies beside the repository."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from ragbench.errors import DataError
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


def test_the_real_test_set(shared_data: Path) -> None:
    """500 questions, 276 yes, 169 no, 55 maybe: the published distribution."""
    path = shared_data / "tasks" / "pubmedqa.jsonl"
    found = PubmedqaTask(PubmedqaOptions(path=str(path))).questions(limit=None, seed=1)
    assert Counter(q.options[q.answer] for q in found) == {"yes": 276, "no": 169, "maybe": 55}
    assert all(q.gold_doc_ids == (q.id,) for q in found)
