"""What a reply reader is: it finds what a written reply answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ragbench.base.records import Outcome, Question


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply reader found in a reply.

    Attributes:
        outcome: ``parsed``, ``unparsed``, ``refused`` or ``truncated``.
        pick: Index of the option that the reply names; None unless parsed, and where it is a text.
        rule: Name of the rule that read it; empty unless parsed.
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
        the model ended its reply, ``length`` where the limit did, and ``none`` where an imported
        run has no reply.
        """
