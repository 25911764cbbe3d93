"""What models have written before the answers, as retrieval and delivery take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ragbench.base.records import Passage

# By task, entry of `queries` or arm with `rounds`, and writer: the queries of each question; none
# if nothing was written.
Queries = Mapping[tuple[str, str, str], Mapping[str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a filter left of the ranking of one question.

    Attributes:
        ids: Passages that it kept, in the order of the ranking.
        dropped: Number of those that it dropped.
    """

    ids: tuple[str, ...] = ()
    dropped: int = 0


@dataclass(slots=True)
class Written:
    """What models have written for the arms of a run.

    Attributes:
        queries: Queries by question.
        passages: Passages by question, by task, arm and model; the model is empty if all models
            get the same.
        kept: What filters left, by question; keys as those of ``passages``.
    """

    queries: dict[tuple[str, str, str], dict[str, tuple[str, ...]]] = field(default_factory=dict)
    passages: dict[tuple[str, str, str], dict[str, tuple[Passage, ...]]] = field(
        default_factory=dict
    )
    kept: dict[tuple[str, str, str], dict[str, Kept]] = field(default_factory=dict)
