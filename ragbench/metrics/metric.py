"""The protocol of a metric: one value per answered question of a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ragbench.base.records import Answered


class Metric(Protocol):
    """Scores the answers of one cell."""

    def __call__(self, answers: Sequence[Answered], options: Mapping[str, Any]) -> Sequence[float]:
        """Return one value per answer; NaN for a question without one.

        The answers have one model, task and arm, and exclude the outcome ``error``. The options are
        the config's ``metrics: {NAME: {...}}``, empty for most metrics.
        """
