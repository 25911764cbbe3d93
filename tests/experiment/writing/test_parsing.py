"""Replies -> queries and passages, compared with LangChain's readers where it has one."""

from __future__ import annotations

import pytest

from ragbench.experiment.config.written import Kind
from ragbench.experiment.writing.parsing import lines_of, passages_of, queries_of, texts_of
from ragbench.runfolder.records import Record


@pytest.mark.parametrize(
    "reply",
    [
        "What is gout?\nWho gets gout?",
        "\n\nWhat is gout?\n\nWho gets gout?\n",
        "What is gout?",
        "",
    ],
)
def test_plain_lines_are_those_of_langchains_multi_query_retriever(reply: str) -> None:
    parser = pytest.importorskip("langchain_classic.retrievers.multi_query").LineListOutputParser()
    assert lines_of(reply) == parser.parse(reply)


def test_a_hypothetical_passage_is_embedded_as_langchains_hyde_embeds_it() -> None:
    hyde = pytest.importorskip("langchain_classic.chains.hyde.base")
    from langchain_core.embeddings import Embeddings
    from langchain_core.language_models import FakeListLLM

    seen: list[str] = []

    class Noted(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            seen.extend(texts)
            return [[1.0, 2.0] for _ in texts]

        def embed_query(self, text: str) -> list[float]:
            return [1.0, 2.0]

    reply = "Urate crystals form in a joint.\nIt is often that of the big toe."
    embedder = hyde.HypotheticalDocumentEmbedder.from_llm(
        FakeListLLM(responses=[reply]), Noted(), "web_search"
    )
    embedder.embed_query("Case 5: which of the disorders is it?")
    assert queries_of("passage", reply, 1) == tuple(seen)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Here are 2 questions:\n1. What?\n2. Who?", ["What?", "Who?"]),
        ("1) What?\n\n2) Who?\n\nI hope this helps.", ["What?", "Who?"]),
        ("- What?\n* Who?\n\u2022 Where?", ["What?", "Who?", "Where?"]),
        ("Q1: What?\nQuestion 2. Who?", ["What?", "Who?"]),
        ("Simpler questions:\nWhat?\nWho?", ["What?", "Who?"]),
        ('"What?"\n**Who?**', ["What?", "Who?"]),
        ("What?\nWhat?", ["What?"]),
        ("5 mg or 10 mg?", ["5 mg or 10 mg?"]),
        ("2.5 mg of what?\n- of warfarin?", ["2.5 mg of what?", "of warfarin?"]),
        (" \n\t\n", []),
    ],
)
def test_bullets_numbers_and_introductions_are_no_part_of_a_query(
    reply: str, expected: list[str]
) -> None:
    assert lines_of(reply) == expected


@pytest.mark.parametrize(
    ("kind", "n", "expected"),
    [
        ("rationale", 1, ("1. a\n2. b",)),
        ("passage", 1, ("1. a\n2. b",)),
        ("rewrite", 1, ("a",)),
        ("subquestions", 3, ("a", "b")),
        ("subquestions", 1, ("a",)),
    ],
)
def test_kinds_of_queries(kind: Kind, n: int, expected: tuple[str, ...]) -> None:
    assert queries_of(kind, " 1. a\n2. b ", n) == expected
    assert queries_of(kind, "  ", n) == ()


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("One.\nStill one.\n\nTwo.\n \nThree.", ["One.\nStill one.", "Two."]),
        ("Passage 1: One.\n\nPassage 2: Two.", ["One.", "Two."]),
        ("1. One.\n2. Two.\n3. Three.", ["One.", "Two."]),
        ("One.\n\n---\n\nTwo.", ["One.", "Two."]),
        ("One alone.", ["One alone."]),
        ("", []),
    ],
)
def test_passages(reply: str, expected: list[str]) -> None:
    found = passages_of(reply, 2)
    assert [p.text for p in found] == expected
    assert len({p.id for p in found}) == len(expected)
    assert all(p.id.startswith("written-") for p in found)


def test_equal_passages_are_one() -> None:
    assert len(passages_of("Same.\n\nSame.", 2)) == 1
    assert passages_of("Same.", 2) == passages_of("Same.\n\nSame.", 1)


def record(question: str, reply: str | None, opened: str | None = None) -> Record:
    return Record(
        key="",
        question_id=question,
        prompt="",
        log_likelihoods=None,
        error=None,
        reply=reply,
        opened=opened,
    )


def test_reasoning_traces_are_removed() -> None:
    found = texts_of(
        [
            record("whole", "<think>Hm.</think> Text."),
            record("open", "<think>Hm, hm"),
            record("none", "Text."),
            record("filtered", ""),
        ]
    )
    assert found == {"whole": "Text.", "open": "", "none": "Text.", "filtered": ""}


def test_a_trace_that_the_prompts_open_is_removed() -> None:
    assert texts_of([record("q", "Hm.</think>Text.")]) == {"q": "Text."}
    assert texts_of([record("q", "Hm, and", "<think>")]) == {"q": ""}
    # One reply shows that the prompts of the writer open a trace; another never closes it.
    assert texts_of([record("a", "Hm.</think>Text."), record("b", "Hm, and")])["b"] == ""
