"""Passages and prompts: each once, under the name that lines refer to it by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragbench.base.errors import DataError
from ragbench.base.files import sha256_text
from ragbench.base.records import Passage
from ragbench.runfolder.packed import read_packed
from ragbench.runfolder.passages import (
    read_passages,
    read_prompts,
    write_passages,
)
from ragbench.runfolder.records import read_records
from tests.runfolder.golden import OWN


def test_every_passage_that_was_delivered_has_its_text() -> None:
    found = read_passages(OWN.passages)
    prompts = read_prompts(OWN.prompts)
    assert all(sha256_text(text) == digest for digest, text in prompts.items())
    packed = read_packed(OWN.packed("facts", "hybrid"))
    for record in read_records(OWN.records("smollm2", "facts", "hybrid")):
        assert record.passages == packed[record.question_id].passages
        for name in record.passages:
            assert found["facts", name].text in prompts[record.prompt]


def test_passages_are_written_in_the_order_of_corpus_and_id(tmp_path: Path) -> None:
    one, two = Passage("a", "a", "", "first", {"year": "1999"}), Passage("b", "b", "", "second")
    write_passages(tmp_path / "p.jsonl", {("z", "a"): one, ("c", "b"): two})
    found = read_passages(tmp_path / "p.jsonl")
    assert list(found) == [("c", "b"), ("z", "a")]
    assert found["z", "a"].text == "first"
    assert read_prompts(tmp_path / "none.jsonl") == {}


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({"corpus": "c", "id": "i", "doc_id": "d", "title": None}))
    with pytest.raises(DataError, match="'title'") as caught:
        read_passages(path)
    assert caught.value.where == f"{path}:1"
    path.write_text(json.dumps({"digest": "d", "text": []}))
    with pytest.raises(DataError, match="'text'"):
        read_prompts(path)


def test_only_wanted_passages_are_held_and_a_missing_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    texts = {("c", name): Passage(name, name, "", f"text {name}") for name in "abc"}
    write_passages(path, texts)
    assert read_passages(path, {("c", "b")}) == {("c", "b"): texts["c", "b"]}
    with pytest.raises(DataError, match="no text of the passage 'z' of 'c'"):
        read_passages(path, {("c", "b"), ("c", "z")})
