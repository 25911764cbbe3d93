"""A question's own documents: the budget, what is cut, the drawn order, and what is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.errors import DataError
from ragbench.base.records import Question
from ragbench.corpora.build import build_corpus
from ragbench.corpora.card import Card, add_card
from ragbench.corpora.chunking.chunking import Chunking
from ragbench.corpora.corpus import Corpus
from ragbench.experiment.config.spec import ArmSpec
from ragbench.experiment.stages.arms import Context
from ragbench.experiment.stages.documents import Documents, whole
from ragbench.experiment.stages.prompts import passage_entry

ARM = Documents(ArmSpec(documents="whole"))
# Of 4, 6 and 5 words; an entry "[3]" adds one word by the counter of these tests.
TEXTS = {"a": "a1 a2 a3  a4", "b": "b1 b2\nb3 b4 b5 b6", "c": "c1 c2 c3 c4 c5"}
QUESTION = Question("q", "?", ("x", "y"), 0, "?", documents=("a", "b", "c"), gold_doc_ids=("a",))


def count(text: str) -> int:
    return len(text.split())


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return build(tmp_path_factory.mktemp("documents"), "whole", None)


def build(folder: Path, name: str, chunking: Chunking | None) -> Corpus:
    source = folder / "docs.jsonl"
    lines = [json.dumps({"id": key, "text": text}) for key, text in TEXTS.items()]
    source.write_text("\n".join(lines), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", str(folder))
        add_card(name, Card(reader="jsonl", path=str(source), chunking=chunking), replace=False)
        return build_corpus(name)


def context(corpus: Corpus | None, budget: int, seed: int = 1) -> Context:
    return Context(
        task="t",
        corpus=corpus,
        ranked={},
        gold={},
        like={},
        like_spec=None,
        count_tokens=count,
        budget_tokens=budget,
        seed=seed,
    )


def test_all_of_them_where_the_budget_holds_all(corpus: Corpus) -> None:
    found = ARM.deliver(QUESTION, context(corpus, 18))
    assert {p.id: p.text for p in found.passages} == TEXTS
    assert (found.tokens, found.requested, found.left_out) == (4 + 6 + 5 + 3, 3, 0)
    assert not found.answer_truncated


def test_the_document_that_the_budget_ends_in_is_cut_at_a_whole_word(corpus: Corpus) -> None:
    # "[3]" and a: 5 words of 9; "[3]" and three words of b: 4.
    found = ARM.deliver(QUESTION, context(corpus, 9))
    cut = next(p for p in found.passages if p.doc_id == "b")
    assert (cut.id, cut.text) == ("b[:8]", "b1 b2\nb3")
    assert whole(cut.id) == "b"
    assert {p.id for p in found.passages} == {"a", "b[:8]"}
    assert (found.tokens, found.left_out) == (9, 1)


def test_a_document_of_which_no_word_fits_is_left_out(corpus: Corpus) -> None:
    found = ARM.deliver(QUESTION, context(corpus, 6))  # one word is left: the number of b alone
    assert [p.id for p in found.passages] == ["a"]
    assert (found.tokens, found.left_out) == (5, 2)
    nothing = ARM.deliver(QUESTION, context(corpus, 1))
    assert (nothing.passages, nothing.tokens, nothing.left_out) == ((), 0, 3)
    assert nothing.answer_truncated


def test_a_budget_that_ends_with_a_document(corpus: Corpus) -> None:
    found = ARM.deliver(QUESTION, context(corpus, 5))
    assert [p.id for p in found.passages] == ["a"]
    assert not found.answer_truncated


@pytest.mark.parametrize(
    ("budget", "spans", "gold", "truncated"),
    [
        (9, (("b", 0, 8),), ("b",), False),  # "b1 b2\nb3": its end is kept
        (9, (("b", 0, 9),), ("b",), True),
        (9, (("b", 0, 2), ("b", 9, 11)), ("b",), True),  # the second of two places is cut off
        (9, (("a", 0, 12),), ("a",), False),
        (9, (), ("b",), True),  # no place is known: any cut may take it
        (9, (), ("a",), False),
        (9, (("c", 0, 2),), ("c",), True),  # left out altogether
        (9, (("a", 0, 2), ("c", 0, 2)), ("a", "c"), True),
        (18, (("c", 0, 14),), ("c",), False),
        (9, (), (), False),  # nothing to lose
    ],
)
def test_whether_the_answer_was_cut(
    corpus: Corpus,
    budget: int,
    spans: tuple[tuple[str, int, int], ...],
    gold: tuple[str, ...],
    truncated: bool,
) -> None:
    question = replace(QUESTION, gold_spans=spans, gold_doc_ids=gold)
    assert ARM.deliver(question, context(corpus, budget)).answer_truncated == truncated


def test_the_order_is_drawn_and_the_same_again(corpus: Corpus) -> None:
    orders = set()
    for number in range(40):
        question = replace(QUESTION, id=f"q{number}")
        found = ARM.deliver(question, context(corpus, 100))
        assert found == ARM.deliver(question, context(corpus, 100))
        orders.add(tuple(p.id for p in found.passages))
    assert len(orders) == 6
    seeds = {
        tuple(p.id for p in ARM.deliver(QUESTION, context(corpus, 100, seed)).passages)
        for seed in range(40)
    }
    assert len(seeds) == 6


def test_the_budget_is_spent_in_the_order_of_the_question(corpus: Corpus) -> None:
    for order, kept in ((("c", "a", "b"), {"c", "a[:2]"}), (("b", "c"), {"b", "c[:2]"})):
        question = replace(QUESTION, documents=order)
        budget = {"c": 6 + 2, "b": 7 + 2}[order[0]]
        found = ARM.deliver(question, context(corpus, budget))
        assert {p.id for p in found.passages} == kept


@given(st.integers(1, 20))
def test_a_budget_is_kept_and_what_is_delivered_is_a_beginning(corpus: Corpus, budget: int) -> None:
    found = ARM.deliver(QUESTION, context(corpus, budget))
    assert found.tokens <= budget
    assert found.tokens == sum(count(passage_entry(n, p)) for n, p in enumerate(found.passages, 1))
    for passage in found.passages:
        text = TEXTS[passage.doc_id]
        assert text.startswith(passage.text)
        assert not text[len(passage.text) :][:1].strip()  # no word is torn


def test_a_question_without_documents_is_given_none(corpus: Corpus) -> None:
    found = ARM.deliver(replace(QUESTION, documents=(), gold_doc_ids=()), context(corpus, 9))
    assert (found.passages, found.requested, found.answer_truncated) == ((), 0, False)


def test_a_document_that_the_corpus_lacks(corpus: Corpus) -> None:
    question = replace(QUESTION, documents=("a", "z"))
    with pytest.raises(DataError) as caught:
        ARM.deliver(question, context(corpus, 100))
    assert caught.value.what == "the document 'z' of question 'q' is not in the corpus 'whole'"
    with pytest.raises(DataError, match="is not in the corpus ''"):
        ARM.deliver(question, context(None, 100))


def test_a_chunked_corpus_is_refused(tmp_path: Path) -> None:
    chunked = build(tmp_path, "chunked", Chunking(chunker="sentences", size=8))
    with pytest.raises(DataError, match="as a whole: the corpus is chunked") as caught:
        ARM.deliver(QUESTION, context(chunked, 100))
    assert "unchunked corpus" in caught.value.fix
