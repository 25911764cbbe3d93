"""What a metric is: one value per answered question of a cell; means are taken later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ragbench.base.records import Answered


class Metric(Protocol):
    """Scores the answers of one cell."""

    def __call__(self, answers: Sequence[Answered], options: Mapping[str, Any]) -> Sequence[float]:
        """Return a value per answer, higher is better; NaN where the question has none.

        The answers are of one model, task and arm, without those of the outcome ``error``. The
        options are the config's ``metrics: {NAME: {...}}``; empty for most.
        """
