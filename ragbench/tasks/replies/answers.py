"""What a written reply answers: its reasoning trace split off, then the option that it names.

A JSON field such as ``"answer_choice": "B"`` decides alone where there is one. Otherwise the
extractors are tried in the order of ``EXTRACTORS``. Each looks for one form that states an answer,
and knows only the letters of the question's own options. A reply that none of them reads is
unparsed: no option is ever assumed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from string import ascii_uppercase

from ragbench.base.records import Outcome
from ragbench.tasks.replies.denials import is_no_answer
from ragbench.tasks.replies.patterns import (
    AFTER,
    ANCHOR,
    BOXED,
    DENIED,
    EDGES,
    FIELD,
    FONT,
    GOES_ON,
    HEDGE,
    IS_RIGHT,
    LEADING,
    LETTER_LINE,
    MARKED,
    MARKS,
    NEXT_QUESTION,
    NONE_OF,
    REFUSAL,
    REVERSED,
    SENTENCE_END,
    SPECIES,
    WITH_LETTER,
    bounded,
    plain,
)
from ragbench.tasks.replies.reader import Reading
from ragbench.tasks.replies.traces import split_reasoning

ALIKE = 0.8
REACH = 500  # characters after an anchor, besides an option's text, that may name the answer


def letters(n: int) -> tuple[str, ...]:
    """Return the letters of n options, A first; n is at most 26."""
    return tuple(ascii_uppercase[:n])


def read_reply(reply: str, options: Sequence[str], *, finish: str) -> Reading:
    """Return which option a reply names.

    A reply that met its limit (``finish`` is ``length``) before an answer is ``truncated``. Of a
    very long reply the beginning and the end are read; see ``patterns.bounded``.
    """
    reasoning, text, closed = split_reasoning(reply)
    if closed:
        said = _first_answer(bounded(plain(text)))
        field = _field(said)
        rules = EXTRACTORS.items() if field is None else [("field", _named)]
        for rule, extract in rules:
            pick = extract(said if field is None else field, options)
            if pick is not None:
                return Reading("parsed", pick, rule, text, reasoning)
    outcome: Outcome = "unparsed"
    if finish == "length":
        outcome = "truncated"
    elif REFUSAL.match(text):
        outcome = "refused"
    return Reading(outcome, None, "", text, reasoning)


def _first_answer(text: str) -> str:
    """Cut off the questions that a model goes on to ask itself."""
    following = NEXT_QUESTION.search(text)
    return text[: following.start()] if following and text[: following.start()].strip() else text


def _of_letter(letter: str, options: Sequence[str]) -> int | None:
    index = ascii_uppercase.find(letter.upper())
    return index if 0 <= index < len(options) else None


def _of_text(text: str, options: Sequence[str]) -> int | None:
    wanted = " ".join(text.strip(EDGES).split()).casefold()
    found = [
        i for i, o in enumerate(options) if " ".join(o.strip(EDGES).split()).casefold() == wanted
    ]
    return found[0] if len(found) == 1 else None


def _named(value: str, options: Sequence[str]) -> int | None:
    """Return the option that a short value names: a letter, a letter with its text, or a text."""
    alone = LETTER_LINE.match(value)
    if alone:
        return _of_letter(alone[1], options)
    for read in (_of_text, _leading, _text):
        pick = read(value, options)
        if pick is not None:
            return pick
    return None


def _field(text: str) -> str | None:
    """Return the value of the last answer field, from JSON that may be broken elsewhere."""
    found = list(FIELD.finditer(text))
    if not found:
        return None
    double, single, several, bare = found[-1].groups()
    if several is not None:
        members = re.findall(r"\"([^\"]*)\"|'([^']*)'", several)
        return "".join(members[0]) if len(members) == 1 else ""
    value = next(value for value in (double, single, bare, "") if value is not None)
    return value.replace("\\n", "\n")


def _stated(text: str, options: Sequence[str]) -> int | None:
    """Read the last "the answer is ..." that goes on with a letter or with an option's text."""
    anchors = sorted([*ANCHOR.finditer(text), *BOXED.finditer(text)], key=lambda m: m.start())
    pick: int | None = None
    for anchor in anchors:
        boxed = anchor.re is BOXED
        if is_no_answer(text, anchor.start(), anchor.start() if boxed else anchor.end()):
            continue
        if boxed:
            found = _named(FONT.sub(r"\1", anchor[1]), options)
        else:
            found = _after(text, anchor, options)
        pick = pick if found is None else found
    return pick


def _after(text: str, anchor: re.Match[str], options: Sequence[str]) -> int | None:
    """Return the option that the text after an anchor names, unless a condition follows it."""
    reach = REACH + max(map(len, options), default=0)
    said = text[anchor.end() : anchor.end() + reach]
    found = _after_anchor(said, options)
    if found is None:
        return None
    letter = AFTER.match(said)
    end = anchor.end() + (letter.end() if letter else 0)
    end += _length_of(text[end : end + reach], options[found])
    return None if is_no_answer(text, anchor.start(), anchor.end(), end) else found


def _length_of(rest: str, option: str) -> int:
    """Return the characters that an option's text takes after its letter, if it follows."""
    at = rest.casefold().find(option.strip(EDGES).casefold())
    return at + len(option.strip(EDGES)) if at >= 0 and not rest[:at].strip(MARKS) else 0


def _after_anchor(text: str, options: Sequence[str]) -> int | None:
    line, _, following = text.partition("\n")
    if not line.strip(EDGES):  # the answer is below its heading
        line = following.lstrip().partition("\n")[0]
    line = line.partition("</")[0]
    named = _text(line, options)
    found = AFTER.match(line)
    if named is not None or not found:
        return named
    rest = line[found.end() :]
    if found[1].islower() and not SENTENCE_END.match(rest):
        return None  # an article, or the first letter of something else
    return _stated_letter(found[1].upper(), rest, options)


def _stated_letter(letter: str, rest: str, options: Sequence[str]) -> int | None:
    """Return the option of a letter; None where it is one of two, denied, or a word's beginning."""
    pick = _of_letter(letter, options)
    if pick is None or _is_hedged(rest, options) or _contradicts(pick, rest, options):
        return None
    if re.match(r" \w", rest) and not GOES_ON.match(rest) and not _opens(rest, options[pick]):
        return None  # "A patient", "B cells"
    return pick


def _is_hedged(rest: str, options: Sequence[str]) -> bool:
    """Say whether another letter of the item follows as a second answer."""
    other = HEDGE.match(rest)
    return other is not None and _of_letter(other[1], options) is not None


def _opens(rest: str, option: str) -> bool:
    """Say whether what follows a letter begins with an option's text."""
    own = " ".join(option.strip(EDGES).split()).casefold()
    for marks in (EDGES + "()", MARKS):  # a dash may be the text's own sign
        said = " ".join(rest.strip(marks).split()).casefold()
        if said.startswith(own) and not said[len(own) : len(own) + 1].isalnum():
            return True
    return False


def _contradicts(pick: int, rest: str, options: Sequence[str]) -> bool:
    """Say whether what follows a letter denies it, or is no text of that option.

    ``C. difficile`` is a species, not option C; ``B. Asthma`` names two options if Asthma is not B.
    """
    own = options[pick].strip(EDGES)
    if _opens(rest, own):
        further = rest.lstrip(MARKS)[len(own) :]
        return bool(DENIED.match(further)) or _is_hedged(further, options)
    if DENIED.match(rest) or NONE_OF.match(rest):
        return True
    if SPECIES.match(rest) and not _is_like(rest.strip(MARKS), own):
        return True
    other = _text(rest.strip(MARKS), options)
    return other is not None and other != pick


def _is_like(said: str, own: str) -> bool:
    """Say whether a text is an option's but for a few letters."""
    return SequenceMatcher(None, said.casefold(), own.casefold()).ratio() > ALIKE


def _leading(text: str, options: Sequence[str]) -> int | None:
    """Read a letter that opens the reply and is set off from what follows, as in ``B. Asthma``.

    A reply with a later line of another letter lists the options and is no answer, unless its first
    line is one whole option and no other line is.
    """
    found = LEADING.match(text)
    pick = _of_letter(found[1], options) if found else None
    if found is None or pick is None:
        return None
    first, *others = (line for line in text.splitlines() if line.strip())
    rest = first[found.end(1) :]
    if found[1].islower() and not _opens(rest, options[pick]):
        return None
    if _is_hedged(rest, options) or _contradicts(pick, rest, options):
        return None
    own = _length_of(rest, options[pick])  # letters within the option's own text mark nothing
    marked = [found[1], *(m[1] for m in MARKED.finditer(rest, own))]
    if len({m for m in marked if _of_letter(m, options) is not None} - {found[1].lower()}) > 1:
        return None
    opened = [(m, line) for line in others if (m := LEADING.match(line))]
    lists = any(_of_letter(m[1], options) not in (None, pick) for m, _ in opened)
    if lists and not _is_only_heading(first, others, options):
        return None
    return pick


def _is_only_heading(first: str, others: Sequence[str], options: Sequence[str]) -> bool:
    """Say whether the first line is a letter with its whole option, and no other line is."""
    if LEADING.match(others[0]):
        return False

    def whole(line: str) -> bool:
        found = LEADING.match(line)
        pick = _of_letter(found[1], options) if found else None
        return pick is not None and _of_text(line[found.end(1) :].strip(MARKS), options) == pick  # type: ignore[union-attr]

    return whole(first) and not any(map(whole, others))


def _reversed(text: str, options: Sequence[str]) -> int | None:
    """Read "B is the correct answer", and a first or last line such as "Option B is correct"."""
    lines = [line for line in text.splitlines() if line.strip()]
    found = [m[1] for m in REVERSED.finditer(text) if not _is_denied(text, m)]
    found += [m[1] for m in map(IS_RIGHT.match, [*lines[:1], *lines[-1:]]) if m]
    picks = {_of_letter(letter, options) for letter in found}
    return picks.pop() if len(picks) == 1 else None


def _is_denied(text: str, found: re.Match[str]) -> bool:
    return is_no_answer(text, found.start(), found.end(), found.end())


def _alone(text: str, options: Sequence[str]) -> int | None:
    """Read a reply whose first or last line is one letter; two that differ are no answer."""
    lines = [line for line in text.splitlines() if line.strip()]
    found = [m[1] for m in map(LETTER_LINE.match, dict.fromkeys([*lines[:1], *lines[-1:]])) if m]
    if len(lines) > 1:  # a small letter among other lines is a list's, or a word
        found = [letter for letter in found if letter.isupper()]
    picks = {_of_letter(letter, options) for letter in found}
    return picks.pop() if len(picks) == 1 else None


def _text(text: str, options: Sequence[str]) -> int | None:
    """Read a reply that is an option's text, or opens with it and a punctuation mark."""
    whole = _of_text(text, options)
    if whole is not None:
        return whole
    first = text.strip().partition("\n")[0]
    with_letter = WITH_LETTER.match(first)
    if with_letter:  # "Gout (B)"
        named, letter = _of_text(with_letter[1], options), _of_letter(with_letter[2], options)
        return named if named == letter else None
    opening = re.split(r"[.,;:!\n]", text.strip(" \t\r\n*_\"'`"), maxsplit=1)[0]
    found = _of_text(first, options)
    return found if found is not None else _of_text(opening, options)


EXTRACTORS: dict[str, Callable[[str, Sequence[str]], int | None]] = {
    "stated": _stated,
    "reversed": _reversed,
    "alone": _alone,
    "leading": _leading,
    "text": _text,
}
