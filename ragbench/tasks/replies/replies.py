"""Readers of replies: what a written reply answers, by the kind of answer and the scoring mode.

``option``, ``label`` and ``text`` are those of the mode ``correct``; ``mirage`` and ``clue-*``
repeat what published harnesses did, faults included, to reproduce published figures.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from ragbench.base.records import Question
from ragbench.tasks.replies.answers import Answer, read_reply
from ragbench.tasks.replies.phrases import REFUSAL
from ragbench.tasks.replies.traces import split_reasoning

Finish = Literal["stop", "length", "none"]
Reader = Callable[[str, Question, str], Answer]


def read_option(reply: str, question: Question, finish: str) -> Answer:
    """Return the option that a reply names; see ``ragbench.tasks.replies.answers``."""
    return read_reply(reply, question.options, finish=finish)


def read_label(reply: str, question: Question, finish: str) -> Answer:
    """Return the label that a reply gives, where the labels are the options' texts.

    One label that is named and not negated is the answer. Of several, the one that stands alone
    in a line, or after ``answer:`` or ``label:``, is; where two do so, none is.

    Args:
        reply: The reply as the model wrote it.
        question: Its options are the labels.
        finish: ``length`` where the reply met its limit.

    Returns:
        The answer.
    """
    reasoning, text, closed = split_reasoning(reply)
    if closed:
        labels = "|".join(re.escape(o) for o in sorted(question.options, key=len, reverse=True))
        # A label within a longer word, as in "contradictions", is that label too.
        named = re.compile(rf"(?<!\w)(?:(not|no|neither|nor)\s+(?:an?\s+)?)?({labels})", re.I)
        found = {m[2].casefold() for m in named.finditer(text) if not m[1]}
        if len(found) > 1:
            alone = re.compile(
                rf"^[\W_]*(?:(?:final |correct )?(?:answer|label|relation(?:ship)?)\b"
                rf"(?:\s+is\b)?[\s:*=_]*)?({labels})[\W_]*$",
                re.I | re.M,
            )
            found = {m[1].casefold() for m in alone.finditer(text)}
        if len(found) == 1:
            pick = [o.casefold() for o in question.options].index(found.pop())
            return Answer("parsed", pick, "label", text, reasoning)
    return _unread(text, reasoning, finish)


def read_text(reply: str, question: Question, finish: str) -> Answer:
    """Return the reply itself without its reasoning; an empty one is unparsed."""
    reasoning, text, closed = split_reasoning(reply)
    if not closed or not text:
        return _unread("" if not closed else text, reasoning, finish)
    if REFUSAL.match(text):
        return Answer("refused", None, "", text, reasoning)
    return Answer("parsed", None, "text", text, reasoning)


def _unread(text: str, reasoning: str, finish: str) -> Answer:
    if finish == "length":
        return Answer("truncated", None, "", text, reasoning)
    refused = REFUSAL.match(text)
    return Answer("refused" if refused else "unparsed", None, "", text, reasoning)


CHOICE_FIELD = '"answer_choice": "'
MIRAGE_RULES = tuple(
    re.compile(pattern)
    for pattern in (
        r"^\s*([A-D])$",
        r"^\s*([A-D]) or",
        r"^\s*([A-D]) and",
        r"^\s*([A-D])/",
        r"^\s*([A-D]),",
        r"[Oo]ption ([A-D])",
        r":\s*([A-D])",
        r"^\s*([A-D])\.",
        r"^\s*([A-D])\"",
        r"^\s*([A-D]):",
    )
)
DEFAULT_RULE = "default A"


def read_mirage(reply: str, question: Question, finish: str) -> Answer:
    """Return what MIRAGE's evaluation (Xiong et al. 2024) reads in a reply.

    Letters are A to D whatever the options are, and a reply that no rule reads is the answer A:
    such a one has the rule ``default A``. A question without any reply is wrong.

    Args:
        reply: The first reply.
        question: What was asked.
        finish: ``none`` where there is no reply.

    Returns:
        The answer; its pick may lie outside the options, which is wrong.
    """
    if finish == "none":
        return Answer("unparsed", None, "", "", "")
    text = reply.rpartition(CHOICE_FIELD)[2].strip() if CHOICE_FIELD in reply else reply.strip()
    for number, rule in enumerate(MIRAGE_RULES, 1):
        if found := rule.search(text):
            return Answer("parsed", "ABCD".index(found[1]), f"mirage {number}", reply, "")
    return Answer("parsed", 0, DEFAULT_RULE, reply, "")


def read_clue_label(reply: str, question: Question, finish: str) -> Answer:
    """Return what CLUE's MedNLI scoring makes of a reply.

    It is right if and only if the right label stands in it exactly once, whatever else does.

    Args:
        reply: The reply.
        question: What was asked.
        finish: Not used.

    Returns:
        The right label, or none.
    """
    right = reply.upper().count(question.options[question.answer].upper()) == 1
    if right:
        return Answer("parsed", question.answer, "clue", reply, "")
    return Answer("unparsed", None, "", reply, "")


LONGHEALTH = re.compile(r"The correct answer is (\w):")


def read_clue_longhealth(reply: str, question: Question, finish: str) -> Answer:
    """Return the letter after the first ``The correct answer is``, as LongHealth's scoring does."""
    found = LONGHEALTH.search(reply)
    index = "ABCDEF".find(found[1]) if found else -1
    if 0 <= index < len(question.options):
        return Answer("parsed", index, "clue", reply, "")
    return Answer("unparsed", None, "", reply, "")


LEFTOVERS = re.compile(r"(?:You are an AI|\[INST\]|<\|user\|>).*")


def read_clue_text(reply: str, question: Question, finish: str) -> Answer:
    """Return the reply less what CLUE's 2024 harness cuts: turn markers, to the end of the line."""
    return Answer("parsed", None, "clue", LEFTOVERS.sub("", reply), "")


def read_raw(reply: str, question: Question, finish: str) -> Answer:
    """Return the reply as it is."""
    return Answer("parsed", None, "raw", reply, "")


READERS: dict[str, Reader] = {
    "option": read_option,
    "label": read_label,
    "text": read_text,
    "mirage": read_mirage,
    "clue-label": read_clue_label,
    "clue-longhealth": read_clue_longhealth,
    "clue-text": read_clue_text,
    "raw": read_raw,
}
