"""A split's strata: read, refused, and asked in turn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError
from ragbench.corpora.readers.hpo import HpoOptions, HpoReader, read_terms
from ragbench.tasks.files.split import DEMO_SPLIT, by_stratum, in_turn, read_split
from ragbench.tasks.hpo import HpoTask, HpoTaskOptions
from ragbench.tasks.icd10cm import Icd10cmTask, Icd10cmTaskOptions


def test_members_come_in_turn_and_the_rest_last() -> None:
    assert in_turn(["abc", "x", "12"]) == ["a", "x", "1", "b", "2", "c"]
    assert in_turn([[0, 1], [2]]) == [0, 2, 1]


def test_what_is_in_no_stratum_is_left_out() -> None:
    strata = {"seen": ["a"], "held-out": ["b", "none"]}
    found = by_stratum([("b", 1), ("c", 2), ("a", 3)], strata, task="t")
    assert found == {"seen": [3], "held-out": [1]}
    with pytest.raises(DataError, match="nothing in the stratum 'seen' can be asked about"):
        by_stratum([("b", 1)], strata, task="t")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "cannot be read"),
        ("[]", "the split has no 'icd10cm'"),
        ({"hpo": {}}, "the split has no 'icd10cm'"),
        ({"icd10cm": {}}, "the split has no 'strata'"),
        ({"icd10cm": {"strata": {}}}, "no strata of icd10cm"),
        ({"icd10cm": {"strata": {"seen": "E11"}}}, "not a list of ids"),
        ({"icd10cm": {"strata": {"a": ["E11"], "b": ["E11"]}}}, "'E11' appears in two strata"),
        ({"icd10cm": {"strata": {"a": ["E11", "E11"]}}}, "an id appears twice"),
    ],
)
def test_a_wrong_split_is_refused(home: Path, content: Any, what: str) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (home / "s.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=what) as caught:
        read_split("s.json", "icd10cm")
    assert str(home / "s.json") in str(caught.value.where)


def test_codes_are_asked_by_stratum_in_turn_with_both_directions_in_each(home: Path) -> None:
    strata = {"seen": ["D50.0", "D50.1", "D50.8", "D50.9"], "held-out": ["D51.0", "D51.1"]}
    (home / "s.json").write_text(json.dumps({"icd10cm": {"strata": strata}}), encoding="utf-8")
    task = Icd10cmTask(Icd10cmTaskOptions(chapters=("3",), split="s.json"))
    found = task.questions(limit=None, seed=1)
    assert [q.stratum for q in found] == ["seen", "held-out"] * 2 + ["seen"] * 2
    for name, ids in strata.items():
        mine = [q for q in found if q.stratum == name]
        assert {q.gold_doc_ids[0] for q in mine} == set(ids)
        to_code = [q for q in mine if "description-to-code" in q.id]
        assert len(to_code) == len(mine) / 2
    assert [q.id for q in task.questions(limit=3, seed=1)] == [q.id for q in found][:3]
    with pytest.raises(DataError, match="the split has 6 billable codes"):
        task.questions(limit=7, seed=1)


def test_the_demonstration_split_holds_whole_categories_out() -> None:
    strata = read_split("demo", "icd10cm")
    held_out = json.loads(DEMO_SPLIT.read_text(encoding="utf-8"))["icd10cm"]["held_out_groups"]
    assert {code[:3] for code in strata["held-out"]} <= set(held_out)
    assert not {code[:3] for code in strata["seen"]} & set(held_out)
    task = Icd10cmTask(Icd10cmTaskOptions(chapters=("4", "9", "10", "11"), split="demo"))
    found = task.questions(limit=None, seed=17)
    assert len(found) == sum(len(ids) for ids in strata.values())


def test_the_demonstration_split_holds_whole_branches_out() -> None:
    strata = read_split("demo", "hpo")
    (path,) = HpoReader(None, HpoOptions()).sources()
    terms = read_terms(path)
    held_out = json.loads(DEMO_SPLIT.read_text(encoding="utf-8"))["hpo"]["held_out_groups"]

    def above(identifier: str) -> set[str]:
        return {identifier}.union(*(above(parent) for parent in terms[identifier].parents))

    assert all(above(term) & set(held_out) for term in strata["held-out"])
    assert not any(above(term) & set(held_out) for term in strata["seen"])
    found = HpoTask(HpoTaskOptions(split="demo")).questions(limit=40, seed=17)
    assert [q.stratum for q in found] == ["seen", "held-out"] * 20
    assert all(q.gold_doc_ids[0] in strata[q.stratum] for q in found)
