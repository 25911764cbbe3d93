"""Metrics of single answers (registered) and of retrieval (named as ir-measures writes them).

metric     what a metric is
choice     picks by log-likelihood, and their accuracy
retrieval  recall@k of gold passages, by ir-measures
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragbench.registry import Entry, Registry

if TYPE_CHECKING:
    from ragbench.metrics.metric import Metric

metrics: Registry[Metric] = Registry(
    "metrics",
    {
        "accuracy": Entry(
            "ragbench.metrics.choice:accuracy", "1 where the picked option is the right one"
        ),
    },
    source=__file__,
)
