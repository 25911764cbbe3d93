"""Replies of writers -> queries and passages."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection

from ragbench.base.records import Passage
from ragbench.runfolder.records import Record
from ragbench.tasks.replies.traces import opened_by_prompts, split_reasoning

# A bullet, or a number with a full stop, bracket or colon, with or without a word such as Q.
MARK = re.compile(
    r"^\s*(?:[-*\u2022\u2013]|\(?(?:Q|Question|Passage|Subquestion)?\s*#?\d{1,2}\s*[.):])\s+",
    re.IGNORECASE,
)
BREAK = re.compile(r"\n(?:[ \t]*(?:[-*_]{3,}[ \t]*)?\n)+")  # empty lines, and lines of hyphens
QUOTES = "\"'\u201c\u201d\u2018\u2019`"
DIGITS = 16  # of a digest in a passage's id


def texts_of(records: Collection[Record]) -> dict[str, str]:
    """Return the reply of each record by its question, without reasoning traces.

    A reply within a trace that is never closed has no text. ``records`` are those of one writer,
    which show whether its prompts open a trace.
    """
    common = opened_by_prompts([r.reply for r in records if r.reply and not r.opened])
    return {
        record.question_id: split_reasoning((record.opened or common) + record.reply)[1]
        if record.reply
        else ""
        for record in records
    }


def queries_of(kind: str, text: str, n: int) -> tuple[str, ...]:
    """Return the queries in a reply: one, or at most ``n`` subquestions; none if it is empty."""
    if kind == "subquestions":
        return tuple(lines_of(text)[:n])
    if kind == "rewrite":
        return tuple(lines_of(text)[:1])
    whole = text.strip()
    return (whole,) if whole else ()


def lines_of(text: str) -> list[str]:
    r"""Return the entries of a reply that has one per line, each once.

    Bullets, numbers, quotes and empty lines are removed. If two lines or more have a bullet or a
    number, the others introduce or explain them and are left out; so is a line that ends in a
    colon if others follow.

    >>> lines_of("Here they are:\n1. What is gout?\n\n2) Who gets it?")
    ['What is gout?', 'Who gets it?']
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    marked = [line for line in lines if MARK.match(line)]
    if len(marked) > 1:
        lines = marked
    elif len(lines) > 1:
        lines = [line for line in lines if not line.endswith(":")]
    bare = (_bare(MARK.sub("", line)) for line in lines)
    return list(dict.fromkeys(filter(None, bare)))


def _bare(line: str) -> str:
    line = line.strip().removeprefix("**").removesuffix("**").strip()
    is_quoted = len(line) > 1 and line[0] in QUOTES and line[-1] in QUOTES
    return line[1:-1].strip() if is_quoted else line


def passages_of(text: str, n: int) -> tuple[Passage, ...]:
    """Return at most ``n`` passages of a reply: its paragraphs, or its numbered lines.

    The id of a passage is made from its text, so that equal passages are one.
    """
    parts = [part.strip() for part in BREAK.split(text) if part.strip()]
    lines = [line for line in text.splitlines() if line.strip()]
    if len(parts) < min(2, n) and sum(bool(MARK.match(line)) for line in lines) > 1:
        parts = [line.strip() for line in lines if MARK.match(line)]
    bare = dict.fromkeys(filter(None, (MARK.sub("", part).strip() for part in parts)))
    return tuple(map(_passage, list(bare)[:n]))


def _passage(text: str) -> Passage:
    name = f"written-{hashlib.sha256(text.encode('utf-8')).hexdigest()[:DIGITS]}"
    return Passage(name, name, "", text)
