"""LongHealth's documents as passages, and what a file of another layout is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError, PrerequisiteError
from ragbench.base.records import Passage
from ragbench.corpora.build import build_corpus
from ragbench.corpora.reader import Located, Skipped
from ragbench.corpora.readers.longhealth import LonghealthOptions, LonghealthReader

FIXTURE = Path(__file__).parents[2] / "data" / "clue" / "benchmark_v5.json"
GOOD: dict[str, Any] = {"p1": {"texts": {"t0": "Gout."}, "questions": [{"question": "Which?"}]}}


def reader(folder: Path, value: object) -> LonghealthReader:
    path = folder / "b.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return LonghealthReader(path, LonghealthOptions())


def test_every_document_is_a_passage_without_a_title() -> None:
    found = list(LonghealthReader(FIXTURE, LonghealthOptions()).read())
    value = json.loads(FIXTURE.read_text(encoding="utf-8"))
    counts = {"patient_01": 4, "patient_02": 4, "patient_03": 5, "patient_04": 4}
    ids = [f"{patient}/text_{n}" for patient, count in counts.items() for n in range(count)]
    assert [entry.passage.id for entry in found if isinstance(entry, Located)] == ids
    text = value["patient_03"]["texts"]["text_4"]
    passage = Passage("patient_03/text_4", "patient_03/text_4", "", text, {"patient": "patient_03"})
    assert found[12] == Located(passage, f"{FIXTURE}, patient_03, text_4")


def test_members_that_are_no_objects_are_passed_over(tmp_path: Path) -> None:
    value = {"canaray-string": "keep out", "version": 5, "list": [1], "null": None, **GOOD}
    (found,) = reader(tmp_path, value).read()
    assert isinstance(found, Located)
    assert found.passage.id == "p1/t0"


def test_an_empty_document_is_skipped(tmp_path: Path) -> None:
    value = {"p1": {"texts": {"t0": " \n", "t1": "Gout."}, "questions": []}}
    first, second = reader(tmp_path, value).read()
    assert first == Skipped("empty document", f"{tmp_path / 'b.json'}, p1, t0")
    assert isinstance(second, Located)


@pytest.mark.parametrize(
    ("value", "what", "where"),
    [
        ("{", "the file is not JSON", ""),
        ('{"p": {}, "p": {}}', "the key 'p' is repeated", ""),
        ("[" * 100_000, "the file is not JSON", ""),
        ([1], "does not hold an object", ""),
        ({"canaray-string": "x"}, "holds no patient", ""),
        ({"p1": {}}, "'texts' is no object of texts", ", p1"),
        ({"p1": {"texts": {}, "questions": []}}, "'texts' is no object of texts", ", p1"),
        ({"p1": {"texts": ["a"], "questions": []}}, "'texts' is no object of texts", ", p1"),
        ({"p1": {"texts": {"t": None}, "questions": []}}, "'texts' is no object", ", p1"),
        ({**GOOD, "p2": {"texts": {"t": "a"}}}, "'questions' is no list of objects", ", p2"),
        ({"p1": {"texts": {"t": "a"}, "questions": ["a"]}}, "'questions' is no list", ", p1"),
        (
            {"p1": {"texts": {"t": "a"}, "questions": [{"question": "a"}, {"question": ""}]}},
            "'question' is missing or not text",
            ", p1, question 2",
        ),
        ({"p 1": GOOD["p1"]}, "the id 'p 1' of a patient or text", ", p 1"),
        ({"p1": {"texts": {"t 0": "a"}, "questions": []}}, "the id 't 0' of a pat", ", p1"),
    ],
)
def test_another_layout_is_told(tmp_path: Path, value: object, what: str, where: str) -> None:
    made = reader(tmp_path, value)
    with pytest.raises(DataError, match=what) as caught:
        list(made.read())
    assert caught.value.where == f"{made.path}{where}"
    assert caught.value.fix


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    made = LonghealthReader(tmp_path / "b.json", LonghealthOptions())
    for ask in (made.sources, lambda: list(made.read())):
        with pytest.raises(DataError, match="not there") as caught:
            ask()
        assert "https://github.com/kbressem/LongHealth" in caught.value.fix
    with pytest.raises(PrerequisiteError, match="needs a path"):
        LonghealthReader(None, LonghealthOptions())


def test_the_cards_that_are_carried_build_from_the_home_folder(home: Path) -> None:
    (home / "data" / "longhealth").mkdir(parents=True)
    shutil.copy(FIXTURE, home / "data" / "longhealth" / "benchmark_v5.json")
    whole = build_corpus("longhealth")
    assert len(whole) == 17
    assert whole.manifest.data_use == "open"
    passages = build_corpus("longhealth-passages")
    assert len(passages) > 17
    value = json.loads(FIXTURE.read_text(encoding="utf-8"))
    for row in range(len(passages)):
        passage = passages[row]
        patient, _, name = passage.doc_id.partition("/")
        start, end = int(passage.meta["start"]), int(passage.meta["end"])
        assert value[patient]["texts"][name][start:end] == passage.text
        assert passage.meta["patient"] == patient
