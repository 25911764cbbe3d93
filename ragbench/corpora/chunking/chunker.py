"""The protocol of chunkers: they cut a text into spans, each an exact slice."""

from __future__ import annotations

from typing import Protocol

from ragbench.corpora.chunking.measure import Measure

Span = tuple[int, int]  # text[start:end]


class Chunker(Protocol):
    """Cuts texts; made with the largest size of a chunk, the overlap, and what counts both."""

    def __init__(self, size: int, overlap: int, measure: Measure) -> None: ...

    def spans(self, text: str) -> list[Span]:
        """Return the chunks in text order; they hold every character that is not white space."""
