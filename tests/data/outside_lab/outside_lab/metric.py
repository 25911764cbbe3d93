"""How close a pick is to the right one, where the options are a scale."""

from collections.abc import Mapping, Sequence
from typing import Any

from ragbench.base.records import Answered


def closeness(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return 1 for the right pick, and 0 for the other end of the scale and for no pick."""
    return [_closeness(answered) for answered in answers]


def _closeness(answered: Answered) -> float:
    if answered.pick is None:
        return 0.0
    steps = len(answered.question.options) - 1
    return 1.0 - abs(answered.pick - answered.question.answer) / steps
