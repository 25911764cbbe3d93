"""What pipelines return, as passages: documents, mappings, texts; and what is none."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage

from ragbench.models.runnable.replies import input_of, passages_of, text_of

GOUT = Document("Gout.", metadata={"id": 7, "title": "Joints"})
BARE = Document("Tea.", id="t")


def test_documents_mappings_and_texts_are_passages() -> None:
    given = [GOUT, BARE, {"page_content": "a", "metadata": {"id": "x"}}, {"text": "b"}, "c"]
    assert passages_of(given, "") == [
        {"text": "Gout.", "title": "Joints", "id": "7"},
        {"text": "Tea.", "title": "", "id": "t"},
        {"text": "a", "title": "", "id": "x"},
        {"text": "b", "title": "", "id": ""},
        {"text": "c", "title": "", "id": ""},
    ]


@pytest.mark.parametrize(
    ("returned", "key", "n"),
    [
        ({"answer": "yes", "context": [GOUT]}, "", 1),
        ({"messages": ["hi"], "context": (GOUT, BARE)}, "", 2),
        ({"history": [], "context": [GOUT]}, "", 1),
        ({"answer": "none", "context": []}, "", 0),
        ({"first": [GOUT], "last": [GOUT, BARE]}, "last", 2),
        ({"texts": ["a", "b"]}, "texts", 2),
        ([], "", 0),
    ],
)
def test_the_list_of_documents_is_found_in_a_mapping(returned: Any, key: str, n: int) -> None:
    assert len(passages_of(returned, key)) == n


@pytest.mark.parametrize(
    ("returned", "key", "what"),
    [
        ("an answer", "", "it returned a str, not a list of documents"),
        (GOUT, "", "it returned a Document, not"),
        (None, "", "it returned a NoneType"),
        ({"answer": "yes"}, "", "no list of documents; its keys are 'answer': name one with"),
        ({}, "", r"its keys are \(none\)"),
        ({"first": [GOUT], "last": [BARE]}, "", "several lists of documents.*`passages: KEY`"),
        ({"first": [], "last": []}, "", "several lists of documents"),
        ({"context": [GOUT]}, "docs", "no key 'docs'; its keys are 'context'"),
        ({"context": "text"}, "context", "it returned a str, not"),
        ([GOUT], "docs", "it returned a list, which has no key 'docs'"),
        ([GOUT, 3], "", "its passage 2 is no document"),
        ([GOUT, ""], "", "its passage 2 has no text"),
        ([{"metadata": {}}], "", "its passage 1 has no text"),
    ],
)
def test_what_is_no_list_of_passages_is_named(returned: Any, key: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        passages_of(returned, key)


def test_the_question_is_the_input_or_under_its_key() -> None:
    assert input_of("Gout?", "") == "Gout?"
    assert input_of("Gout?", "question") == {"question": "Gout?"}
    assert input_of("Gout?", "messages") == {"messages": [{"role": "user", "content": "Gout?"}]}
    turns = [{"role": "system", "content": "Briefly."}, {"role": "user", "content": "Gout?"}]
    assert input_of(turns, "messages") == {"messages": turns}
    assert input_of(turns, "") is turns


BLOCKS: list[Any] = [{"type": "reasoning", "reasoning": "Hm."}, {"type": "text", "text": "A"}, "."]


@pytest.mark.parametrize(
    ("returned", "key", "text"),
    [
        ("A.", "", "A."),
        ("", "", ""),
        (AIMessage("A."), "", "A."),
        (AIMessage(BLOCKS), "", "A."),
        ({"role": "assistant", "content": "A."}, "", "A."),
        ({"context": [GOUT], "answer": "A."}, "", "A."),
        ({"result": "B.", "answer": AIMessage("A.")}, "", "A."),
        ({"input": "B.", "output": "A."}, "", "A."),
        ({"messages": [HumanMessage("B?"), AIMessage("A.")]}, "", "A."),
        ({"messages": [{"role": "assistant", "content": "A."}]}, "", "A."),
        ({"answer": None, "result": "A."}, "", "A."),
        ({"answer": "B.", "draft": "A."}, "draft", "A."),
    ],
)
def test_the_answer_is_a_text_or_the_last_message(returned: Any, key: str, text: str) -> None:
    assert text_of(returned, key) == text


@pytest.mark.parametrize(
    ("returned", "key", "what"),
    [
        (None, "", "it returned a NoneType, not a text or a message"),
        (3, "", "it returned a int, not"),
        ([], "", "it returned a list, not"),
        ([GOUT], "", "it returned a Document, not"),
        ({"context": [GOUT]}, "", "without an answer; its keys are 'context': name one with"),
        ({"answer": None}, "", "without an answer"),
        ({"answer": "A."}, "draft", "no key 'draft'; its keys are 'answer'"),
        ("A.", "draft", "it returned a str, which has no key 'draft'"),
        ({"messages": [HumanMessage("A or B?")]}, "", "the last message .* is the user's"),
        ({"role": "user", "content": "A or B?"}, "", "is the user's"),
        (AIMessage("A.").model_copy(update={"content": None}), "", "it returned a AIMessage, not"),
    ],
)
def test_what_is_no_answer_is_named(returned: Any, key: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        text_of(returned, key)
