"""What every registered metric keeps to."""

from __future__ import annotations

import math

import pytest

from ragbench.metrics import metrics
from ragbench.metrics.metric import Metric
from ragbench.records import Answered, Question

QUESTION = Question(id="q", text="?", options=("a", "b", "c", "d"), answer=2, query="?")


@pytest.mark.parametrize("name", metrics.names())
def test_a_metric_gives_a_finite_value_for_every_pick_and_for_none(name: str) -> None:
    metric: Metric = metrics.get(name)
    values = metric([Answered(QUESTION, "parsed", pick) for pick in (0, 1, 2, 3, None)], {})
    assert all(isinstance(value, float) and math.isfinite(value) for value in values)
    assert values[2] == max(values)
