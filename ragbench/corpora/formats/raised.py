"""Plain text of markup: exponents, indices, formulas and citations on one line of characters.

Readers put marks around raised and lowered text (``UP``, ``DOWN``, ``END``) and around references
to the literature (``cited``); ``plain`` renders a line. An exponent is written with a caret
(``10^9``, ``m^2``, ``10^-4``), an index as it is (``H2O``), or with an underscore where digits
would run together (``10_2``). Charges (``Na+``, ``HCO3-``), ordinals (``2nd``), isotopes (``14C``)
and signs such as an asterisk follow their word directly, as people type them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

UP, DOWN, END = "\x01", "\x02", "\x03"
CITED, NAMED, NAMED_END = "\x04", "\x05", "\x06"
CITATIONS = "references to the literature removed"  # as they are counted
MARKS = re.compile(f"[{UP}{DOWN}{END}]")
OWN = dict.fromkeys(range(1, 7))  # for `str.translate`: text of a file may hold none of the marks
ROWS = frozenset("math mrow mstyle mpadded msqrt mtd semantics".split())
MAX_LEVELS = 16
Parts = list[tuple[str, list[str]]]
SCRIPTS = {"sup": UP, "sub": DOWN}
FORMULAS = frozenset(
    "math mrow mstyle mpadded mphantom msup msub msubsup mover munder munderover mmultiscripts "
    "mfrac msqrt mroot mtable mtr mtd semantics".split()
)
MINUS = str.maketrans("\u2212\u2012\u2013\u207b\u2010\u2011", "------")
ORDINALS = ("st", "nd", "rd", "th", "er", "\u00e8re", "\u00e8me", "o", "a", "\u00ba", "\u00aa")
CHARGE = re.compile(r"\d*[+-]+")
SIMPLE = re.compile(r"[+-]?[\w.,]+[+-]*")
POWER = re.compile(r"[+-]?\d+")
TEN = re.compile(r"(?<!\d)(?<!\d[.,])10\s+\Z")
CLAUSE_END = re.compile(r"[^\W\d_]['\u2019\"\u201d)\]]?[.,;:!?]['\u2019\"\u201d]?\Z")
RAISED_NUMBERS = re.compile(rf"{UP}\s*(\[?\d{{1,3}}(?:\s?[,;\u2013-]\s?\d{{1,3}})*\]?)\s*{END}")
# Blanks are tried where they begin, so that no text takes quadratic time.
PARTS = r"[\s,;\u2013\u2014-]"
ONE = rf"(?:{CITED}|{NAMED}[^{NAMED}{NAMED_END}]*{NAMED_END})"
RAISED = re.compile(rf"{UP}[\s,;\[\]()\u2013\u2014-]*+(?:{CITED}[\s,;\[\]()\u2013\u2014-]*+)+{END}")
BRACKETED = re.compile(rf"(?<!\s)\s*+[\[(]{PARTS}*+(?:{ONE}{PARTS}*+)+[\])]")
# Citations without brackets around them, as raised numbers are, with what parts them.
RUN = rf"{CITED}(?:{PARTS}*+{CITED})*+"
RUNS = re.compile(rf"(?<!\s)\s*+{RUN}(?=[\s.,;:]|\Z)|{RUN}")
WORDED = re.compile(r"[^\W\d_]{2}|(?<!\d)(?:1[6-9]|20)\d\d(?!\d)")


def cited(text: str) -> str:
    """Return the mark of a reference to the literature, whose text it holds where it has words.

    A number (``[3]``, ``3-5``) says nothing without the list of references. The names or the year
    of another (``Mill et al. (2020)``) may be words of the sentence around it.
    """
    return f"{NAMED}{text}{NAMED_END}" if WORDED.search(text) else CITED


def uncited(text: str) -> tuple[str, int]:
    """Return a line without its references, and how many were removed.

    Numbers are removed, and whatever is alone in its brackets; names in a sentence stay.
    """
    if CITED not in text and NAMED not in text:
        return text, 0
    before = text.count(CITED) + text.count(NAMED)
    text = RAISED.sub(lambda found: CITED * found[0].count(CITED), text)
    text = BRACKETED.sub("", text)
    text = re.sub(rf"{NAMED}\s*[\[(][^()\[\]{NAMED_END}]*[\])]\s*{NAMED_END}", "", text)
    kept = text.count(NAMED)
    text = RUNS.sub("", text)
    return text.replace(NAMED, "").replace(NAMED_END, ""), before - kept


def plain(text: str) -> str:
    """Return a line with its raised and lowered texts written as plain characters."""
    if not MARKS.search(text):
        return text
    levels: list[tuple[str, Parts]] = [("", [])]
    place = ignored = 0
    for mark in MARKS.finditer(text):
        _put(levels[-1][1], "", text[place : mark.start()])
        place = mark.end()
        if mark[0] != END and len(levels) > MAX_LEVELS:
            ignored += 1
        elif mark[0] != END:
            levels.append((mark[0], []))
        elif ignored:
            ignored -= 1
        elif len(levels) > 1:
            kind, parts = levels.pop()
            _put(levels[-1][1], kind, _rendered(parts))
    _put(levels[-1][1], "", text[place:])
    while len(levels) > 1:
        kind, parts = levels.pop()
        _put(levels[-1][1], kind, _rendered(parts))
    return _rendered(levels[0][1])


def _put(parts: Parts, kind: str, text: str) -> None:
    """Add a text to the parts; one raised text may come in several."""
    if parts and parts[-1][0] == kind:
        parts[-1][1].append(text)
    elif text:
        parts.append((kind, [text]))


def _rendered(given: Parts) -> str:
    parts = [(kind, "".join(texts)) for kind, texts in given]
    found: list[str] = []
    is_power = is_number = False  # whether a letter or a digit must not come next
    for place, (kind, text) in enumerate(parts):
        if kind:
            after = parts[place + 1][1][:1] if place + 1 < len(parts) else ""
            inner, blank = text.strip(" ,;\t\n"), text[len(text.rstrip()) :]
            written = _written(kind, inner, found, after)
            is_power = written[:1] == "^" and written[-1].isalnum() and not blank
            is_number = kind == DOWN and written[-1:].isdigit() and not blank
            text = written + blank
        elif (is_power and text[0].isalnum()) or (is_number and text[0].isdigit()):
            text = " " + text
        found.append(text)
    return "".join(found)


def _written(kind: str, inner: str, before: list[str], after: str) -> str:
    """Return one raised or lowered text; a blank after a 10 is taken out of ``before``."""
    last = before[-1] if before else ""
    end = last[-1:]
    if kind == DOWN:
        return f"_{inner}" if end.isdigit() and inner[:1].isdigit() else inner
    exponent = inner.translate(MINUS)
    if TEN.search(last[-16:]) and POWER.fullmatch(exponent) and not after.isalpha():
        before[-1] = last.rstrip()
        return f"^{exponent}"
    if not any(map(str.isalnum, inner)):
        return exponent
    if not (end.isalnum() or end in ")]}%\u00b0'\u2032.,;:!?") or not end:
        return inner
    is_charge = CHARGE.fullmatch(exponent) and not (end.isdigit() and exponent[0].isdigit())
    if is_charge or (end.isdigit() and inner.lower() in ORDINALS and len(inner) > 1):
        return exponent
    if SIMPLE.fullmatch(exponent):
        return f"^{exponent}"
    return f"^({exponent})"


def noted(text: str) -> str:
    """Return a line whose raised numbers that refer to a note or the literature are so marked.

    Those are numbers in square brackets, and numbers after the end of a clause: no exponent
    follows a full stop.
    """

    def mark(found: re.Match[str]) -> str:
        before = text[max(0, found.start() - 4) : found.start()]
        return CITED if found[1][0] == "[" or CLAUSE_END.search(before) else found[0]

    return RAISED_NUMBERS.sub(mark, text)


def words(element: Element | None) -> str:
    """Return all text of an element on one plain line; empty if there is no such element."""
    if element is None:
        return ""
    text = "".join(marked(element)) if len(element) else element.text or ""
    return " ".join(plain(text).split())


def marked(element: Element) -> Iterator[str]:
    """Yield the text in an element with marks; of MathML, too. No depth is too deep for it."""
    stack: list[Element | str] = [element]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            yield node
            continue
        name = str(node.tag).rpartition("}")[2]
        if name in ("annotation", "annotation-xml"):  # the same formula once more
            continue
        children = list(node)
        opened, between, closed = _signs(name, children)
        yield opened[0] + _told(node.text, name)
        waiting: list[Element | str] = []
        for place, child in enumerate(children):
            mark = opened[place + 1] if place + 1 < len(opened) else ""
            after = children[place + 1] if place + 1 < len(children) else None
            end = END if mark in (UP, DOWN) else ""
            if after is not None:
                end += between or (_gap(child, after) if name in ROWS else "")
            waiting += [mark, child, end, _told(child.tail, name)]
        stack += reversed([*waiting, closed])


def _told(text: str | None, name: str) -> str:
    """Return the text before or after a child; blanks between the parts of a formula are none."""
    return "" if not text or (name in FORMULAS and text.isspace()) else text


def _gap(child: Element, after: Element) -> str:
    """Return a blank between two names or numbers of a formula, which would run together."""
    return " " if _is_token(child) and _is_token(after) else ""


def _is_token(element: Element) -> bool:
    name, text = str(element.tag).rpartition("}")[2], (element.text or "").strip()
    return name == "mn" or (name in ("mi", "mtext") and len(text) > 1)


def _signs(name: str, children: list[Element]) -> tuple[list[str], str, str]:
    """Return what is written before an element and its children, between these, and after it."""
    if name in SCRIPTS:
        return [SCRIPTS[name]], "", END
    if name in ("msup", "mover"):
        return ["", "", UP], "", ""
    if name in ("msub", "munder"):
        return ["", "", DOWN], "", ""
    if name in ("msubsup", "munderover"):
        return ["", "", DOWN, UP], "", ""
    if name == "mmultiscripts":
        return ["", *_multiscripts(children)], "", ""
    if name == "mfrac":
        sides = ["(" if _is_compound(child) else "" for child in children]
        return (["("], ")/(", ")") if any(sides) else ([""], "/", "")
    if name == "msqrt":
        return ["sqrt("], "", ")"
    if name == "mroot":
        return ["root("], ", ", ")"
    if name == "mtr":
        return [" "], " ", ";"
    return [""], "", ""


def _multiscripts(children: list[Element]) -> list[str]:
    """Return the marks of a base, its lower and upper scripts in turn, and those before it."""
    marks: list[str] = []
    turn = 0
    for place, child in enumerate(children):
        if place == 0 or str(child.tag).rpartition("}")[2] == "mprescripts":
            marks.append("")
            turn = 0
            continue
        marks.append((DOWN, UP)[turn % 2])
        turn += 1
    return marks


def _is_compound(element: Element) -> bool:
    return len("".join(element.itertext()).split()) > 1 or (
        len(element) > 1 and str(element.tag).rpartition("}")[2] != "msup"
    )
