"""Indexes: built retrievers over one corpus.

retriever  the protocol, and hits with ties in the order of ids
recipe     the YAML file ``indexes/NAME.yaml``
manifest   what built an index, and its digest
bm25       lexical, on bm25s; ``tokenise`` makes its tokens
dense      vectors of ``encoders`` in FAISS
build      recipe + corpus -> index folder -> open index
runfile    TREC runs, query files
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragbench.registry import Entry, Registry

if TYPE_CHECKING:
    from ragbench.indexes.retriever import IndexKind

retrievers: Registry[type[IndexKind]] = Registry(
    "retrievers",
    {
        "bm25": Entry("ragbench.indexes.bm25:Bm25Index", "BM25 with Lucene's formula, on bm25s"),
        "faiss": Entry("ragbench.indexes.dense:DenseIndex", "sentence vectors in FAISS"),
    },
    source=__file__,
)
