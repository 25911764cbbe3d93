"""Reasoning traces: what a model wrote before its answer, found by the markers around it."""

from __future__ import annotations

# Opening and closing markers of reasoning traces of current models.
TRACES = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
    ("<thought>", "</thought>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("<unused94>", "<unused95>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
)


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
