"""What CLUE's tasks share: examples by mode, exclusions, and what a wrong file is told."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.errors import DataError
from ragbench.base.records import Mode, Question
from ragbench.tasks.clue.clue import draw_examples
from tests.tasks.clue_files import FILES, every, lines, make, write_lines

NAMES = [name for name in FILES if not name.startswith("longhealth")]
N_FIXTURE = {"mednli": 24, "meqsum": 12, "problem_list": 12, "medisumqa": 12, "medisumcode": 12}
SHOTS = {"mednli": 3, "meqsum": 3, "problem_list": 3, "medisumqa": 1, "medisumcode": 1}
# (task, rows) -> places of the examples in the rewritten harness, as they were published.
PUBLISHED = {
    ("mednli", 1422): [360, 544, 1303],
    ("meqsum", 1000): [852, 836, 280],
    ("problem_list", 237): [168, 87, 179],
    ("medisumcode", 500): [376],
    ("medisumqa", 453): [362],
    ("medisumqa", 416): [395],
}


def write_rows(folder: Path, name: str, size: int) -> str:
    """Write a file of so many rows in the layout of a task."""
    if name == "problem_list":
        path = folder / "p.csv"
        with path.open("w", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle)
            writer.writerow(["Subjectives", "Assessment", "Summary"])
            writer.writerows([f"S{i}", f"A{i}", f"Gout {i}; Fever"] for i in range(size))
        return str(path)
    rows: dict[str, Any] = {
        "mednli": lambda i: {"sentence1": f"P{i}", "sentence2": "H", "gold_label": "neutral"},
        "meqsum": lambda i: {"question": f"Q{i}", "summary": "S"},
        "medisumqa": lambda i: {"discharge_summary": f"L{i}", "Question": "Q", "Answer": "A"},
        "medisumcode": lambda i: {"text": f"L{i}", "icd_codes": [{"code": "I10"}]},
    }
    return write_lines(folder / "rows.jsonl", [rows[name](i) for i in range(size)])


def place(question: Question) -> int:
    return int(question.id.rpartition("-")[2])


@pytest.mark.parametrize(("name", "size"), PUBLISHED)
def test_published_examples_are_taken_by_the_tasks_own_path(
    tmp_path: Path, name: str, size: int
) -> None:
    path = write_rows(tmp_path, name, size)
    shots = SHOTS[name]
    new = make(name, "clue-2025", path=path)
    assert [place(e) for e in new.info.examples] == PUBLISHED[name, size]
    old = make(name, "clue-2024", path=path)
    first = PUBLISHED[name, size] if name == "medisumqa" else list(range(shots))
    assert [place(e) for e in old.info.examples] == first
    for task in (new, old):
        scored = every(task)
        assert len(scored) == size - shots
        assert not {q.id for q in scored} & {e.id for e in task.info.examples}
        assert task.info.excluded == tuple((e.id, "few-shot example") for e in task.info.examples)
    order = list(range(size))
    random.Random(1).shuffle(order)
    assert [place(q) for q in every(new)] == order[shots:]
    if name != "medisumqa":
        assert [place(q) for q in every(old)] == list(range(shots, size))


@pytest.mark.parametrize("name", NAMES)
def test_correct_scores_no_example_and_keeps_the_order(name: str) -> None:
    task = make(name)
    scored, info = every(task), task.info
    assert len(info.examples) == SHOTS[name]
    assert len(scored) + len(info.excluded) == N_FIXTURE[name]
    excluded = {identifier for identifier, _ in info.excluded}
    assert {e.id for e in info.examples} <= excluded
    assert not excluded & {q.id for q in scored}
    assert [place(q) for q in scored] == sorted(place(q) for q in scored)
    assert task.questions(limit=2, seed=3) == scored[:2]


@pytest.mark.parametrize("name", NAMES)
def test_no_shots(name: str) -> None:
    modes: tuple[Mode, ...] = ("correct", "clue-2024", "clue-2025")
    for mode in modes:
        task = make(name, mode, shots=0)
        assert task.info.examples == ()
        left_out = 1 if (name, mode) == ("medisumcode", "correct") else 0
        assert len(every(task)) == N_FIXTURE[name] - left_out


@pytest.mark.parametrize("name", NAMES)
def test_examples_of_another_file(tmp_path: Path, name: str) -> None:
    path = write_rows(tmp_path, name, 5)
    task = make(name, examples=path)
    stem = Path(path).stem
    ids = [e.id for e in task.info.examples]
    assert ids == [f"{stem}:{x.id}" for x in every(make(name, path=path, shots=0))][: SHOTS[name]]
    left_out = 1 if name == "medisumcode" else 0
    assert len(every(task)) == N_FIXTURE[name] - left_out
    assert len(task.info.sources) == 2
    assert all(len(digest) == 64 for _, digest in task.info.sources)
    with pytest.raises(DataError, match="'clue-2024' takes its examples from the evaluated file"):
        every(make(name, "clue-2024", examples=path))
    with pytest.raises(DataError, match="the file holds 5 examples, fewer than 6"):
        every(make(name, examples=path, shots=6))


@pytest.mark.parametrize("name", NAMES)
def test_an_example_that_is_scored_is_refused(name: str) -> None:
    task = make(name)
    with pytest.raises(DataError, match="is the scored question"):
        every(make(name, examples=str(task._path)))


@pytest.mark.parametrize("name", NAMES)
def test_more_examples_than_the_file_can_give(tmp_path: Path, name: str) -> None:
    path = write_rows(tmp_path, name, 4)
    for mode in ("correct", "clue-2024"):
        with pytest.raises(DataError, match="the file has 4 rows, of which 4 are to be examples"):
            every(make(name, mode, path=path, shots=4))


def test_premises_that_run_out(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "m.jsonl", lines("mli_test_v1.jsonl")[:6])  # of two premises
    for shots in (2, 3):
        with pytest.raises(DataError, match=f"{shots} examples, each with its premise, leave none"):
            every(make("mednli", path=path, shots=shots))
    assert len(every(make("mednli", path=path, shots=1))) == 3


def test_a_limit_beyond_what_is_scored() -> None:
    task = make("meqsum")
    with pytest.raises(DataError, match="there are 9 questions, fewer than 10") as caught:
        task.questions(limit=10, seed=1)
    assert caught.value.fix == "set limit to 9 or less"


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_not_there_tells_how_to_get_it(home: Path, name: str) -> None:
    task = make(name, path="")
    with pytest.raises(DataError, match="the file of questions is not there") as caught:
        every(task)
    assert caught.value.where == str(home / task.about.file.split(" ")[0])
    assert "http" in caught.value.fix
    assert task.about.file in caught.value.fix
    with pytest.raises(DataError, match="is not there"):
        _ = make(name, path="").info


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_file(tmp_path: Path, name: str) -> None:
    empty = tmp_path / ("e.csv" if name == "problem_list" else "e.json")
    empty.write_text("Subjectives,Assessment,Summary\n" if name == "problem_list" else "[]")
    with pytest.raises(DataError, match="holds no question"):
        every(make(name, path=str(empty)))


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40), st.integers(0, 6))
def test_drawn_examples_are_of_different_clusters_that_are_not_scored(
    clusters: list[str], shots: int
) -> None:
    rows = [Question(f"q{i}", f"t{i}", (), -1, "", cluster=c) for i, c in enumerate(clusters)]
    drawn = draw_examples(rows, shots)
    used = [e.cluster for e in drawn.examples]
    assert len(set(used)) == len(used) == min(shots, len(set(clusters)))
    assert drawn.questions == tuple(q for q in rows if q.cluster not in used)
    assert {i for i, _ in drawn.excluded} == {q.id for q in rows if q.cluster in used}
    assert draw_examples(list(reversed(rows)), shots).examples == drawn.examples


def test_questions_without_a_cluster_are_drawn_one_by_one() -> None:
    names = ["a", None, "a", None, None]
    rows = [Question(f"q{i}", f"t{i}", (), -1, "", cluster=c) for i, c in enumerate(names)]
    drawn = draw_examples(rows, 4)
    assert sorted(str(e.cluster) for e in drawn.examples) == ["None", "None", "None", "a"]
    assert drawn.questions == ()
    assert ("shares its cluster with a few-shot example") in dict(drawn.excluded).values()


def test_a_question_with_the_words_of_an_example_is_not_scored() -> None:
    texts = ["Is it gout?", "is it GOUT", "Is it gout \u2014 now?"]
    rows = [Question(f"q{i}", text, (), -1, "") for i, text in enumerate(texts)]
    drawn = draw_examples(rows, 1)
    (example,) = drawn.examples
    rest = {q.id for q in rows} - {example.id}
    twins = rest & {"q0", "q1"} if example.id != "q2" else set()
    assert {q.id for q in drawn.questions} == rest - twins
    told = dict(drawn.excluded)
    assert {i for i in told if told[i] == "has the words of a few-shot example"} == twins
