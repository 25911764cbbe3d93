"""Texts as words, so that case, blanks and punctuation make no difference.

A *word* is a run of letters and digits, with the dots inside it that a digit follows (``e11.9``),
or one of the signs of SIGNS, in lower case and in Unicode's form NFKC; other punctuation and blanks
only separate words. Characters that nobody sees, such as soft hyphens, are not there.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

SIGNS = "+<=>±≤≥≈←↑→↓"  # options may differ in these only
UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
SURROGATE = re.compile("[\ud800-\udfff]")
WORD = re.compile(rf"[^\W_]+(?:\.\d[^\W_]*)*|[{SIGNS}]")
# Citations of passages in a reply, such as [1], [2, 3] or [1-3].
CITATION = re.compile(r"\s*\[(\d{1,3}(?:\s*[,;\u2013-]\s*\d{1,3})*)\]")
CITED = re.compile(r"(\d+)(?:\s*[\u2013-]\s*(\d+))?")


def plain(text: str) -> str:
    """Return the words of a text, one blank between them.

    >>> plain("Is TSH > 4.5 mU/L  'high'?")
    'is tsh > 4.5 mu l high'
    """
    seen = text if text.isascii() else UNSEEN.sub("", text)
    return " ".join(WORD.findall(unicodedata.normalize("NFKC", seen).lower()))


def plain_or_whole(text: str) -> str:
    """Return a text's words, or the text itself where it has none, such as a lone sign."""
    return plain(text) or text.strip()


def replace_surrogates(text: str) -> tuple[str, int]:
    """Return text with U+FFFD for every lone surrogate, which no file can hold; and their number.

    JSON writes characters beyond U+FFFF as two escapes; a text that was cut between the two has
    half a character.
    """
    return SURROGATE.subn("\ufffd", text)


def whole_characters(value: Any) -> tuple[Any, int]:
    """Return decoded JSON with U+FFFD for every lone surrogate, and their number."""
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, list):
        pairs = [whole_characters(item) for item in value]
        return [item for item, _ in pairs], sum(count for _, count in pairs)
    if isinstance(value, dict):
        inner, count = whole_characters(list(value.values()))
        names, others = whole_characters(list(value))
        return dict(zip(names, inner, strict=True)), count + others
    return value, 0


def cited(text: str) -> tuple[int, ...]:
    """Return the numbers of the passages that a text names, each once, in their order.

    >>> cited("Scurvy [2], as in [1-3; 7]. See [a] and (4).")
    (2, 1, 3, 7)
    """
    numbers: list[int] = []
    for group in CITATION.findall(text):
        for first, last in CITED.findall(group):
            end = int(last) if last else int(first)
            numbers += range(int(first), end + 1)
    return tuple(dict.fromkeys(numbers))


def uncited(text: str) -> str:
    """Return a text without its citations and the blanks before them.

    >>> uncited("Scurvy [2], as in [1-3].")
    'Scurvy, as in.'
    """
    return CITATION.sub("", text)
