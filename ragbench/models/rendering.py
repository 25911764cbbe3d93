"""Prompts as texts: plain ones and chat templates; passages cannot add control tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any, TypeVar

from jinja2 import TemplateError

from ragbench.base.errors import PrerequisiteError, first_line
from ragbench.base.records import Message, open_trace

T = TypeVar("T")
PLAIN_CUE = "Answer:"
PROBES = ("A", "7")  # beginnings of replies, no two alike
# Some chat templates write today's date, which would change every prompt from day to day. A fixed
# day also gives two runs of one config the same prompts. This is the one of Llama's templates.
TEMPLATE_DAY = date(2024, 7, 26)
# Control tokens of the usual model families, for prompts without a tokenizer.
USUAL_CONTROL = re.compile(
    r"<\|[^|<>\s]{1,40}\|>|</?s>|<(?:bos|eos|pad|unk)>|<(?:start|end)_of_turn>"
    r"|\[/?(?:INST|SYSTEM_PROMPT)\]|<</?SYS>>|<\uff5c[^<>\s]{1,40}\uff5c>"
)
# A template may also fail as a program does, such as one that expects a list of parts.
TEMPLATE_ERRORS = (TemplateError, TypeError, AttributeError)
Turn = dict[str, str]
# Contents that no template writes itself.
SIGN = "qzragbenchturn"
ASKED: Turn = {"role": "user", "content": f"{SIGN}asked"}
SAID: Turn = {"role": "assistant", "content": f"{SIGN}said"}


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


def date_string(day: date) -> str:
    """Return a day as Llama's chat templates write it, such as ``26 Jul 2024``."""
    return day.strftime("%d %b %Y")


class ChatTemplate:
    """A tokenizer's chat template, asked so that nothing of a prompt is lost.

    Args:
        tokenizer: A tokenizer of transformers with a chat template.
        day: The date that templates show that write today's.
        where: Place in the config, for messages.
    """

    def __init__(self, tokenizer: Any, *, day: date = TEMPLATE_DAY, where: str = "") -> None:
        self._tokenizer = tokenizer
        self._day = day
        self._where = where
        self._joins: dict[tuple[str, ...], bool] = {}

    @cached_property
    def is_dated(self) -> bool:
        """Whether the template writes the day, so that another day makes another prompt."""
        other = ChatTemplate(self._tokenizer, day=self._day + timedelta(days=400))
        return other._head != self._head

    def text(self, turns: Sequence[Turn], reply_start: str = "") -> str:
        """Return the turns with the assistant's turn opened, and the beginning of the reply.

        The system turn joins the first user turn if the template refuses or drops it.

        Raises:
            PrerequisiteError: The template refuses the turns, or leaves one out.
        """
        given = without_system(turns) if self._joins_system(turns) else list(turns)
        try:
            text = self._apply(given)
        except TEMPLATE_ERRORS as error:
            raise self._unfit(f"refuses this prompt: {first_line(error)}") from None
        if dropped := _dropped(given, text):
            raise self._unfit(f"changes or drops a {dropped[0]} turn of this prompt")
        return text + (self.between + reply_start if reply_start else "")

    @cached_property
    def opened(self) -> str:
        """The marker of a reasoning trace that every prompt opens; empty if none."""
        return (open_trace(self.tail) or ("",))[0]

    @cached_property
    def tail(self) -> str:
        """The end of every prompt: what the template writes after the last user turn."""
        return self._head.rpartition(ASKED["content"])[2]

    @cached_property
    def between(self) -> str:
        """What the template writes between a prompt and a whole reply, such as a blank.

        A reasoning trace that the prompt opens is closed in it. A template whose finished turns
        begin otherwise than its prompts end, writes nothing.
        """
        head = self._head
        try:
            whole = self._apply([ASKED, SAID], opens_reply=False)
        except TEMPLATE_ERRORS:
            whole = ""
        found = ""
        if whole.startswith(head) and SAID["content"] in whole[len(head) :]:
            found = whole[len(head) :].partition(SAID["content"])[0]
        markers = open_trace(self.tail)
        if markers is not None and markers[1] not in found:
            found = ("" if self.tail.endswith("\n") else "\n") + f"\n{markers[1]}\n\n"
        return found

    @cached_property
    def _head(self) -> str:
        try:
            return self._apply([ASKED])
        except TEMPLATE_ERRORS as error:
            raise self._unfit(f"refuses a user turn: {first_line(error)}") from None

    def before_reply(self, prompt: str) -> str:
        """Return the text between a prompt and a whole reply; empty after a started reply."""
        return self.between if prompt.endswith(self.tail) else ""

    def opened_in(self, prompt: str) -> str:
        """Return the marker of the trace that a prompt opens; empty after a started reply."""
        return self.opened if prompt.endswith(self.tail) else ""

    def _apply(self, turns: Sequence[Turn], *, opens_reply: bool = True) -> str:
        return str(
            self._tokenizer.apply_chat_template(
                list(turns),
                tokenize=False,
                chat_template=self._pinned,
                add_generation_prompt=opens_reply,
                date_string=date_string(self._day),
            )
        )

    @cached_property
    def _pinned(self) -> str:
        """The template, with the fixed day where it asks for today's.

        transformers passes no function to a template, so that ``strftime_now`` is a macro in it.
        """
        text = str(self._tokenizer.get_chat_template())
        if "strftime_now" not in text:
            return text
        noon = datetime.combine(self._day, time(12))
        directives = [f"%{sign}{c}" for sign in ("-", "") for c in "aAbBcdDeFGHIjmMpRSTuUVwWxXyY"]
        filters = [f" | replace('{each}', '{noon.strftime(each)}')" for each in directives]
        macro = "{% macro strftime_now(format) %}{{ format" + "".join(filters) + " }}{% endmacro %}"
        return f"{macro}\n{text}"  # the newline goes with the block: transformers trims blocks

    def _joins_system(self, turns: Sequence[Turn]) -> bool:
        """Say whether the template has no system turn; found with turns that nothing else repeats.

        A content such as ``B`` occurs in a prompt even where its turn is dropped.
        """
        roles = tuple(turn["role"] for turn in turns)
        if roles not in self._joins:
            signs: list[Turn] = [
                {"role": role, "content": f"{SIGN}{place}z"} for place, role in enumerate(roles)
            ]
            self._joins[roles] = "system" in roles and not self._keeps(signs)
            kept = without_system(signs) if self._joins[roles] else signs
            if not self._keeps(kept):
                raise self._unfit("refuses or drops a turn of the prompts")
        return self._joins[roles]

    def _keeps(self, turns: Sequence[Turn]) -> bool:
        try:
            return not _dropped(turns, self._apply(turns))
        except TEMPLATE_ERRORS:
            return False

    def _unfit(self, what: str) -> PrerequisiteError:
        return PrerequisiteError(
            f"the chat template {what}", where=self._where, fix="write `format: plain`"
        )


def _dropped(turns: Sequence[Turn], text: str) -> list[str]:
    """Return the roles of the turns whose content is not in a text; blanks may differ."""
    squeezed = " ".join(text.split())
    return [turn["role"] for turn in turns if " ".join(turn["content"].split()) not in squeezed]


def chat_text(tokenizer: Any, turns: Sequence[Turn], reply_start: str) -> str:
    """Return the turns in a tokenizer's chat template, as ``ChatTemplate.text`` does."""
    return ChatTemplate(tokenizer).text(turns, reply_start)


def start_of_options(
    prompt: Sequence[T],
    sequences: Sequence[Sequence[T]],
    options: Sequence[str],
    probes: Mapping[str, Sequence[T]] | None = None,
) -> int:
    """Return where the options' own tokens start in tokenised prompts with options.

    A token may span the join of prompt and option, and the prompt's last tokens may depend on what
    follows. Those that an option shares with the prompt alone, or with an option that begins with
    another character, are the prompt's. The place is the same for all options, so that no token in
    which two differ is left out; it is at least 1, and leaves each option a token.

    Args:
        prompt: The prompt alone, with what is written between prompt and reply.
        sequences: The same with each option.
        options: The options.
        probes: The prompt with other texts, by text, for options that all begin alike.
    """
    written = [*zip(options, sequences, strict=True), *(probes or {}).items()]
    ends = []
    for option, ids in zip(options, sequences, strict=True):
        unlike = (other for text, other in written if _first(text) != _first(option))
        ends.append(max(_shared(ids, other) for other in (prompt, *unlike)))
    return max(1, min(*ends, *(len(ids) - 1 for ids in sequences)))


def _first(text: str) -> str:
    return text[:1].casefold()


def _shared(one: Sequence[T], other: Sequence[T]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def without_system(turns: Sequence[Turn]) -> list[Turn]:
    """Return the turns with a first system turn joined to the following user turn."""
    if not turns or turns[0]["role"] != "system":
        return list(turns)
    system, first, *rest = turns
    return [{"role": "user", "content": f"{system['content']}\n\n{first['content']}"}, *rest]
