"""The chunkers of documents and the table of their names.

tokens     words, packed up to the size
sentences  whole sentences, packed up to the size
"""

from ragbench.corpora.chunker import Chunker
from ragbench.registry import Entry, Registry

chunkers: Registry[type[Chunker]] = Registry(
    "chunkers",
    {
        "tokens": Entry(
            "ragbench.corpora.chunkers.tokens:TokenChunker",
            "windows of words up to a number of tokens",
        ),
        "sentences": Entry(
            "ragbench.corpora.chunkers.sentences:SentenceChunker",
            "whole sentences up to a number of tokens, or of characters",
        ),
    },
    source=__file__,
)
