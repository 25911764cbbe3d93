"""e-Holm and e-BH by their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from ragbench.analysis.statistics.inference import Values
from ragbench.analysis.statistics.sequential.families import (
    e_benjamini_hochberg,
    e_holm,
    p_of,
)

ALPHA = 0.05


def by_holm(e: Values) -> set[int]:
    """Return what is rejected, step by step: the r-th largest must reach (m - r + 1) / alpha."""
    rejected: set[int] = set()
    for rank, place in enumerate(np.argsort(-e, kind="stable")):
        if e[place] < (e.size - rank) / ALPHA:
            break
        rejected.add(int(place))
    return rejected


def by_e_bh(e: Values) -> set[int]:
    """Return what is rejected: the k largest, for the largest k with e_(k) >= m / (k alpha)."""
    order = np.argsort(-e, kind="stable")
    most = max(
        (k for k in range(1, e.size + 1) if e[order[k - 1]] >= e.size / (k * ALPHA)), default=0
    )
    return {int(place) for place in order[:most]}


def test_they_reject_what_their_definitions_reject() -> None:
    draw = np.random.default_rng(1)
    some = 0
    for _ in range(200):
        e = np.exp(draw.normal(3, 2, size=6))
        rejected = by_holm(e)
        assert set(np.flatnonzero(e_holm(e) <= ALPHA).tolist()) == rejected
        assert set(np.flatnonzero(e_benjamini_hochberg(e) <= ALPHA).tolist()) == by_e_bh(e)
        some += 0 < len(rejected) < 6
    assert some > 50


def test_by_hand() -> None:
    e = np.array([100.0, 30.0, 5.0])  # p of 0.01, 1/30 and 0.2, times 3, 2 and 1
    assert e_holm(e) == pytest.approx([0.03, 2 / 30, 0.2])
    assert e_benjamini_hochberg(e) == pytest.approx([0.03, 0.05, 0.2])


def test_an_e_value_below_one_says_nothing() -> None:
    assert p_of(np.array([0.0, 0.2, 1.0, 20.0])).tolist() == [1.0, 1.0, 1.0, 0.05]
