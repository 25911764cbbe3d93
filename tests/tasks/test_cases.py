"""Cases of NEJM and JAMA, on cases of our own writing in the layout of a user's file."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError
from ragbench.tasks.cases import NO_IMAGE, CaseOptions, CaseTask, JamaTask, NejmTask, right_share
from tests.tasks.conftest import DATA, Ask, check_letters

JOURNALS = [(NejmTask, "nejm", 5), (JamaTask, "jama", 4)]
CASE: dict[str, Any] = {
    "id": "nejm-1",
    "source": "nejm",
    "published": "2022-05-05",
    "case_text": "A sailor's gums bleed.",
    "question": "What is the diagnosis?",
    "options": {"A": "scurvy", "B": "gout", "C": "beriberi"},
    "answer": "A",
}


def lines(name: str) -> list[dict[str, Any]]:
    text = (DATA / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def nejm(home: Path, *cases: dict[str, Any], **options: Any) -> NejmTask:
    text = "".join(json.dumps(case) + "\n" for case in cases)
    (home / "n.jsonl").write_text(text, encoding="utf-8")
    return NejmTask(CaseOptions(path="n.jsonl", **options))


def test_a_text_to_search_with_of_its_own(home: Path) -> None:
    plain, own = nejm(home, CASE, CASE | {"id": "2", "query": "bleeding gums"}).questions(
        limit=None, seed=1
    )
    assert plain.query == f"{CASE['case_text']}\n\n{CASE['question']}"
    assert own.query == "bleeding gums"


@pytest.mark.parametrize(("kind", "name", "n_options"), JOURNALS)
def test_the_layout(kind: type[CaseTask], name: str, n_options: int) -> None:
    found = kind(CaseOptions(path=str(DATA / f"{name}.jsonl"))).questions(limit=None, seed=1)
    raw = lines(name)
    assert len(found) == len(raw) == 12
    for question, line in zip(found, raw, strict=True):
        assert question.id == line["id"]
        assert question.options == tuple(line["options"].values())
        assert len(question.options) == n_options
        assert question.options[question.answer] == line["options"][line["answer"]]
        assert question.text.startswith(line["case_text"])
        assert question.text.endswith(line["question"])
        assert (NO_IMAGE in question.text) == line["image_required"]
        assert NO_IMAGE not in question.query
        assert line["case_text"] in question.query
        assert question.stratum == (line["published"] or "undated")[:7].partition("-")[0]


def test_cases_may_name_their_cluster(home: Path) -> None:
    found = nejm(home, CASE | {"cluster": "author-1"}).questions(limit=None, seed=1)
    assert found[0].cluster == "author-1"


@pytest.mark.parametrize(("kind", "name", "n_options"), JOURNALS)
def test_strata_by_a_cutoff(kind: type[CaseTask], name: str, n_options: int) -> None:
    options = CaseOptions(path=str(DATA / f"{name}.jsonl"), cutoff=date(2023, 1, 1))
    found = Counter(q.stratum for q in kind(options).questions(limit=None, seed=1))
    dates = [line["published"] for line in lines(name)]
    assert found == {
        "before": sum(d is not None and d < "2023-01-01" for d in dates),
        "after": sum(d is not None and d >= "2023-01-01" for d in dates),
        "undated": dates.count(None),
    }


def test_the_day_of_the_cutoff_is_after(home: Path) -> None:
    cases = [CASE | {"id": d, "published": d} for d in ("2022-12-31", "2023-01-01")]
    made = nejm(home, *cases, cutoff=date(2023, 1, 1))
    assert [q.stratum for q in made.questions(limit=None, seed=1)] == ["before", "after"]


def test_the_note_tells_votes_and_missing_images(home: Path) -> None:
    """Votes for A: 30 of 40 and 1 of 4, so 75 % and 25 %, on average 50 %."""
    cases = [
        CASE | {"id": "1", "human_distribution": {"A": 30, "B": 10}, "image_required": True},
        CASE | {"id": "2", "human_distribution": {"A": 1, "B": 2, "C": 1}},
        CASE | {"id": "3"},
    ]
    note = nejm(home, *cases).info.note
    assert "50.0 % chose the right option (mean over 2 cases" in note
    assert "1 of 3 cases lack the image" in note
    assert nejm(home, CASE).info.note == ""


@pytest.mark.parametrize(("kind", "name", "n_options"), JOURNALS)
def test_a_file_that_is_not_there(
    kind: type[CaseTask], name: str, n_options: int, home: Path
) -> None:
    with pytest.raises(DataError, match="not there") as caught:
        kind(CaseOptions()).questions(limit=None, seed=1)
    assert caught.value.where == str(home / "data" / "cases" / f"{name}.jsonl")
    assert "copyrighted" in caught.value.fix
    assert (
        f"the terms of {'NEJM' if name == 'nejm' else 'the JAMA Network'} hold" in caught.value.fix
    )
    assert "case_text" in caught.value.fix
    info = kind.about
    assert info.data_use == "bring-your-own"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"source": "jama"}, "the source is 'jama', not 'nejm'"),
        ({"source": None}, "the source is None"),
        ({"published": "5 May 2022"}, "'published' is '5 May 2022', which is not a date"),
        ({"published": 2022}, "'published' is 2022, which is not a date"),
        ({"published": float("nan")}, "'published' is nan, which is not a date"),
        ({"case_text": None}, "'case_text' is empty or not text"),
        ({"question": float("nan")}, "'question' is empty or not text"),
        ({"case": "A sailor."}, "a field 'case', which is not read"),
        ({"options": {"A": "scurvy", "B": "Scurvy "}}, "options 1 and 2 have the same text"),
        ({"options": {"A": "scurvy"}}, "has 1 options"),
        ({"options": {"A": "scurvy", "B": None}}, "not texts under letters"),
        ({"answer": "D"}, "the answer 'D' is not among the options"),
        ({"options": list("EDAK"), "answer": "D"}, "'D' can be read in two ways"),
        ({"answer": "a"}, "the answer 'a' is not among the options"),
        ({"image_required": "no"}, "'image_required' is 'no', neither true nor false"),
        ({"specialty": 3}, "'specialty' is empty or not text"),
        ({"human_distribution": {"D": 3}}, "not a number of votes by letter"),
        ({"human_distribution": {"A": float("nan")}}, "not a number of votes by letter"),
        ({"human_distribution": [1, 2, 3]}, "not a number of votes by letter"),
        ({"human_distribution": {"A": 0, "B": 0}}, "has no votes"),
        ({"id": "case one"}, "white space"),
    ],
)
def test_mistakes_name_their_line(home: Path, change: dict[str, Any], what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        nejm(home, CASE | {"id": "first"}, CASE | change).questions(limit=None, seed=1)
    assert caught.value.where == f"{home / 'n.jsonl'}:2"


def test_ids_that_stand_twice(home: Path) -> None:
    with pytest.raises(DataError, match="'nejm-1' appears twice") as caught:
        nejm(home, CASE, CASE).questions(limit=None, seed=1)
    assert ":1 and" in caught.value.where


def test_votes_may_be_counts_percentages_or_shares() -> None:
    for votes in ({"A": 3, "B": 1}, {"A": 75.0, "B": 25.0}, {"A": 0.75, "B": 0.25}):
        assert right_share(votes, 2, 0, "") == pytest.approx(0.75)
    assert right_share({"B": 4}, 2, 0, "") == 0.0
    assert right_share(None, 2, 0, "") is None


@pytest.mark.parametrize(("kind", "name", "n_options"), JOURNALS)
def test_a_model_answers_with_and_without_a_passage(
    kind: type[CaseTask], name: str, n_options: int, ask: Ask
) -> None:
    line = lines(name)[0]
    passages = {"p1": f"On this case: {line['case_text']}", "p2": "Feet hurt in tight shoes."}
    found = ask(name, {"path": str(DATA / f"{name}.jsonl"), "cutoff": "2023-01-01"}, passages)
    check_letters(found)
    assert len(found.rows) == 6
    assert {row["stratum"] for row in found.rows} == {"before"}
    closed, given = (found.prompts[arm, line["id"]] for arm in ("closed-book", "bm25"))
    assert kind.about.instruction in closed
    assert "Reference passages:" not in closed
    assert f"[1]\nOn this case: {line['case_text']}" in given
    for letter, option in line["options"].items():
        assert f"\n{letter}. {option}\n" in closed
    assert all(len(record["log_likelihoods"]) == n_options for record in found.records)
    assert found.task["data_use"] == "bring-your-own"
