"""The BM25 tokeniser: lower-case runs of letters and digits, inner dots kept.

``E11.9`` and ``0.5`` stay one token each. A dotted code, that is a token with a letter, a digit
and a dot, is also given without its dots (``e119``), so that either spelling finds the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable

TOKEN = re.compile(r"[^\W_]+(?:\.[^\W_]+)*")

# Lucene's default English stop set.
STOPWORDS = {
    "none": frozenset[str](),
    "lucene-english": frozenset(
        "a an and are as at be but by for if in into is it no not of on or such that the their "
        "then there these they this to was will with".split()
    ),
}


def tokens(text: str) -> list[str]:
    """Return the raw tokens of a text, in order.

    >>> tokens("Type 2, E11.9: 0.5 mg")
    ['type', '2', 'e11.9', 'e119', '0.5', 'mg']
    """
    found: list[str] = []
    for token in TOKEN.findall(text.lower()):
        found.append(token)
        if "." in token and any(c.isdigit() for c in token) and any(c.isalpha() for c in token):
            found.append(token.replace(".", ""))
    return found


def make_tokeniser(*, stopwords: str, stemmer: str) -> Callable[[str], list[str]]:
    """Return the tokeniser of a recipe.

    Args:
        stopwords: A key of ``STOPWORDS``; they are dropped before stemming.
        stemmer: ``none`` or a Snowball language; only tokens of letters alone are stemmed.

    Returns:
        A function from text to tokens.
    """
    stop = STOPWORDS[stopwords]
    if stemmer == "none":
        return lambda text: [token for token in tokens(text) if token not in stop]
    import Stemmer

    snowball = Stemmer.Stemmer(stemmer)
    stems: dict[str, str] = {}

    def stem(token: str) -> str:
        found = stems.get(token)
        if found is None:
            found = snowball.stemWord(token) if token.isalpha() else token
            stems[token] = found
        return found

    return lambda text: [stem(token) for token in tokens(text) if token not in stop]
