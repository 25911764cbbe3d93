"""Packed lines: what was delivered, and what an imported run does not know of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragbench.base.errors import DataError
from ragbench.runfolder.packed import PackedLine, check_packed, read_packed, write_packed
from tests.runfolder.golden import MIRAGE, OWN, lines


def test_what_was_delivered() -> None:
    path = OWN.packed("facts", "bm25-2")
    found = read_packed(path)
    assert list(found) == [line["question_id"] for line in lines(path)]
    for line in lines(path):
        packed = found[line["question_id"]]
        assert list(packed.passages) == line["passages"]
        assert packed.delivered == len(line["passages"]) == 2
        assert packed.tokens == line["tokens"] > 0


def test_an_imported_run_does_not_know_what_it_delivered() -> None:
    (line,) = read_packed(MIRAGE.packed("pubmedqa", "medrag-32")).values()
    assert (line.delivered, line.tokens, line.requested, line.gold) == (None, None, None, 0)
    (line,) = read_packed(MIRAGE.packed("pubmedqa", "closed-book")).values()
    assert (line.delivered, line.tokens, line.requested) == (0, 0, 0)


def test_only_an_imported_run_writes_how_many_were_delivered(tmp_path: Path) -> None:
    line = PackedLine(question_id="q", passages=("a", "b"), requested=2, delivered=2, tokens=9)
    for imported in (False, True):
        write_packed(tmp_path / "p.jsonl", [line], imported=imported)
        (written,) = lines(tmp_path / "p.jsonl")
        assert ("delivered" in written) == imported
        assert read_packed(tmp_path / "p.jsonl") == {"q": line}


def test_a_broken_line_and_a_missing_question_are_named(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({"question_id": "q", "passages": None}) + "\n")
    with pytest.raises(DataError, match="'passages'") as caught:
        read_packed(path)
    assert caught.value.where == f"{path}:1"
    with pytest.raises(DataError, match="no packing of question 'r'") as caught:
        check_packed(path, {"q": PackedLine(question_id="q", passages=())}, ["q", "r"])
    assert caught.value.where == str(path)
