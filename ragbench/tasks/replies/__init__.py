"""Reply readers: what a written reply answers, by the kind of answer and the scoring mode.

correct    the option, label or text of a reply, in the mode ``correct``
published  the readers of published harnesses, faults included
reader     what a reply reader is, and what it finds
answers    the option that a reply names
denials    statements that name an option and are no answer
patterns   the forms in which replies state, hedge or deny an option
traces     reasoning traces, split off a reply
failures   error messages of servers in place of a reply
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragbench.base.registry import Entry, Registry

if TYPE_CHECKING:
    from ragbench.tasks.replies.reader import ReplyReader

reply_readers: Registry[ReplyReader] = Registry(
    "reply-readers",
    {
        "option": Entry(
            "ragbench.tasks.replies.correct:read_option",
            "the option that a reply names, by letter or text",
        ),
        "label": Entry(
            "ragbench.tasks.replies.correct:read_label",
            "the option text that a reply gives",
        ),
        "text": Entry(
            "ragbench.tasks.replies.correct:read_text",
            "the reply itself without its reasoning trace",
        ),
        "mirage": Entry(
            "ragbench.tasks.replies.published:read_mirage",
            "MIRAGE's own rules; A if no rule matches",
        ),
        "clue-label": Entry(
            "ragbench.tasks.replies.published:read_clue_label",
            "CLUE's own rule for MedNLI: the right label occurs exactly once",
        ),
        "clue-longhealth": Entry(
            "ragbench.tasks.replies.published:read_clue_longhealth",
            "LongHealth's own rule: the letter after `The correct answer is`",
        ),
        "clue-text": Entry(
            "ragbench.tasks.replies.published:read_clue_text",
            "the reply without the turn markers that CLUE's harness of 2024 removes",
        ),
        "raw": Entry("ragbench.tasks.replies.published:read_raw", "the reply as it is"),
    },
    source=__file__,
)
