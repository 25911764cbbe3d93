"""The grade that a reply names, such as ``Grade: 2``."""

import re

from ragbench.base.records import Outcome, Question
from ragbench.tasks.replies.reader import Reading

GRADE = re.compile(r"Grade: ([0-9]+)")


def read_grade(reply: str, question: Question, finish: str) -> Reading:
    """Return the last grade of a reply as the pick; a grade beyond the scale is not read."""
    found = GRADE.findall(reply)
    if found and int(found[-1]) < len(question.options):
        return Reading("parsed", pick=int(found[-1]), rule="grade", text=reply, reasoning="")
    outcome: Outcome = "truncated" if finish == "length" else "unparsed"
    return Reading(outcome, pick=None, rule="", text=reply, reasoning="")
