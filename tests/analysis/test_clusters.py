"""Clusters by hand, and by SciPy's disjoint sets; a real file with questions that occur twice."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import DisjointSet

from ragbench.analysis.clusters import cluster_codes, cluster_name, has_clusters, repeats
from ragbench.analysis.load import Run
from ragbench.base.errors import DataError
from ragbench.base.records import Question
from ragbench.runfolder.looks.clusters import clusters_of, same
from ragbench.runfolder.questions import write_questions
from ragbench.tasks.mirage import MirageOptions, MmluMedTask
from tests.analysis.making import about_of, edited, make_run, question


def asked(name: str, text: str = "", **fields: Any) -> Question:
    return Question(name, text or f"Is {name} so?", ("yes", "no"), 0, "", **fields)


def codes(run: Run, *ids: str) -> list[int] | None:
    found = cluster_codes(run, "t", pd.DataFrame({"question_id": ids}))
    return None if found is None else found.tolist()


def run_of(folder: Path, *lines: dict[str, Any]) -> Run:
    return make_run(folder / "run", questions={"t": lines})


def test_questions_without_a_cluster_are_clusters_of_their_own() -> None:
    found = [asked("a", cluster="x"), asked("b"), asked("c", cluster="x"), asked("d")]
    assert clusters_of(found) == [0, 1, 0, 2]
    assert clusters_of([]) == []


def test_the_same_question_is_one_cluster() -> None:
    """Words, the set of options and the documents count; case, blanks and their order do not."""
    first = Question("a", "Is TSH > 4?", ("low", "high"), 0, "", documents=("p", "q"))
    again = Question("b", "is tsh  >4", ("High", "low."), 1, "x", documents=("q", "p"))
    others = [
        Question("c", "Is TSH < 4?", ("low", "high"), 0, "", documents=("p", "q")),
        Question("d", "Is TSH > 4?", ("low", "higher"), 0, "", documents=("p", "q")),
        Question("e", "Is TSH > 4?", ("low", "high"), 0, "", documents=("p",)),
    ]
    assert clusters_of([first, again, *others]) == [0, 0, 1, 2, 3]
    assert len({same(q) for q in (first, again, *others)}) == 4


def test_repeats_join_the_clusters_that_they_are_in() -> None:
    """Patients x and y are asked the same question; z has one of its own, and d has no patient."""
    found = [
        *(asked("a", "What now?", cluster="x"), asked("b", cluster="x")),
        *(asked("c", "What now?", cluster="y"), asked("d", "What now?")),
        *(asked("e", cluster="y"), asked("f", cluster="z")),
    ]
    assert clusters_of(found) == [0, 0, 0, 0, 0, 1]


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([None, *"abcdef"])), max_size=20))
def test_components_are_those_of_disjoint_sets(drawn: list[tuple[int, str | None]]) -> None:
    found = [
        asked(f"q{i}", f"Question {text}?", cluster=name) for i, (text, name) in enumerate(drawn)
    ]
    sets = DisjointSet(range(len(drawn)))
    for i, (text, name) in enumerate(drawn):
        for j in range(i):
            if drawn[j][0] == text or (name is not None and drawn[j][1] == name):
                sets.merge(i, j)
    expected = {frozenset(part) for part in sets.subsets()}
    numbers = clusters_of(found)
    groups = {frozenset(i for i, n in enumerate(numbers) if n == number) for number in set(numbers)}
    assert groups == expected


def test_codes_by_column_and_by_index(tmp_path: Path) -> None:
    lines = [question(name, f"Is {name} so?", cluster=name[0]) for name in ("x1", "y1", "x2")]
    run = run_of(tmp_path, *lines)
    assert codes(run, "y1", "x2", "x1", "y1") == [0, 1, 1, 0]
    by_index = pd.DataFrame({"v": [1, 2]}, index=["x2", "x1"])
    found = cluster_codes(run, "t", by_index)
    assert found is not None
    assert found.tolist() == [0, 0]
    assert codes(run, "y1", "x2") is None  # of each cluster one
    assert codes(run, "y1", "y1") is None  # a question of two arms is not a cluster of questions
    with pytest.raises(DataError, match="a question 'z' that the run does not have"):
        codes(run, "y1", "z")


def test_a_run_without_clusters_has_none(tmp_path: Path) -> None:
    run = run_of(tmp_path, question("a", "One?"), question("b", "Two?"))
    assert codes(run, "a", "b") is None
    assert (repeats(run, "t"), has_clusters(run, "t")) == (0, False)


def test_repeats_are_clusters_that_nobody_named(tmp_path: Path) -> None:
    lines = [question(name, "Which?") for name in "abc"]
    run = run_of(tmp_path, *lines, question("d", "Why?"))
    assert codes(run, *"abcd") == [0, 0, 0, 1]
    assert (repeats(run, "t"), has_clusters(run, "t")) == (2, False)


def test_the_questions_that_mmlu_med_asks_twice(tmp_path: Path, shared_data: Path) -> None:
    """78 of them, as shared/data counts text and options with no code of ragbench's."""
    path = shared_data / "tasks" / "mmlu_med.jsonl"
    found = MmluMedTask(MirageOptions(path=str(path))).questions(limit=None, seed=1)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    twice = Counter((q["question"], *sorted(q["options"].values())) for q in lines)
    assert sum(count - 1 for count in twice.values()) == 78
    write_questions(tmp_path / "run" / "questions" / "t.jsonl", found)
    none = pd.DataFrame()
    run = Run(tmp_path / "run", about_of({}, {"t": {}}), none, none, {})
    numbers = cluster_codes(run, "t", pd.DataFrame({"question_id": [q.id for q in found]}))
    assert numbers is not None
    assert repeats(run, "t") == 78
    assert np.unique(numbers).size == len(found) - 78


def test_a_cluster_has_the_name_that_the_task_gives_it(tmp_path: Path) -> None:
    run = run_of(tmp_path, question("a", "One?", cluster="x"))
    assert has_clusters(run, "t")
    assert cluster_name(run, "t") == "cluster"
    named = edited(run, "identity.tasks.t.cluster_unit", "patient")
    assert cluster_name(named, "t") == "patient"
