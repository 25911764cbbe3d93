"""Chunks of whole sentences up to a number of tokens, or of characters without a tokenizer.

The sentences are found by rules, which need no download and know the full stops of medical
English that end nothing: ``e.g. fever``, ``Dr. Snow``, ``approx. 5 mg``, ``Fig. 2``, ``E. coli``.
Where in doubt a sentence goes on. A sentence that is larger than the size is cut between words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ragbench.corpora.chunking.chunker import Span
from ragbench.corpora.chunking.measure import Measure
from ragbench.corpora.chunking.packing import pack

OPENING = "\"'([{\u201c\u2018\u00ab\u00bf\u00a1"
# Possessive and anchored to the first mark of a run, so that no text takes quadratic time.
BORDER = re.compile(
    r"""(?P<mark>(?<![.!?])[.!?]++["')\]}\u201d\u2019\u00bb]*+)(?=\s)  # a mark before a blank
    |[\u3002\uff01\uff1f]++[\u201d\u2019\u300d\u300f\uff09]*+          # marks that need no blank
    |\n(?=[ \t\r]*+\n)                                                 # an empty line
    |\n(?=[ \t]*+(?:[-*\u2022\u00b7\u2013\u2014]|\d{1,2}[.)])\s)       # the next point of a list
    """,
    re.VERBOSE,
)
_TITLES = "Dr Drs Mr Mrs Ms Mx Prof St U.S U.K".split()  # and not MS, MR
_LATIN = "vs e.g i.e eg ie viz cf ca approx resp incl excl esp".split()
# Never the end, whatever follows.
INNER = frozenset([*_TITLES, *_LATIN, *(word.capitalize() for word in _LATIN)])
# Not the end before a number.
BEFORE_NUMBERS = frozenset(
    "no nos nr fig figs eq eqs ref refs tab vol ch chap sec sect p pp pt ed eds al art suppl "
    "app est min max avg temp wt ht jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
# After these words a single letter is a label and not the initial of a name or genus.
LABELLED = frozenset(
    "vitamin vitamins hepatitis type types group groups class grade stage influenza factor "
    "protein phase part step plan table figure appendix arm cohort immunoglobulin ig subtype "
    "genotype child-pugh category level option panel complex strain".split()
)
REACH = 48  # characters that are looked at before and after a mark


class SentenceChunker:
    """Packs sentences; overlaps by whole sentences.

    Args:
        size: The largest number of units of a chunk.
        overlap: The largest number of units that a chunk shares with the one before it.
        measure: What counts: tokens or characters.
    """

    def __init__(self, size: int, overlap: int, measure: Measure) -> None:
        self._size, self._overlap, self._measure = size, overlap, measure

    def spans(self, text: str) -> list[Span]:
        """Return the chunks in text order; they hold every character that is not white space."""
        pieces = list(sentences(text))
        return pack(text, pieces, size=self._size, overlap=self._overlap, by=self._measure)


def sentences(text: str) -> Iterator[Span]:
    """Yield the sentences of a text, without the white space around them.

    Args:
        text: The text.

    Yields:
        Spans in text order that hold every character that is not white space.
    """
    start = 0
    for border in BORDER.finditer(text):
        if border["mark"] is None or _ends(text, start, border):
            yield from _trimmed(text, start, border.end())
            start = border.end()
    yield from _trimmed(text, start, len(text))


def _trimmed(text: str, start: int, end: int) -> Iterator[Span]:
    part = text[start:end]
    if body := part.strip():
        offset = start + part.index(body[0])
        yield offset, offset + len(body)


def _ends(text: str, start: int, border: re.Match[str]) -> bool:
    """Return whether a sentence that began at ``start`` ends at a mark that a blank follows."""
    after = text[border.end() : border.end() + REACH].lstrip().lstrip(OPENING)
    if after[:1].islower():
        return False
    if not border[0].startswith(".") or border[0].startswith(".."):
        return True
    before = text[max(start, border.start() - REACH) : border.start()].split()
    if not before:
        return False
    word = before[-1].lstrip(OPENING)
    if word in INNER or (after[:1].isdigit() and word.casefold() in BEFORE_NUMBERS):
        return False
    if word.isdigit() and len(before) == 1 and border.start() - start <= REACH:
        return False  # the number of a point in a list
    if len(word) == 1 and word.isalpha():
        return len(before) > 1 and before[-2].casefold() in LABELLED
    is_initials = re.fullmatch(r"(?:[A-Za-z]\.)+[A-Za-z]", word) is not None
    return not (is_initials and after[:1].isdigit())
