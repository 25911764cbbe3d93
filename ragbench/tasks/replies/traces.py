"""Reasoning traces: what a model wrote before its answer, split off by the markers around it."""

from __future__ import annotations

# What opens and closes a reasoning trace in the replies of current models.
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
