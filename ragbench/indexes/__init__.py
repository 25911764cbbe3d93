"""Indexes: built retrievers over one corpus.

retriever  the protocol, the base of recipes, and hits with ties in the order of ids
bm25       lexical; ``tokenise`` makes terms of words, ``inversion`` postings of passages,
           ``lexicon`` numbers the terms, ``kernels`` is compiled, ``okapi`` is rank-bm25's formula
dense      vectors of ``encoders`` in FAISS; ``embeddings`` keeps them, ``ann`` makes approximate
           indexes, ``recall`` measures those
hybrid     several of the others, joined by ``fusion``
quota      another index over a union, so many hits of each corpus; ``within`` finds them
rerank     the first hits of another index in the order of a ``cross_encoder``; ``batches`` are
           the token-budget batches of every transformer here
langchain  LangChain's retrievers and ours, each as the other; ``langchain_kind`` is the recipe
vectorstore  LangChain's vector stores with our encoder; ``stores`` opens them, ``raw_scores``
           and ``store_checks`` find out what their scores are
build      recipe + corpus -> index folder with its manifest -> open index
check      whether a built index is sound
runfile    TREC runs, query files; ``qrels`` judgements of relevance
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragbench.base.registry import Entry, Registry

if TYPE_CHECKING:
    from ragbench.indexes.retriever import IndexKind

retrievers: Registry[type[IndexKind]] = Registry(
    "retrievers",
    {
        "bm25": Entry(
            "ragbench.indexes.bm25.index:Bm25Index", "BM25 by Lucene's or Okapi's formula"
        ),
        "faiss": Entry("ragbench.indexes.dense.index:DenseIndex", "sentence vectors in FAISS"),
        "hybrid": Entry(
            "ragbench.indexes.composite.hybrid:HybridIndex",
            "several indexes, joined by reciprocal rank",
        ),
        "quota": Entry(
            "ragbench.indexes.composite.quota:QuotaIndex",
            "an index over a union, so many hits of each corpus",
        ),
        "rerank": Entry(
            "ragbench.indexes.composite.rerank:RerankIndex",
            "the first hits of another index, in the order of a cross-encoder",
        ),
        "langchain": Entry(
            "ragbench.indexes.langchain.langchain_kind:LangchainIndex",
            "a LangChain retriever that a function of yours returns",
        ),
        "vectorstore": Entry(
            "ragbench.indexes.langchain.vectorstore:VectorstoreIndex",
            "sentence vectors in a LangChain vector store, its scores checked",
        ),
    },
    source=__file__,
)
