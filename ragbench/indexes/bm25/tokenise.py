"""Words and terms: texts as a BM25 index reads them.

A *word* is a run of letters and digits with inner dots (``E11.9``, ``0.5``); the option ``unicode``
also keeps combining marks inside words, as Devanagari, Thai or pointed Hebrew need. A word becomes
*terms* in lower case. A dotted code (a word with a letter, a digit and a dot) also becomes a term
without dots (``e119``), so that either spelling finds the other. With ``unicode``, words of scripts
without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) become their pairs of neighbouring
characters. Stop words are dropped, then words of letters are stemmed.

With the fold ``nfkc`` a word is read in Unicode's compatibility form, so that ligatures, full-width
letters and separate accents find the usual spelling, and characters that nobody sees (soft hyphens,
zero-width spaces) are not there. A raised number is a term of its own, as in ``10^9``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Words = Literal["letters", "unicode"]
Fold = Literal["nfkc", "none"]
WORD = re.compile(r"[^\W_]+(?:\.[^\W_]+)*")
UNSEEN = "Cf"  # the category of soft hyphens, zero-width characters, byte order marks
RAISED_SIGNS = "\u207a\u207b"
RAISED = "\u2070\u00b9\u00b2\u00b3\u2074-\u2079\u2071\u207f"
# The charge of an ion is part of its word, as in Ca2+; any other raised number is not.
CHARGE = re.compile(rf"(?<=[^\W\d_])(?<![\u2080-\u2089])([{RAISED}]*)[{RAISED_SIGNS}]+")
EXPONENT = re.compile(rf"(?<=[^\W_])(?<![{RAISED}])[{RAISED_SIGNS}]*(?=[{RAISED}])")
SQUARED = "\u3371-\u33df"  # units in one character, which are no letters before normalisation
FRACTIONS = "\u00bc-\u00be\u2150-\u215e\u2189\u2460-\u249b"
PARTED = re.compile(rf"(?<=\d)(?=[{FRACTIONS}{SQUARED}])")
CODE_POINTS = 0x110000
# Blocks of scripts without spaces between words.
UNPARTED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)

# Lucene's default English stop set.
STOPWORDS = {
    "none": frozenset[str](),
    "lucene-english": frozenset(
        "a an and are as at be but by for if in into is it no not of on or such that the their "
        "then there these they this to was will with".split()
    ),
}


def _spellings(word: str) -> list[str]:
    """Return a word in lower case, and a dotted code also without its dots."""
    # A lower-case letter may be two characters, one of them a mark.
    return [spelling for token in WORD.findall(word.lower()) for spelling in _spelt(token)]


class Analyser:
    """The function from texts to terms that a recipe describes.

    >>> Analyser()("Type 2, E11.9: 0.5 mg")
    ['type', '2', 'e11.9', 'e119', '0.5', 'mg']

    Args:
        stopwords: A key of ``STOPWORDS``, or words in lower case; dropped before stemming.
        stemmer: ``none`` or a Snowball language; only words of letters are stemmed.
        words: ``letters`` or ``unicode``.
        fold: ``nfkc`` or ``none``.

    Attributes:
        words: The function from a text to its words, in order.
    """

    def __init__(
        self,
        *,
        stopwords: str | Sequence[str] = "none",
        stemmer: str = "none",
        words: Words = "letters",
        fold: Fold = "nfkc",
    ) -> None:
        self._words = words
        self._fold = fold
        self._stop = STOPWORDS[stopwords] if isinstance(stopwords, str) else frozenset(stopwords)
        self._stem: Callable[[str], str] | None = None
        if stemmer != "none":
            import Stemmer

            self._stem = Stemmer.Stemmer(stemmer).stemWord
        self.words = _finder(words, fold)
        self._known = lru_cache(maxsize=1 << 16)(self.terms)

    def __call__(self, text: str) -> list[str]:
        """Return the terms of a text, in order."""
        return [term for word in self.words(text) for term in self._known(word)]

    def terms(self, word: str) -> tuple[str, ...]:
        """Return the terms of one word."""
        if self._fold == "nfkc" and not word.isascii():
            spellings = self._folded(word)
        elif self._words == "letters":
            spellings = _spellings(word)
        else:
            # Letters of formulas (a bold A) have no lower case before normalisation.
            folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).lower())
            spellings = _pairs(folded) if any(map(_is_unparted, folded)) else _spelt(folded)
        kept = (term for term in spellings if term not in self._stop)
        if self._stem is None:
            return tuple(kept)
        return tuple(self._stem(term) if term.isalpha() else term for term in kept)

    def _folded(self, word: str) -> list[str]:
        """Return the spellings of a word in its compatibility form."""
        seen = "".join(c for c in word if unicodedata.category(c) != UNSEEN)
        apart = CHARGE.sub(_charged, unicodedata.normalize("NFC", seen))
        apart = PARTED.sub(" ", EXPONENT.sub(" ", apart))
        # Letters of formulas (a bold A) have no lower case before normalisation.
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", apart).lower())
        if self._words == "letters":
            return [each for token in WORD.findall(text) for each in _spelt(token)]
        found: list[str] = []
        for token in _finder("unicode", "none")(text):
            if any(map(str.isalnum, token)):
                found += _pairs(token) if any(map(_is_unparted, token)) else _spelt(token)
        return found

    @property
    def is_word(self) -> npt.NDArray[np.bool_]:
        """Code points of words (0x110000)."""
        return word_characters(self._words, self._fold)


def _charged(found: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", found[1]) + " "


def _spelt(word: str) -> list[str]:
    is_code = "." in word and any(map(str.isdigit, word)) and any(map(str.isalpha, word))
    return [word, word.replace(".", "")] if is_code else [word]


def _is_unparted(character: str) -> bool:
    return any(low <= ord(character) <= high for low, high in UNPARTED)


def _pairs(word: str) -> list[str]:
    """Return the pairs of neighbouring characters of unspaced runs, and the text between them."""
    found: list[str] = []
    run: list[str] = []
    for character, after in pairwise([*_characters(word), ""]):
        run.append(character)
        is_unparted = _is_unparted(character[0])
        if not after or is_unparted != _is_unparted(after[0]):
            pairs = [a + b for a, b in pairwise(run)]
            found += (pairs or run) if is_unparted else _spelt("".join(run))
            run = []
    return found


def _characters(word: str) -> list[str]:
    """Return the characters of a word, each with the marks that follow it."""
    found: list[str] = []
    for character in word:
        if found and unicodedata.category(character)[0] == "M":
            found[-1] += character
        else:
            found.append(character)
    return found


@cache
def word_characters(words: Words, fold: Fold = "nfkc") -> npt.NDArray[np.bool_]:
    """Return the code points (0x110000) of words, by this Python's Unicode tables.

    ``letters`` are letters and digits; ``unicode`` and every fold add combining marks, and a fold
    adds what it leaves out of a word.
    """
    import numpy as np

    found = np.fromiter((chr(c).isalnum() for c in range(CODE_POINTS)), np.bool_, CODE_POINTS)
    for low, high in _added(words, fold):
        found[low : high + 1] = True
    return found


@cache
def _finder(words: Words, fold: Fold) -> Callable[[str], list[str]]:
    """Return the function from a text to its words."""
    added = "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in _added(words, fold))
    if not added:
        return WORD.findall
    letter = rf"(?:[^\W_]|[{added}])"
    wide = re.compile(rf"{letter}+(?:\.{letter}+)*")
    return lambda text: (WORD if text.isascii() else wide).findall(text)


@cache
def _added(words: Words, fold: Fold) -> list[tuple[int, int]]:
    """Return the ranges of code points of words that are neither letters nor digits."""
    if words == "letters" and fold == "none":
        return []
    found: list[tuple[int, int]] = []
    for code in range(CODE_POINTS):
        category = unicodedata.category(chr(code))
        is_folded = category == UNSEEN or chr(code) in RAISED_SIGNS or 0x3371 <= code <= 0x33DF
        if category[0] != "M" and not (fold == "nfkc" and is_folded):
            continue
        if found and found[-1][1] == code - 1:
            found[-1] = (found[-1][0], code)
        else:
            found.append((code, code))
    return found
