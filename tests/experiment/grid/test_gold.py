"""Gold: passage ids before document ids, and what a corpus lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from ragbench.base.errors import DataError
from ragbench.base.records import Passage, Question
from ragbench.corpora.build import build_corpus
from ragbench.corpora.corpus import Corpus
from ragbench.experiment.grid.gold import find_gold
from tests.unions import write_corpus


class Rows:
    """As much of a corpus as is looked at: chunks ``a#0, a#1, b#0`` of the documents a and b."""

    name = "notes"
    folder = "notes"

    def __init__(self, ids: Sequence[str] = ("a#0", "a#1", "b#0")) -> None:
        self.ids = list(ids)

    def match(self, identifier: str, *, prefer: str = "") -> int | None:
        return self.ids.index(identifier) if identifier in self.ids else None

    def match_doc(self, doc: str, *, prefer: str = "") -> list[int]:
        return [i for i, name in enumerate(self.ids) if name.partition("#")[0] == doc]

    def ids_of(self, rows: Sequence[int]) -> list[tuple[str, str]]:
        return [(self.ids[row], self.ids[row].partition("#")[0]) for row in rows]


def question(name: str, *gold: str) -> Question:
    return Question(name, "?", ("a", "b"), 0, "?", gold_doc_ids=gold)


def found(questions: list[Question], *, own: bool = True) -> Any:
    return find_gold(questions, cast("Corpus", Rows()), task="t", own=own)


def test_document_ids_give_all_passages_in_text_order() -> None:
    gold = found([question("q1", "b", "a"), question("q2", "b")])
    assert (gold.level, gold.rows) == ("document", {"q1": (0, 1, 2), "q2": (2,)})
    assert gold.ids == {"q1": ("b", "a"), "q2": ("b",)}


def test_one_passage_id_makes_all_of_them_passage_ids() -> None:
    gold = found([question("q1", "a#1"), question("q2", "b")], own=False)
    assert (gold.level, gold.rows) == ("passage", {"q1": (1,)})


def test_the_tasks_own_corpus_must_hold_all_gold() -> None:
    with pytest.raises(DataError, match=r"1 of 2 gold ids of the task 't' .*: c"):
        found([question("q1", "a"), question("q2", "c")])


def test_another_corpus_may_hold_some_or_none() -> None:
    assert found([question("q1", "a"), question("q2", "c")], own=False).ids == {"q1": ("a",)}
    assert found([question("q1", "c")], own=False).level == "not in this corpus"
    assert found([question("q1")]).level == "no gold"


def test_the_only_corpus_must_hold_some_gold() -> None:
    questions = [question("q1", "c"), question("q2", "d")]
    with pytest.raises(DataError, match="2 of 2 gold ids"):
        find_gold(questions, cast("Corpus", Rows()), task="t", only=True)
    some = [question("q1", "a"), question("q2", "d")]
    assert find_gold(some, cast("Corpus", Rows()), task="t", only=True).ids == {"q1": ("a",)}


class Places(Rows):
    """Chunks with their places: three of a (0-10, 8-20, 20-30), one of b, whose place is not said.

    The first two of a overlap, as chunks may.
    """

    places = (("0", "10"), ("8", "20"), ("20", "30"), None)

    def __init__(self) -> None:
        super().__init__(("a#0", "a#1", "a#2", "b#0"))

    def __getitem__(self, row: int) -> Passage:
        name, place = self.ids[row], self.places[row]
        meta = {} if place is None else {"start": place[0], "end": place[1]}
        return Passage(name, name[0], "", "text", meta)


@pytest.mark.parametrize(
    ("spans", "gold", "rows"),
    [
        ((("a", 2, 5),), ("a",), (0,)),
        ((("a", 8, 10),), ("a",), (0, 1)),  # in the overlap
        ((("a", 10, 20),), ("a",), (1,)),  # ends where the third begins
        ((("a", 19, 21),), ("a",), (1, 2)),
        ((("a", 0, 30),), ("a",), (0, 1, 2)),
        ((("a", 20, 20),), ("a",), (2,)),  # a place without extent
        ((("a", 1, 2), ("a", 25, 26)), ("a",), (0, 2)),
        ((("b", 5, 6),), ("b",), (3,)),  # a chunk without a place may hold it
        ((("a", 25, 26),), ("a", "b"), (2, 3)),  # of b no place is known: all of it
        ((("a", 30, 40),), ("a",), None),  # behind the last chunk
    ],
)
def test_chunks_that_overlap_the_place_of_the_answer(
    spans: tuple[tuple[str, int, int], ...], gold: tuple[str, ...], rows: tuple[int, ...] | None
) -> None:
    asked = replace(question("q1", *gold), gold_spans=spans)
    found = find_gold([asked], cast("Corpus", Places()), task="t", own=True)
    assert found.level == "passage, by the place of the answer"
    assert found.rows == ({} if rows is None else {"q1": rows})
    ids = {} if rows is None else {"q1": tuple(("a#0", "a#1", "a#2", "b#0")[r] for r in rows)}
    assert found.ids == ids


def test_questions_with_and_without_a_place_in_one_task() -> None:
    placed = replace(question("q1", "a"), gold_spans=(("a", 0, 3),))
    gold = find_gold(
        [placed, question("q2", "a"), question("q3")], cast("Corpus", Places()), task="t"
    )
    assert gold.rows == {"q1": (0,), "q2": (0, 1, 2)}


def test_whole_documents_are_gold_by_their_ids_whatever_the_place() -> None:
    placed = replace(question("q1", "a"), gold_spans=(("a", 0, 3),))
    gold = find_gold([placed], cast("Corpus", Rows(("a", "b"))), task="t", own=True)
    assert (gold.level, gold.rows) == ("passage", {"q1": (0,)})


# -- a union ---------------------------------------------------------------------------------------


@pytest.fixture
def union(home: Path) -> Corpus:
    """Abstracts with numbers as ids, as in PubMedQA; one number is also that of a passage."""
    write_corpus(home, "abstracts", ["101", "102", "103"])
    write_corpus(home, "book", ["102", "b7"])
    return build_corpus("abstracts--book")


def test_gold_of_a_union_with_and_without_the_name_of_its_corpus(union: Corpus) -> None:
    questions = [question("q1", "101"), question("q2", "book/102", "b7"), question("q3", "gone")]
    gold = find_gold(questions, union, task="t")
    assert gold.level == "passage"
    assert gold.rows == {"q1": (0,), "q2": (3, 4)}
    assert gold.ids == {"q1": ("abstracts/101",), "q2": ("book/102", "book/b7")}
    both = find_gold([question("q", "103", "abstracts/103")], union, task="t")
    assert (both.rows, both.ids) == ({"q": (2,)}, {"q": ("abstracts/103",)})


def test_gold_that_two_members_hold_is_of_the_tasks_own_corpus_or_refused(union: Corpus) -> None:
    with pytest.raises(DataError, match="'102' is in several corpora"):
        find_gold([question("q1", "102")], union, task="t")
    gold = find_gold([question("q1", "102")], union, task="t", prefer="abstracts")
    assert (gold.rows, gold.ids) == ({"q1": (1,)}, {"q1": ("abstracts/102",)})
    other = find_gold([question("q1", "102")], union, task="t", prefer="book")
    assert other.ids == {"q1": ("book/102",)}


def test_gold_documents_of_a_union_of_cut_corpora(home: Path) -> None:
    cut = {"chunking": {"chunker": "sentences", "size": 3}}
    for name in ("a", "b"):
        write_corpus(home, name, [f"{name}1", f"{name}2"], **cut)
    union = build_corpus("a--b")
    gold = find_gold([question("q", "b2", "a1")], union, task="t", only=True)
    assert gold.level == "document"
    assert gold.ids == {"q": ("b/b2", "a/a1")}
    assert [union[row].doc_id for row in gold.rows["q"]] == ["a/a1"] * 3 + ["b/b2"] * 3
    with pytest.raises(DataError, match="1 of 1 gold ids"):
        find_gold([question("q", "zz")], union, task="t", only=True)
