"""Packed lines: what was delivered, and what an imported run does not know of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragbench.base.errors import DataError
from ragbench.runfolder.packed import (
    Counts,
    FilteredLine,
    PackedLine,
    check_packed,
    fewer,
    read_filtered,
    read_packed,
    write_filtered,
    write_packed,
)
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


def test_a_filter_keeps_what_reaches_its_threshold(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    assert read_filtered(path) == {}
    line = FilteredLine(
        question_id="q", passages=("a", "b", "c"), scores=(0.5, 0.49, 0.9), keep=0.5, by="m"
    )
    write_filtered(path, [line])
    assert read_filtered(path) == {"q": line}
    assert line.kept == ("a", "c")
    path.write_text(path.read_text().replace("0.49,", ""))
    with pytest.raises(DataError, match="one score per passage"):
        read_filtered(path)


def test_questions_that_keep_nothing_are_counted() -> None:
    """Of four questions two keep fewer than 2, and one of them nothing; the budget cuts one."""
    counts = [
        Counts(2, 2, 0, dropped=3),
        Counts(2, 1, 0, dropped=4),
        Counts(2, 0, 0, dropped=5),
        Counts(2, 1, 1, dropped=0),
    ]
    found = fewer(counts)
    assert found is not None
    assert (found.by_filter, found.bare, found.by_budget, found.by_ranking) == (2, 1, 1, 0)
    assert found.sentence("t", "a", 90, "") == (
        "a on t delivered 1.0 passages on average, not 2 (the budget of 90 tokens left passages "
        "out for 1 of 4 questions; the filter kept fewer for 2 of 4 questions; it kept none for "
        "1, which were asked closed-book)"
    )
    short = fewer([Counts(2, 1, 0)])
    assert short is not None and "the ranking has fewer for 1 of 1" in short.sentence(
        "t", "a", 9, ""
    )
    assert "the model wrote fewer for 1 of 1" in short.sentence("t", "a", 9, "", is_written=True)


def test_questions_without_any_passage_are_counted() -> None:
    """Of three questions one has both passages, one has one and one none; an arm asks for none."""
    found = fewer([Counts(2, 2, 0), Counts(2, 1, 0), Counts(2, 0, 0), Counts(0, 0, 0)])
    assert found is not None
    assert (found.by_ranking, found.unfound, found.bare) == (2, 1, 0)
    none = "none for 1, which were asked closed-book"
    assert found.reasons(9) == f"the ranking has fewer for 2 of 4 questions; it has {none}"
    assert found.reasons(9, is_written=True) == (
        f"the model wrote fewer for 2 of 4 questions; it wrote {none}"
    )
