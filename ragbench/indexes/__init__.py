"""Indexes: built retrievers over one corpus.

recipe      the base of recipes: identity, parts, size, models of the hub
retriever   the protocols of a retriever and a kind of index, and hits with ties in order of ids
loading     recipes from ``indexes/NAME.yaml`` or from inside another recipe
reach       where indexes send text, and the guard of restricted corpora
built       built indexes: their manifests, and opening them with their parts
build       recipe + corpus -> index folder, the parts first
estimate    what an index takes before it is built, and whether it fits
embed       the vectors of a corpus, made in parts on several machines
storage     embeddings on disk, listed and removed
check       whether a built index is sound
within      hits of some of the rows, from any retriever
bm25        lexical search
dense       sentence vectors in FAISS
composite   indexes that search others: fused, by quotas, or in the order of a cross-encoder
langchain   retrievers and vector stores of LangChain
evaluation  TREC runs and judgements of relevance
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
            "several indexes, fused by reciprocal rank",
        ),
        "quota": Entry(
            "ragbench.indexes.composite.quota:QuotaIndex",
            "a fixed number of hits per corpus of a union",
        ),
        "rerank": Entry(
            "ragbench.indexes.composite.rerank:RerankIndex",
            "the first hits of another index, reordered by a cross-encoder",
        ),
        "langchain": Entry(
            "ragbench.indexes.langchain.langchain_kind:LangchainIndex",
            "a LangChain retriever from a function of yours",
        ),
        "vectorstore": Entry(
            "ragbench.indexes.langchain.vectorstore:VectorstoreIndex",
            "sentence vectors in a LangChain vector store, with checked scores",
        ),
    },
    source=__file__,
)
