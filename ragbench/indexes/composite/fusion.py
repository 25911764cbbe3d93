"""Reciprocal rank fusion, in exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from ragbench.base.errors import UsageError

K0 = 60


def rrf(
    rankings: Sequence[Sequence[str]],
    *,
    k0: int = K0,
    weights: Sequence[float] | None = None,
) -> list[tuple[str, float]]:
    """Return (id, score) of every id in rankings: fused score descending, ties by id ascending.

    score(id) = sum over the rankings that hold it of weight / (k0 + rank). Ranks count from 1. A
    repeated id counts once, at its first rank, and the repeat takes no rank. Sums are fractions, so
    that equal scores are ties in whatever order the rankings are given; a weight counts as the
    decimal number that it is written as, and is 1 by default.

    Source: Cormack, Clarke and Buettcher 2009, "Reciprocal rank fusion outperforms Condorcet and
    individual rank learning methods"; k0 = 60 is theirs.

    >>> [(identifier, round(score, 6)) for identifier, score in rrf([["a", "b"], ["b", "c"]])]
    [('b', 0.032522), ('a', 0.016393), ('c', 0.016129)]

    Raises:
        UsageError: ``k0`` is negative, or the weights are not one positive number per ranking.
    """
    if k0 < 0:
        raise UsageError(f"k0 of reciprocal rank fusion is {k0}; it cannot be negative")
    given = [1.0] * len(rankings) if weights is None else list(weights)
    if len(given) != len(rankings) or not all(math.isfinite(w) and w > 0 for w in given):
        raise UsageError(
            f"the weights {given} are not {len(rankings)} positive numbers",
            fix="give one weight for each ranking, or none at all",
        )
    scores: dict[str, Fraction] = {}
    for ranking, weight in zip(rankings, given, strict=True):
        exact = Fraction(repr(float(weight)))
        for rank, identifier in enumerate(dict.fromkeys(ranking), 1):
            scores[identifier] = scores.get(identifier, Fraction()) + exact / (k0 + rank)
    order = sorted(scores, key=lambda identifier: (-scores[identifier], identifier))
    return [(identifier, float(scores[identifier])) for identifier in order]
