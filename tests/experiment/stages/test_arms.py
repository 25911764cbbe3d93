"""Arms over a real corpus: order, budgets, and what is left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragbench.base.errors import DataError
from ragbench.base.records import Passage, Question
from ragbench.corpora.build import build_corpus
from ragbench.corpora.card import Card, add_card
from ragbench.corpora.corpus import Corpus
from ragbench.experiment.config.spec import ArmSpec
from ragbench.experiment.stages.arms import ClosedBook, Context, Delivery, Retrieved, pack


def count(text: str) -> int:
    return len(text.split())


@pytest.fixture
def corpus(home: Path, tmp_path: Path) -> Corpus:
    """200 passages of 3 to 22 words; document d7 is gold in the tests."""
    source = tmp_path / "words.jsonl"
    lines = [{"id": f"d{i}", "text": " ".join(["word"] * (3 + i % 20))} for i in range(200)]
    source.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    add_card("words", Card(reader="jsonl", path=str(source)), replace=False)
    return build_corpus("words")


def context(corpus: Corpus | None, **changes: object) -> Context:
    values: dict[str, object] = {
        "task": "t",
        "corpus": corpus,
        "ranked": {},
        "gold": {},
        "like": {},
        "like_spec": None,
        "count_tokens": count,
        "budget_tokens": 100,
        "seed": 1,
    }
    return Context(**{**values, **changes})  # type: ignore[arg-type]


QUESTION = Question("q1", "?", ("a", "b"), 0, "?", gold_doc_ids=("d7",))


def test_closed_book_gives_nothing() -> None:
    found = ClosedBook(ArmSpec(name="closed-book")).deliver(QUESTION, context(None))
    assert found == Delivery()


def test_retrieved_takes_k_in_rank_order(corpus: Corpus) -> None:
    arm = Retrieved(ArmSpec(name="a", retriever="r", k=2))
    found = arm.deliver(QUESTION, context(corpus, ranked={"q1": ["d3", "d1", "d2"]}))
    assert [p.id for p in found.passages] == ["d3", "d1"]
    # "[1]" and 3 + 3 words, "[2]" and 3 + 1 words
    assert (found.tokens, found.requested) == (7 + 5, 2)


def test_budget_stops_before_the_first_passage_that_does_not_fit(corpus: Corpus) -> None:
    arm = Retrieved(ArmSpec(name="a", retriever="r", k=3))
    # d19 has 22 words and its number: 23 > 30 - 7; the short d0 behind it is not pulled forward.
    limited = context(corpus, ranked={"q1": ["d3", "d19", "d0"]}, budget_tokens=29)
    found = arm.deliver(QUESTION, limited)
    assert [p.id for p in found.passages] == ["d3"]


def test_a_passage_that_the_corpus_lacks_is_an_error(corpus: Corpus) -> None:
    arm = Retrieved(ArmSpec(name="a", retriever="r", k=1))
    with pytest.raises(DataError, match="'nope'"):
        arm.deliver(QUESTION, context(corpus, ranked={"q1": ["nope"]}))


def test_what_the_budget_keeps_out_is_counted(corpus: Corpus) -> None:
    arm = Retrieved(ArmSpec(name="a", retriever="r", k=3))
    limited = context(corpus, ranked={"q1": ["d3", "d19", "d0"]}, budget_tokens=29)
    assert arm.deliver(QUESTION, limited).left_out == 2


def test_best_last_turns_the_passages_around(corpus: Corpus) -> None:
    arm = Retrieved(ArmSpec(name="a", retriever="r", k=2, order="best-last"))
    found = arm.deliver(QUESTION, context(corpus, ranked={"q1": ["d3", "d1", "d2"]}))
    assert [p.id for p in found.passages] == ["d1", "d3"]


def test_pack_of_nothing() -> None:
    assert pack([], context(None)) == Delivery()
    huge = Passage("x", "x", "", "word " * 200)
    assert pack([huge], context(None)) == Delivery(left_out=1)
