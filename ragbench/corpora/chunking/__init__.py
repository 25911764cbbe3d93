"""The chunkers of documents and the table of their names.

tokens     words, packed up to the size
sentences  whole sentences, packed up to the size
"""

from ragbench.base.registry import Entry, Registry
from ragbench.corpora.chunking.chunker import Chunker

chunkers: Registry[type[Chunker]] = Registry(
    "chunkers",
    {
        "tokens": Entry(
            "ragbench.corpora.chunking.tokens:TokenChunker",
            "windows of words up to a number of tokens",
        ),
        "sentences": Entry(
            "ragbench.corpora.chunking.sentences:SentenceChunker",
            "whole sentences up to a number of tokens, or of characters",
        ),
    },
    source=__file__,
)
