"""Packs pieces of a text, words or sentences, into chunks of a size, with an overlap.

LangChain's splitters decide what goes together; they are given the numbers of the pieces rather
than their texts, because they lose the place of a piece whose text is repeated. A chunk is then
the exact slice from its first piece to its last.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ragbench.corpora.chunking.chunker import Span
from ragbench.corpora.chunking.measure import Measure, Offsets

WORD = re.compile(r"\S+")


def pack(text: str, pieces: Sequence[Span], *, size: int, overlap: int, by: Measure) -> list[Span]:
    """Return the chunks of a text.

    A piece that is larger than the size is cut between its words, and a word between its units.
    Units are counted in the whole text; where a chunk by itself has more (a word at its edge may
    be tokenised otherwise), all of the text is packed more loosely. A character is never cut,
    so a chunk of one character may be larger than the size.

    Args:
        text: The text.
        pieces: What is kept whole if it fits, in text order; all that is not white space.
        size: The largest number of units of a chunk.
        overlap: The largest number of units that a chunk shares with the one before it.
        by: What counts.

    Returns:
        The chunks in text order, none empty or with white space at an end.
    """
    if not pieces:
        return []
    ruler = _Ruler(by.offsets(text))
    target = size
    while True:
        fitting = _fitting(text, pieces, ruler, target)
        chunks = _merged(fitting, ruler, target, min(overlap, target - 1))
        counts = by.counts([text[start:end] for start, end in chunks])
        if max(counts) <= size:
            return chunks
        if target == 1:
            halves = [half for chunk in chunks for half in _halved(text, chunk, size, by)]
            pairs = zip(halves, [*halves[1:], (len(text), len(text))], strict=True)
            # The next chunk may begin with what this one ends with, and hold all of a half.
            return [half for half, after in pairs if half[0] < after[0] or after[1] < half[1]]
        target = target * 9 // 10


def _halved(text: str, chunk: Span, size: int, by: Measure) -> list[Span]:
    """Return a chunk of few tokens, or halves of it for a size that no token's edge gives."""
    start, end = chunk
    if end - start == 1 or by.counts([text[start:end]])[0] <= size:
        return [chunk]
    middle = (start + end) // 2
    halves = [half for half in ((start, middle), (middle, end)) if text[slice(*half)].strip()]
    return [part for half in halves for part in _halved(text, _trimmed(text, half), size, by)]


def _trimmed(text: str, span: Span) -> Span:
    """Return a span without the white space at its ends; it has other characters too."""
    part = text[slice(*span)]
    return span[1] - len(part.lstrip()), span[0] + len(part.rstrip())


class _Ruler:
    """Counts the units of a text between any two characters; a unit is where it ends."""

    def __init__(self, offsets: Offsets) -> None:
        self.starts = offsets[:, 0]
        self._last = np.maximum(offsets[:, 1] - 1, offsets[:, 0])

    def index(self, characters: Sequence[int]) -> Offsets:
        """Return the number of units before each character."""
        return np.searchsorted(self._last, characters)

    def lengths(self, pieces: Sequence[Span]) -> Offsets:
        """Return how many units each piece has; blanks count for the piece before them."""
        return np.diff(self.index([*(start for start, _ in pieces), pieces[-1][1]]))


def _fitting(text: str, pieces: Sequence[Span], ruler: _Ruler, size: int) -> list[Span]:
    """Return the pieces; one that is too large gives way to the parts that it is cut into."""
    fitting: list[Span] = []
    for piece, length in zip(pieces, ruler.lengths(pieces), strict=True):
        if length <= size:
            fitting.append(piece)
            continue
        words = (found.span() for found in WORD.finditer(text, *piece))
        parts = [part for word in words for part in _windows(word, ruler, size)]
        fitting += _merged(parts, ruler, size, 0)
    return fitting


def _windows(word: Span, ruler: _Ruler, size: int) -> list[Span]:
    """Cut a word between its units into parts of at most a size."""
    from langchain_text_splitters.base import Tokenizer, split_text_on_tokens

    first, last = (int(index) for index in ruler.index(word))
    if last - first <= size:
        return [word]
    starts: list[int] = []

    def note(units: list[int]) -> str:
        starts.append(int(ruler.starts[units[0]]))
        return ""

    split_text_on_tokens(
        text="",
        tokenizer=Tokenizer(
            chunk_overlap=0,
            tokens_per_chunk=size,
            decode=note,
            encode=lambda _: list(range(first, last)),
        ),
    )
    edges = [word[0], *starts[1:], word[1]]
    return [(start, end) for start, end in pairwise(edges) if start < end]  # not within a character


def _merged(pieces: Sequence[Span], ruler: _Ruler, size: int, overlap: int) -> list[Span]:
    """Put neighbours together up to a size, beginning each chunk with the end of the last."""
    from langchain_text_splitters import CharacterTextSplitter

    names = [str(number) for number in range(len(pieces))]
    lengths = np.minimum(ruler.lengths(pieces), size).tolist()
    length_of = dict(zip(names, lengths, strict=True))
    splitter = CharacterTextSplitter(
        separator="\n",
        chunk_size=size,
        chunk_overlap=overlap,
        length_function=lambda name: length_of.get(name, 0),  # a separator has no length
    )
    groups = (group.split("\n") for group in splitter.split_text("\n".join(names)))
    return [(pieces[int(group[0])][0], pieces[int(group[-1])][1]) for group in groups]
