"""Reasoning traces: what a model wrote before its answer, found by the markers around it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ragbench.base.records import TRACES, Question
from ragbench.base.words import uncited
from ragbench.tasks.replies.reader import Reading, ReplyReader


def split_reasoning(reply: str) -> tuple[str, str, bool]:
    """Return the reasoning trace of a reply, the rest, and whether no trace is left open.

    The chat template may open a trace, so that the reply holds its end alone.

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


def read_without_trace(
    reader: ReplyReader, reply: str, question: Question, finish: str, *, opened: str = ""
) -> Reading:
    """Return what a reader finds in a reply outside its reasoning trace.

    A reply within a trace that is never closed has no answer, whatever the reader: it is
    ``truncated`` if the limit ended it or the prompt opened the trace, and ``unparsed`` if the
    model opened the trace and ended its turn in it. ``opened`` is the marker of a trace that the
    prompt opened, which the reply continues.
    """
    reasoning, text, closed = split_reasoning(opened + reply)
    if not closed:
        cut = bool(opened) or finish == "length"
        return Reading("truncated" if cut else "unparsed", None, "", text, reasoning)
    if text == reply.strip():
        return reader(reply, question, finish)
    return replace(reader(text, question, finish), reasoning=reasoning)


def citing(reader: ReplyReader) -> ReplyReader:
    """Return a reader that reads a reply without its citations, and keeps them in its text."""

    def read(reply: str, question: Question, finish: str, /) -> Reading:
        found = reader(uncited(reply), question, finish)
        return replace(found, text=split_reasoning(reply)[1])

    return read


def opened_by_prompts(replies: Collection[str]) -> str:
    """Return the marker of a trace that the prompts of a model's replies opened; else empty.

    Such replies close a trace that none of them opens. This finds the templates of servers and of
    imported runs, which nobody else knows.
    """
    for opening, closing in TRACES:
        if any(opening in reply for reply in replies):
            continue
        if any(reply.partition(closing)[0].strip() for reply in replies if closing in reply):
            return opening
    return ""
