"""Prompts as texts: plain ones and chat templates; passages cannot add control tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from ragbench.base.records import Message

PLAIN_CUE = "Answer:"
TEMPLATE_DATE = (
    "26 Jul 2024"  # some chat templates write today's date, which would change every prompt
)
# Control tokens of the usual model families, for prompts without a tokenizer.
USUAL_CONTROL = re.compile(
    r"<\|[^|<>\s]{1,40}\|>|</?s>|<(?:bos|eos|pad|unk)>|<(?:start|end)_of_turn>"
    r"|\[/?(?:INST|SYSTEM_PROMPT)\]|<</?SYS>>|<\uff5c[^<>\s]{1,40}\uff5c>"
)
Turn = dict[str, str]


def turns_of(
    messages: Sequence[Message], control: re.Pattern[str] | None
) -> tuple[list[Turn], str]:
    """Return turns with ``role`` and ``content``, and the beginning of the reply.

    The beginning is the content of a last assistant turn, which is removed from the turns; else
    empty. Text that ``control`` matches is broken by a blank.
    """
    turns = [{"role": m.role, "content": harmless(m.content, control)} for m in messages]
    reply_start = ""
    if turns and turns[-1]["role"] == "assistant":
        reply_start = turns.pop()["content"]
    return turns, reply_start


def harmless(content: str, control: re.Pattern[str] | None) -> str:
    """Return a content with its control tokens broken by a blank after their first character."""
    if control is None:
        return content
    return control.sub(lambda found: f"{found[0][0]} {found[0][1:]}", content)


def control_tokens(tokenizer: Any) -> re.Pattern[str] | None:
    """Return a pattern of a tokenizer's control tokens; None if it has none."""
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    names: Iterable[str] = {str(token) for token in added if token.special}
    names = {*names, *tokenizer.all_special_tokens}
    spelt = sorted((re.escape(name) for name in names if len(name) > 1), key=len, reverse=True)
    return re.compile("|".join(spelt)) if spelt else None


def plain_text(turns: Sequence[Turn], reply_start: str) -> str:
    """Return a prompt without roles; a reply follows ``Answer:``, or the cue instead."""
    parts = []
    for turn in turns:
        if turn["role"] == "assistant" and not reply_start:
            parts.append(f"{PLAIN_CUE} {turn['content']}")
        else:
            parts.append(turn["content"])
    return "\n\n".join([*parts, reply_start.rstrip() or PLAIN_CUE])


def chat_text(tokenizer: Any, turns: Sequence[Turn], reply_start: str) -> str:
    """Return the turns in a tokenizer's chat template, with the assistant's turn opened.

    The system turn joins the first user turn if the template has no system role.
    """
    from jinja2 import TemplateError

    def apply(given: Sequence[Turn]) -> str:
        return str(
            tokenizer.apply_chat_template(
                list(given), tokenize=False, add_generation_prompt=True, date_string=TEMPLATE_DATE
            )
        )

    try:
        return apply(turns) + reply_start
    except TemplateError:
        return apply(without_system(turns)) + reply_start


def without_system(turns: Sequence[Turn]) -> list[Turn]:
    """Return the turns with a first system turn joined to the following user turn."""
    if not turns or turns[0]["role"] != "system":
        return list(turns)
    system, first, *rest = turns
    return [{"role": "user", "content": f"{system['content']}\n\n{first['content']}"}, *rest]
