"""Texts as LaTeX prints them, with its own fonts and without packages."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

SIGNS = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    # At the start of a row, LaTeX would read these as an option of the row before.
    **{"[": "{[}", "]": "{]}", "*": "{*}"},
    **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
    **{"`": r"\textasciigrave{}", '"': "''"},
    **{"\N{NO-BREAK SPACE}": "~", "\N{HORIZONTAL ELLIPSIS}": r"\dots{}"},
    **{"\N{EN DASH}": r"\textendash{}", "\N{EM DASH}": r"\textemdash{}"},
    **{"\N{LEFT SINGLE QUOTATION MARK}": "`", "\N{RIGHT SINGLE QUOTATION MARK}": "'"},
    **{"\N{LEFT DOUBLE QUOTATION MARK}": "``", "\N{RIGHT DOUBLE QUOTATION MARK}": "''"},
    **{"ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}"},
    **{"ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}"},
    **{"\N{LATIN SMALL LETTER DOTLESS I}": r"\i{}"},
    **{"§": r"\S{}", "©": r"\copyright{}"},
}
IN_MATHS = {
    **{"±": "pm", "\N{MULTIPLICATION SIGN}": "times", "÷": "div", "·": "cdot", "°": "circ"},
    **{"\N{MINUS SIGN}": "-"},
    **{"≤": "leq", "≥": "geq", "≠": "neq", "≈": "approx", "∞": "infty", "µ": "mu"},
    **{"←": "leftarrow", "↑": "uparrow", "→": "rightarrow", "↓": "downarrow"},
}
ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308", "`'^~=u.\"", strict=True))
ACCENTS |= dict(zip("\u030a\u030b\u030c\u0327", "rHvc", strict=True))
GREEK_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega"
).split()
GREEK_CAPITALS = "gamma delta theta lambda xi pi sigma phi psi omega".split()
BREAKS = "_/:@|"  # a line may break after these
UNBROKEN = 12  # characters of one word, after which a line may break as well
CAPITAL = 1.5  # width of a capital in other letters


def escaped(text: str) -> str:
    r"""Return text as LaTeX prints it, in one line, with its own fonts and without packages.

    Letters with accents, Greek letters and common signs become commands; any other character
    outside ASCII becomes its number, such as ``[U+4E2D]``.

    >>> print(escaped("50 %, naïve ≥ 2"))
    50 \%, na\"{\i}ve \ensuremath{\geq} 2
    """
    shown = "".join(map(_sign, unicodedata.normalize("NFC", text)))
    return " ".join(re.sub(r"-(?=-)", "-{}", shown).split())


def _sign(sign: str) -> str:
    if sign in SIGNS:
        return SIGNS[sign]
    if sign in IN_MATHS:
        name = IN_MATHS[sign]
        return rf"\ensuremath{{{name if name == '-' else chr(92) + name}}}"
    if sign.isascii():
        return sign if sign.isprintable() else " "
    kind, _, name = unicodedata.name(sign, "").replace("LAMDA", "LAMBDA").rpartition(" LETTER ")
    if kind == "GREEK SMALL" and name.lower() in GREEK_NAMES:
        return rf"\ensuremath{{\{name.lower()}}}"
    if kind == "GREEK CAPITAL" and name.lower() in GREEK_CAPITALS:
        return rf"\ensuremath{{\{name.capitalize()}}}"
    apart = unicodedata.normalize("NFD", sign)
    base, accents = apart[0], apart[1:]
    if base.isascii() and base.isalpha() and accents in ACCENTS:
        dotless = rf"\{base}" if base in "ij" and accents != "\u0327" else base
        return rf"\{ACCENTS[accents]}{{{dotless}}}"
    return f"{{[}}U+{ord(sign):04X}{{]}}"


def breakable(text: str) -> str:
    r"""Return text as ``escaped``, in which long names may go on in the next line.

    >>> print(breakable("icd_10 code"))
    icd\_\allowbreak{}10 code
    """
    signs = unicodedata.normalize("NFC", text)
    pieces, run = [""], 0.0
    for sign, following in pairwise(signs + " "):
        run = 0 if sign.isspace() or sign == "-" else run + (CAPITAL if sign.isupper() else 1)
        pieces[-1] += sign
        if not following.isspace() and (sign in BREAKS or run >= UNBROKEN):
            pieces.append("")
            run = 0
    words = (_edge(piece, 0) + escaped(piece) + _edge(piece, -1) for piece in pieces)
    return r"\allowbreak{}".join(words).strip()


def _edge(piece: str, place: int) -> str:
    """Return a blank where a piece has white space at an end, which ``escaped`` removes."""
    return " " if piece and piece[place].isspace() and piece.strip() else ""
