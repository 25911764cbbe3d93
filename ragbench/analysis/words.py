"""Texts as words, so that case, blanks and punctuation make no difference.

A *word* is a run of letters and digits, with the dots inside it that a digit follows (``e11.9``),
or one of the signs of SIGNS, in lower case and in Unicode's form NFKC; other punctuation and blanks
only separate words.
"""

from __future__ import annotations

import re
import unicodedata

SIGNS = "+<=>±≤≥≈←↑→↓"  # options may differ in these only
WORD = re.compile(rf"[^\W_]+(?:\.\d[^\W_]*)*|[{SIGNS}]")


def plain(text: str) -> str:
    """Return the words of a text, one blank between them.

    >>> plain("Is TSH > 4.5 mU/L  'high'?")
    'is tsh > 4.5 mu l high'
    """
    return " ".join(WORD.findall(unicodedata.normalize("NFKC", text).lower()))


def plain_or_whole(text: str) -> str:
    """Return a text's words, or the text itself where it has none, such as a lone sign."""
    return plain(text) or text.strip()
