"""Reply readers that repeat what published harnesses did, faults included.

They reproduce published figures; the modes ``mirage``, ``clue-2024`` and ``clue-2025`` use them.
"""

from __future__ import annotations

import re

from ragbench.base.records import (
    DEFAULT_RULE,
    ERROR_MESSAGE,
    NO_REPLY,
    REPEATED,
    REPLY_BEFORE,
    Question,
)
from ragbench.tasks.replies.failures import is_failure
from ragbench.tasks.replies.reader import Reading

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


def read_mirage(reply: str, question: Question, finish: str) -> Reading:
    """Return what MIRAGE's evaluation (Xiong et al. 2024) reads in a reply.

    Letters are A to D whatever the options are; a pick outside the options is wrong. Three kinds
    of answers are *assumed*: A, where no rule reads a reply; that of the question before, where
    the reply is repeated; and whatever the rules find in the error message of a server.
    """
    if finish == NO_REPLY:
        return Reading("unparsed", None, "", "", "")
    text = reply.rpartition(CHOICE_FIELD)[2].strip() if CHOICE_FIELD in reply else reply.strip()
    pick, name = 0, DEFAULT_RULE
    for number, rule in enumerate(MIRAGE_RULES, 1):
        if found := rule.search(text):
            pick, name = "ABCD".index(found[1]), f"mirage {number}"
            break
    if finish == REPEATED:
        return Reading("assumed", pick, REPLY_BEFORE, reply, "")
    if is_failure(reply):
        return Reading("assumed", pick, ERROR_MESSAGE, reply, "")
    return Reading("assumed" if name == DEFAULT_RULE else "parsed", pick, name, reply, "")


def read_clue_label(reply: str, question: Question, finish: str) -> Reading:
    """Return what CLUE's MedNLI scoring makes of a reply.

    It is right if and only if it contains the right label exactly once, whatever else it says.
    """
    right = reply.upper().count(question.options[question.answer].upper()) == 1
    if right:
        return Reading("parsed", question.answer, "clue", reply, "")
    return Reading("unparsed", None, "", reply, "")


LONGHEALTH = re.compile(r"The correct answer is (\w):")


def read_clue_longhealth(reply: str, question: Question, finish: str) -> Reading:
    """Return the letter after the first ``The correct answer is``, as LongHealth's scoring does."""
    found = LONGHEALTH.search(reply)
    index = "ABCDEF".find(found[1]) if found else -1
    if 0 <= index < len(question.options):
        return Reading("parsed", index, "clue", reply, "")
    return Reading("unparsed", None, "", reply, "")


LEFTOVERS = re.compile(r"(?:You are an AI|\[INST\]|<\|user\|>).*")


def read_clue_text(reply: str, question: Question, finish: str) -> Reading:
    """Return the reply less what CLUE's 2024 harness cuts: turn markers, to the end of the line."""
    return Reading("parsed", None, "clue", LEFTOVERS.sub("", reply), "")


def read_raw(reply: str, question: Question, finish: str) -> Reading:
    """Return the reply as it is."""
    return Reading("parsed", None, "raw", reply, "")
