"""Gold: passage ids before document ids, and what a corpus lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from ragbench.corpora.store import Corpus
from ragbench.errors import DataError
from ragbench.experiment.gold import find_gold
from ragbench.records import Question


class Rows:
    """As much of a corpus as is looked at: chunks ``a#0, a#1, b#0`` of the documents a and b."""

    name = "notes"
    folder = "notes"

    def __init__(self, ids: Sequence[str] = ("a#0", "a#1", "b#0")) -> None:
        self.ids = list(ids)

    def find(self, identifier: str) -> int | None:
        return self.ids.index(identifier) if identifier in self.ids else None

    def rows_of_doc(self, doc: str) -> list[int]:
        return [i for i, name in enumerate(self.ids) if name.partition("#")[0] == doc]


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
