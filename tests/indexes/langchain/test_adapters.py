"""LangChain's own classes around our indexes, and ours around its vector store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.vectorstores import InMemoryVectorStore

from ragbench.base.errors import BackendError, DataError
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.build import build_index
from ragbench.indexes.built import open_index
from ragbench.indexes.dense.encoders import Encoder
from ragbench.indexes.langchain.adapters import (
    METADATA,
    RECIPROCAL_RANK,
    FromLangchain,
    as_langchain,
)

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
TEXTS = {
    "d3": "gout of the foot",
    "d1": "fever and cough",
    "d2": "fever and gout",
    "d4": "rash",
    "d0": "rash",
}


@pytest.fixture
def corpus(home: Path, corpus_of: CorpusOf) -> Corpus:
    return corpus_of("small", TEXTS)


class MiniLm(Embeddings):
    """The package's encoder behind LangChain's interface."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        found: list[list[float]] = self.encoder.passages(texts).tolist()
        return found

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


class Fixed(BaseRetriever):
    """A retriever that answers from a table."""

    answers: dict[str, list[Document]]

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return self.answers[query]


def test_an_index_becomes_a_langchain_retriever(corpus: Corpus) -> None:
    build_index("bm25", "small")
    index = open_index("bm25-small")
    retriever = as_langchain(index, 2)
    assert isinstance(retriever, BaseRetriever)
    documents = retriever.invoke("gout fever")
    (hits,) = index.search(["gout fever"], 2)
    assert [document.id for document in documents] == [hit.id for hit in hits]
    first = documents[0]
    assert first.page_content == TEXTS["d2"]
    assert first.metadata == {
        "id": "d2",
        "doc_id": "d2",
        "title": "",
        "corpus": "small",
        "rank": 1,
        "score": hits[0].score,
        "metric": "bm25 lucene",
        "meta": corpus[hits[0].row].meta,
    }
    assert [document.metadata["rank"] for document in documents] == [1, 2]


def test_it_works_in_a_chain_in_batches_and_without_waiting(corpus: Corpus) -> None:
    build_index("bm25", "small")
    retriever = as_langchain(open_index("bm25-small"), 5)

    def ids_of(documents: list[Document]) -> list[str | None]:
        return [document.id for document in documents]

    chain = retriever | RunnableLambda(ids_of)
    alone = [chain.invoke(query) for query in ("gout", "rash")]
    assert set(alone[0]) == {"d2", "d3"}
    assert alone[1] == ["d0", "d4"]
    assert chain.batch(["gout", "rash"]) == alone
    assert asyncio.run(chain.ainvoke("gout")) == alone[0]


def test_a_vector_store_becomes_a_retriever_of_ours(corpus: Corpus, minilm: Encoder) -> None:
    """Its order equals that of our flat index over the same vectors."""
    store = InMemoryVectorStore(MiniLm(minilm))
    store.add_documents([Document(p.text, id=p.id) for p in corpus])
    ours = FromLangchain(store.as_retriever(search_kwargs={"k": 3}), corpus)
    queries = ["swollen toe", "high temperature", "skin"]
    vectors = minilm.passages([p.text for p in corpus])
    ids = [p.id for p in corpus]
    for query, hits in zip(queries, ours.search(queries, 3), strict=True):
        truth = (vectors @ minilm.queries([query])[0]).astype(np.float64)
        best = np.sort(truth)[::-1][:3]
        np.testing.assert_allclose([truth[hit.row] for hit in hits], best, atol=1e-6)
        assert [hit.id for hit in hits] == [ids[hit.row] for hit in hits]
        assert [hit.score for hit in hits] == pytest.approx([1, 1 / 2, 1 / 3])
    assert ours.metric == RECIPROCAL_RANK


def test_there_and_back_again_changes_nothing(corpus: Corpus) -> None:
    build_index("bm25", "small")
    index = open_index("bm25-small")
    back = FromLangchain(as_langchain(index, 4), corpus)
    queries = ["gout fever", "rash", "", "nothing known"]
    assert back.search(queries, 4) == index.search(queries, 4)
    assert back.metric == METADATA
    assert [hits[:1] for hits in index.search(queries, 4)] == back.search(queries, 1)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (Document("other", metadata={"id": "d1"}, id="d2"), "d1"),
        (Document("other", id="d2"), "d2"),
        (Document("gout of the foot"), "d3"),
        (Document("rash"), "d0"),  # d4 has the same text
    ],
)
def test_a_document_is_found_by_id_else_by_text(
    corpus: Corpus, document: Document, expected: str
) -> None:
    ((hit,),) = FromLangchain(Fixed(answers={"q": [document]}), corpus).search(["q"], 5)
    assert (hit.id, hit.doc_id, corpus[hit.row].id) == (expected, expected, expected)


@pytest.mark.parametrize(
    ("document", "what"),
    [
        (Document("gout of the foot", metadata={"id": "zz"}), "the id 'zz'"),
        (Document("gout of the foot", id="yy"), "the id 'yy'"),
        (Document("Gout of the foot"), "the text 'Gout of the foot'"),
    ],
)
def test_a_document_from_elsewhere_is_an_error(
    corpus: Corpus, document: Document, what: str
) -> None:
    retriever = FromLangchain(Fixed(answers={"q": [Document("rash"), document]}), corpus)
    with pytest.raises(DataError, match=f"{what} .* not in the corpus 'small'") as caught:
        retriever.search(["q"], 1)
    assert "metadata['id']" in caught.value.fix


def scored(*pairs: tuple[str, object]) -> list[Document]:
    return [Document("", metadata={"id": i, "score": score}) for i, score in pairs]


@pytest.mark.parametrize(
    ("documents", "scores", "metric"),
    [
        (scored(("d1", 2.0), ("d2", 2), ("d3", np.float32(0.5))), [2.0, 2.0, 0.5], METADATA),
        (scored(("d2", 1.0), ("d1", 1.0)), [1.0, 1.0], METADATA),  # a tie goes by id
        (scored(("d1", 0.1), ("d2", 0.7)), [1.0, 0.5], RECIPROCAL_RANK),  # a distance
        (scored(("d1", 0.9), ("d2", None)), [1.0, 0.5], RECIPROCAL_RANK),
        (scored(("d1", "high"), ("d2", 0.2)), [1.0, 0.5], RECIPROCAL_RANK),
        (scored(("d1", float("nan"))), [1.0], RECIPROCAL_RANK),
        (scored(("d1", 3.0), ("d2", 2.0), ("d1", 1.0)), [3.0, 2.0], METADATA),  # twice
    ],
)
def test_scores_are_the_documents_if_all_have_them_and_they_fall(
    corpus: Corpus, documents: list[Document], scores: list[float], metric: str
) -> None:
    retriever = FromLangchain(Fixed(answers={"none": [], "q": documents}), corpus)
    assert retriever.search(["none"], 3) == [[]]
    _, hits = retriever.search(["none", "q"], 3)
    assert [hit.score for hit in hits] == pytest.approx(scores)
    assert [hit.id for hit in hits] == sorted({d.metadata["id"] for d in documents})
    assert retriever.metric == metric


def test_the_kind_of_score_stays_what_it_was(corpus: Corpus) -> None:
    answers = {"with": scored(("d1", 1.0)), "without": [Document("rash")]}
    retriever = FromLangchain(Fixed(answers=answers), corpus)
    retriever.search(["with"], 1)
    with pytest.raises(DataError, match="have no `score`") as caught:
        retriever.search(["without"], 1)
    assert "reciprocal-rank" in caught.value.fix
    ranks = FromLangchain(Fixed(answers=answers), corpus, scores="reciprocal-rank")
    assert [hits[0].score for hits in ranks.search(["with", "without"], 1)] == [1.0, 1.0]


def test_a_retriever_that_fails_is_a_backend_error(corpus: Corpus) -> None:
    with pytest.raises(BackendError, match="KeyError: 'unknown'"):
        FromLangchain(Fixed(answers={}), corpus).search(["unknown"], 1)
