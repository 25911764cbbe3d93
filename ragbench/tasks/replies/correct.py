"""Reply readers of the mode ``correct``: the option, the label or the text that a reply gives."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ragbench.base.records import Question
from ragbench.tasks.replies.answers import read_reply
from ragbench.tasks.replies.denials import is_no_label
from ragbench.tasks.replies.patterns import REFUSAL, bounded
from ragbench.tasks.replies.reader import Reading
from ragbench.tasks.replies.traces import split_reasoning


def read_option(reply: str, question: Question, finish: str) -> Reading:
    """Return the option that a reply names; see ``ragbench.tasks.replies.answers``."""
    return read_reply(reply, question.options, finish=finish)


def read_label(reply: str, question: Question, finish: str) -> Reading:
    """Return the label that a reply gives, where the labels are the options' texts.

    One label that is named, and neither negated nor hypothetical, is the answer. Of several, the
    answer is the one that is alone on a line, or follows ``answer:`` or ``label:``; two such labels
    are no answer.
    """
    reasoning, text, closed = split_reasoning(reply)
    if closed:
        said = bounded(text)
        labels = "|".join(re.escape(o) for o in sorted(question.options, key=len, reverse=True))
        # A label within a longer word, as in "contradictions", is that label too.
        named = re.compile(rf"(?<!\w)(?:(not|no|neither|nor)\s+(?:an?\s+)?)?({labels})", re.I)
        found = {
            _number(m[2], question.options)
            for m in named.finditer(said)
            if not m[1] and not is_no_label(said, m.start(2), m.end(2))
        }
        if len(found) > 1:
            alone = re.compile(
                rf"^[\W_]*(?:(?:final |correct )?(?:answer|label|relation(?:ship)?)\b"
                rf"(?:\s+is\b)?[\s:*=_]*)?({labels})[\W_]*$",
                re.I | re.M,
            )
            found = {_number(m[1], question.options) for m in alone.finditer(said)}
        if len(found) == 1:
            return Reading("parsed", found.pop(), "label", text, reasoning)
    return _unread(text, reasoning, finish)


def _number(label: str, options: Sequence[str]) -> int:
    """Return the index of the option that a label is, by the case rules of the search.

    Folding both would not do: ``İ`` folds to two characters, and the search finds it as ``i``.
    """
    return next(n for n, o in enumerate(options) if re.fullmatch(re.escape(o), label, re.I))


def read_text(reply: str, question: Question, finish: str) -> Reading:
    """Return the reply itself without its reasoning; an empty one is unparsed."""
    reasoning, text, closed = split_reasoning(reply)
    if not closed or not text:
        return _unread("" if not closed else text, reasoning, finish)
    if REFUSAL.match(text):
        return Reading("refused", None, "", text, reasoning)
    return Reading("parsed", None, "text", text, reasoning)


def _unread(text: str, reasoning: str, finish: str) -> Reading:
    if finish == "length":
        return Reading("truncated", None, "", text, reasoning)
    refused = REFUSAL.match(text)
    return Reading("refused" if refused else "unparsed", None, "", text, reasoning)
