"""What a metric is: one value for each answered question of a cell; means are taken later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ragbench.base.records import Answered


class Metric(Protocol):
    """Scores the answers of one cell."""

    def __call__(self, answers: Sequence[Answered], options: Mapping[str, Any]) -> Sequence[float]:
        """Return a value for each answer.

        Args:
            answers: The answers of one model, task and arm; none has the outcome ``error``.
            options: The config's ``metrics: {NAME: {...}}``; empty for most.

        Returns:
            As many values, higher is better; NaN where the metric has none for the question.
        """
