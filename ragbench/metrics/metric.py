"""What a metric is: one value for one answered question; means are taken later."""

from __future__ import annotations

from typing import Protocol

from ragbench.records import Question


class Metric(Protocol):
    """Scores one answer."""

    def __call__(self, question: Question, pick: int | None) -> float:
        """Return the value; ``pick`` is the index of the chosen option, None if there is none."""
