"""What a reply reader is: it finds what a written reply answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ragbench.base.records import Outcome, Question


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply reader found in a reply.

    Attributes:
        outcome: ``parsed``, ``assumed``, ``unparsed``, ``refused`` or ``truncated``.
        pick: Index of the option that the reply names or that a published harness assumes; None
            for any other outcome, and where the answer is a text.
        rule: Name of the rule that read or assumed it; empty for any other outcome.
        text: The reply as metrics see it, without its reasoning trace.
        reasoning: The reasoning trace; empty if there is none.
    """

    outcome: Outcome
    pick: int | None
    rule: str
    text: str
    reasoning: str


class ReplyReader(Protocol):
    """Reads the reply to one question."""

    def __call__(self, reply: str, question: Question, finish: str, /) -> Reading:
        """Return what a reply answers.

        The reply is as the model wrote it, reasoning trace included. ``finish`` is ``stop`` where
        the model ended its reply, and ``length`` where the limit did. In imported runs it is
        ``unknown``, ``none`` where there is no reply, and ``repeated`` where the reply is that to
        the question before.
        """
