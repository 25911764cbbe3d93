"""What a written reply answers: its reasoning trace split off, then the option that it names.

A JSON field such as ``"answer_choice": "B"`` decides alone where there is one. Else extractors are
tried in the order of ``EXTRACTORS``; each is anchored to a form that states an answer, and knows
the item's own letters alone. A reply that none of them reads is unparsed: no option is ever
assumed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from ragbench.records import Outcome

# What opens and closes a reasoning trace in the replies of current models.
TRACES = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
    ("<unused94>", "<unused95>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
)
FIELD = re.compile(r'"(?:final_)?(?:answer|answer_choice|choice|option)"\s*:\s*"([^"]*)"')
REFUSAL = re.compile(
    r"^\W*(?:i['\u2019]?m (?:very )?sorry|sorry\b|i apologi[sz]e|i can(?:no|['\u2019])t"
    r"|i(?: a|['\u2019])m (?:unable|not able)|as an ai\b|i (?:must|have to) decline"
    r"|i won['\u2019]t)",
    re.IGNORECASE,
)
ANCHOR = re.compile(
    r"(?:\b(?:final |correct |best |right )?(?:answer|option|choice)(?: choice| option)?[*_]*"
    r"(?: is| would be|:| =)+:?|\\boxed(?={))",
    re.IGNORECASE,
)
# A letter as it may stand after an anchor, with markup and a word such as "option" before it.
AFTER = re.compile(
    r"^[\s*_\"'`({\[]*(?:(?:option|choice|letter)\b[\s*_]*|\\text{)?[\s*_\"'`({\[]*"
    r"([A-Z])(?![\w'\u2019])",
    re.IGNORECASE,
)
BECAUSE = re.compile(r"^ (?:because|since|as|due|given|for)\b")
OPENING = r"^[\s*_\"'`(\[]*(?:[Oo]ption |[Cc]hoice )?"
LEADING = re.compile(
    OPENING + r"([A-Z])(?:[\s*_\"'`)\]]*$|[*_\"'`)\]]*[.:)\]][*_\"'`]*(?:\s|$)|[)\]])"
)
LETTER_LINE = re.compile(OPENING + r"([A-Za-z])[\s*_\"'`)\].]*$")
HEDGE = re.compile(
    r"^[*_\"'`)\]}]*\s*(?:,|/|\bor\b|\band\b|&)\s*[*_\"'`({\[]*([A-Z])(?![\w'\u2019])"
)
EDGES = " \t\r\n.,;:!*_\"'`"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reply says.

    Attributes:
        outcome: ``parsed``, ``unparsed``, ``refused`` or ``truncated``.
        pick: Index of the option named; None unless parsed.
        rule: The extractor that read it; empty unless parsed.
        text: The reply without its trace.
        reasoning: The trace; empty if there is none.
    """

    outcome: Outcome
    pick: int | None
    rule: str
    text: str
    reasoning: str


def letters(n: int) -> tuple[str, ...]:
    """Return the letters of n options, A first; n is at most 26."""
    return tuple(ascii_uppercase[:n])


def split_reasoning(reply: str) -> tuple[str, str, bool]:
    """Split a reasoning trace off a reply.

    A trace may be opened by the chat template, so that the reply holds its end alone.

    Args:
        reply: The reply as the model wrote it.

    Returns:
        The trace, the rest, and whether the trace was closed (or there is none).

    >>> split_reasoning("<think>Anaemia.</think>The answer is B.")
    ('Anaemia.', 'The answer is B.', True)
    """
    for opening, closing in TRACES:
        before, closed, after = reply.rpartition(closing)
        if closed:
            start = before.find(opening)
            trace = before if start < 0 else before[:start] + before[start + len(opening) :]
            return trace.strip(), after.strip(), True
        head, opened, rest = reply.partition(opening)
        if opened:
            return rest.strip(), head.strip(), False
    return "", reply.strip(), True


def read_reply(reply: str, options: Sequence[str], *, finish: str) -> Answer:
    """Return what a reply answers.

    Args:
        reply: The reply as the model wrote it.
        options: The item's option texts.
        finish: ``stop``, or ``length`` where the reply met its limit.

    Returns:
        The answer; a reply that met its limit before one is ``truncated``.
    """
    reasoning, text, closed = split_reasoning(reply)
    if closed:
        field = _field(text)
        rules = EXTRACTORS.items() if field is None else [("field", _named)]
        for rule, extract in rules:
            pick = extract(text if field is None else field, options)
            if pick is not None:
                return Answer("parsed", pick, rule, text, reasoning)
    outcome: Outcome = "unparsed"
    if finish == "length":
        outcome = "truncated"
    elif REFUSAL.match(text):
        outcome = "refused"
    return Answer(outcome, None, "", text, reasoning)


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
    found = _of_text(value, options)
    return found if found is not None else _leading(value, options)


def _field(text: str) -> str | None:
    """Return the value of the last answer field, from JSON that may be broken elsewhere."""
    values = FIELD.findall(text)
    return str(values[-1]) if values else None


def _stated(text: str, options: Sequence[str]) -> int | None:
    """Read the last "the answer is ..." that goes on with a letter or with an option's text."""
    pick: int | None = None
    for anchor in ANCHOR.finditer(text):
        line = text[anchor.end() :].partition("\n")[0]
        named = _text(line, options)
        found = AFTER.match(line)
        if named is not None:
            pick = named
        elif found and found[1].isupper():
            pick = _stated_letter(found[1], line[found.end() :], options)
    return pick


def _stated_letter(letter: str, rest: str, options: Sequence[str]) -> int | None:
    """Return the option of a letter; None where it is one of two, or an article or a pronoun."""
    pick = _of_letter(letter, options)
    if pick is None or HEDGE.match(rest):
        return None
    if letter in "AI" and re.match(r" \w", rest) and not BECAUSE.match(rest):
        own = options[pick].strip(EDGES).casefold()
        return pick if rest.strip(EDGES).casefold().startswith(own) else None
    return pick


def _leading(text: str, options: Sequence[str]) -> int | None:
    """Read a letter that opens the reply and is set off from what follows, as in ``B. Asthma``.

    A reply that goes on to a line of another letter lists the options, and answers nothing.
    """
    found = LEADING.match(text)
    if not found or HEDGE.match(text[found.end(1) :]):
        return None
    opened = {m[1] for m in map(LEADING.match, text.splitlines()) if m}
    if len({letter for letter in opened if _of_letter(letter, options) is not None}) > 1:
        return None
    return _of_letter(found[1], options)


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
    opening = re.split(r"[.,;:!\n]", text.strip(" \t\r\n*_\"'`"), maxsplit=1)[0]
    first = text.strip().partition("\n")[0]
    found = _of_text(first, options)
    return found if found is not None else _of_text(opening, options)


EXTRACTORS: dict[str, Callable[[str, Sequence[str]], int | None]] = {
    "stated": _stated,
    "alone": _alone,
    "leading": _leading,
    "text": _text,
}
