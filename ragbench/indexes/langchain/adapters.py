"""LangChain both ways: our indexes as its retrievers, and its retrievers as ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, SupportsFloat

from ragbench.base.endpoint import Reach, WayOut, is_local, refuse_restricted
from ragbench.base.errors import BackendError, DataError, first_line
from ragbench.base.records import Hit
from ragbench.corpora.cleaned import clean_query
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.terms import is_restricted
from ragbench.indexes.retriever import Retriever

if TYPE_CHECKING:
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever

ScoreSource = Literal["auto", "metadata", "reciprocal-rank"]
RECIPROCAL_RANK = "reciprocal rank"
METADATA = "score of the LangChain document"


def as_langchain(index: Retriever, k: int, *, sends_to: Reach = None) -> BaseRetriever:
    """Return an index as a LangChain retriever of k Documents, best first.

    A Document has the passage's text as page_content, its id as id, and in metadata id, doc_id,
    title, corpus, rank (from 1), score, metric, and the passage's own metadata under ``meta``.

    Args:
        index: The index.
        k: Number of Documents per query.
        sends_to: Servers that what is built with it sends passages to: ``()`` for none, None for
            unknown, which a restricted corpus refuses.

    Raises:
        UsageError: The corpus is restricted, and passages may leave this machine.
    """
    _check_reach(index.corpus, sends_to)
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever

    class RagbenchRetriever(BaseRetriever):
        """Passages of one ragbench index."""

        index: Any
        k: int

        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
            (hits,) = self.index.search([query], self.k)
            return [_document(self.index, hit, rank) for rank, hit in enumerate(hits, 1)]

    def _document(index: Retriever, hit: Hit, rank: int) -> Document:
        passage = index.corpus[hit.row]
        return Document(
            id=hit.id,
            page_content=passage.text,
            metadata={
                "id": hit.id,
                "doc_id": hit.doc_id,
                "title": passage.title,
                "corpus": index.corpus.name,
                "rank": rank,
                "score": hit.score,
                "metric": index.metric,
                "meta": passage.meta,
            },
        )

    return RagbenchRetriever(index=index, k=k)


class FromLangchain:
    """A LangChain retriever as one of ragbench's: its documents become passages of a corpus.

    A document is the passage of ``metadata["id"]``, else of its own ``id``, else the one with
    exactly its text (of equal texts, the lowest id). How many documents come is the LangChain
    retriever's own setting; k only cuts.

    Args:
        retriever: The LangChain retriever, which gives the best document first.
        corpus: Where its documents come from.
        sends_to: Servers that it sends queries or passages to: ``()`` for none, None for unknown,
            which a restricted corpus refuses.
        scores: ``metadata`` takes ``metadata["score"]``, which must fall from document to
            document; ``reciprocal-rank`` takes 1 / rank; ``auto`` decides so with the first
            answers, and stays with it.

    Raises:
        UsageError: The corpus is restricted, and the retriever may send text elsewhere.
    """

    def __init__(
        self,
        retriever: BaseRetriever,
        corpus: Corpus,
        *,
        scores: ScoreSource = "auto",
        sends_to: Reach = None,
    ) -> None:
        _check_reach(corpus, sends_to)
        self.corpus = corpus
        self._retriever = retriever
        self._scores = scores

    @property
    def metric(self) -> str:
        """What a hit's score is; of ``auto``, known after the first search."""
        return {
            "metadata": METADATA,
            "reciprocal-rank": RECIPROCAL_RANK,
            "auto": f"{METADATA}, or {RECIPROCAL_RANK}",
        }[self._scores]

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Return up to k passages per query, in the order of the LangChain retriever.

        Raises:
            BackendError: The LangChain retriever raised something.
            DataError: A document is not a passage of the corpus, or has no score.
        """
        queries = [clean_query(query) for query in queries]
        answers = [self._ask(query) for query in queries]
        if self._scores == "auto" and any(answers):
            every = all(_has_falling_scores(documents) for documents in answers)
            self._scores = "metadata" if every else "reciprocal-rank"
        return [
            self._hits(query, documents)[:k]
            for query, documents in zip(queries, answers, strict=True)
        ]

    def _ask(self, query: str) -> list[Document]:
        try:
            with _untraced():
                return self._retriever.invoke(query)
        except Exception as error:
            raise BackendError(
                f"the LangChain retriever failed: {type(error).__name__}: {first_line(error)}",
                where=f"LangChain retriever, query {query[:80]!r}",
            ) from error

    def _hits(self, query: str, documents: Sequence[Document]) -> list[Hit]:
        if self._scores == "metadata" and not _has_falling_scores(documents):
            raise DataError(
                f"the documents for {query[:80]!r} have no `score` each that falls with the rank",
                where=f"LangChain retriever over {self.corpus.name!r}",
                fix="have the retriever write it, higher for nearer; or use its ranks instead, "
                "with `scores: reciprocal-rank`",
            )
        scores: dict[int, float] = {}
        for document in documents:  # a passage that comes twice counts where it came first
            row = self._row(document, query)
            if row not in scores:
                by_rank = 1 / (len(scores) + 1)
                is_given = self._scores == "metadata"
                scores[row] = float(document.metadata["score"]) if is_given else by_rank
        ids = self.corpus.ids_of(list(scores))
        hits = [
            Hit(identifier, doc_id, row, score)
            for (identifier, doc_id), (row, score) in zip(ids, scores.items(), strict=True)
        ]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))

    def _row(self, document: Document, query: str) -> int:
        identifier = document.metadata.get("id", document.id)
        if identifier is None:
            row = self._row_of_text.get(document.page_content)
            what = f"the text {document.page_content[:60]!r}"
        else:
            row = self.corpus.find(str(identifier))
            what = f"the id {str(identifier)[:80]!r}"
        if row is None:
            raise DataError(
                f"{what} of a document is not in the corpus {self.corpus.name!r}",
                where=f"LangChain retriever, query {query[:80]!r}",
                fix="have the retriever put the passage's id under metadata['id']",
            )
        return row

    @cached_property
    def _row_of_text(self) -> dict[str, int]:
        return {self.corpus[row].text: row for row in map(int, self.corpus.id_order[::-1])}


def _check_reach(corpus: Corpus, reach: Reach) -> None:
    """Refuse a restricted corpus to a LangChain retriever of unknown reach."""
    if not is_local(reach) and is_restricted(corpus):
        declare = "give `sends_to=()` if nothing leaves this machine"
        way = WayOut("the LangChain retriever", reach, "sends_to", declare)
        refuse_restricted(f"the corpus {corpus.name!r}", [way])


def _untraced() -> AbstractContextManager[object]:
    """Return a block without LangSmith's tracing, whatever the environment says."""
    from langsmith import tracing_context

    return tracing_context(enabled=False)


def _has_falling_scores(documents: Sequence[Document]) -> bool:
    given = [document.metadata.get("score") for document in documents]
    scores = [float(s) for s in given if isinstance(s, SupportsFloat) and math.isfinite(s)]
    return len(scores) == len(given) and all(a >= b for a, b in pairwise(scores))
