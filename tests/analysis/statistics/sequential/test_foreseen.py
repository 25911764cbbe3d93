"""How many questions it takes: the same decisions as one run at a time, and known limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ragbench.analysis.statistics.estimate import Cells, Settings, interval_and_p
from ragbench.analysis.statistics.sequential.decide import Effect, Rules, decide
from ragbench.analysis.statistics.sequential.foreseen import decisions, questions_until_decided
from ragbench.analysis.statistics.sequential.units import of_questions
from ragbench.base.errors import UsageError


@pytest.mark.parametrize("share", [0.2, 1.0])
@pytest.mark.parametrize(("up", "down"), [(0.14, 0.04), (0.05, 0.05), (0.01, 0.01)])
def test_decisions_are_those_of_decide(share: float, up: float, down: float) -> None:
    draw, looks, rules = np.random.default_rng(2), np.arange(50, 401, 50), Rules(share=share)
    verdicts = set()
    for _ in range(6):
        values = draw.choice([1.0, -1.0, 0.0], p=[up, down, 1 - up - down], size=400)
        kinds = np.column_stack([values > 0, values < 0, values == 0])
        counts = kinds.cumsum(axis=0)[looks - 1][None].astype(float)
        asked, shown, equivalent = decisions(counts, looks, rules)
        cells = np.column_stack([np.maximum(values, 0), np.minimum(values, 0)])
        settings = Settings(seed=1, alpha=rules.of_full or 0.5, resamples=9, margin=rules.margin)
        effect = Effect(
            ("gain",),
            of_questions(values, (-1.0, 1.0)),
            tuple(looks.tolist()),
            exhausted=True,
            full=interval_and_p([Cells(cells, None)], settings, ["gain"]),
        )
        (state,) = decide([effect], rules)
        assert asked[0] == state.decided_at
        wanted = "shown" if shown[0] else "equivalent" if equivalent[0] else "exhausted"
        assert state.verdict == wanted
        verdicts.add(wanted)
    assert verdicts


def test_a_large_effect_is_decided_early_and_none_at_all_is_equivalent() -> None:
    rules = Rules()
    large = questions_until_decided(0.3, 0.4, 2000, rules, repeats=200, seed=1)
    assert large.shown == large.stopped == 1.0
    assert large.mean < 150
    assert 50 <= large.median <= large.most <= 300
    none = questions_until_decided(0.0, 0.02, 4000, rules, repeats=200, seed=1)
    assert none.equivalent > 0.95
    assert none.mean < 1500


def test_more_of_alpha_for_the_sequence_stops_it_earlier() -> None:
    few, all_of_it = (
        questions_until_decided(0.1, 0.2, 1000, Rules(share=share), repeats=300, seed=3)
        for share in (0.2, 1.0)
    )
    assert all_of_it.mean < few.mean
    assert few == questions_until_decided(0.1, 0.2, 1000, Rules(), repeats=300, seed=3)


def test_a_set_smaller_than_the_least_is_asked_whole() -> None:
    found = questions_until_decided(0.5, 0.5, 30, Rules(), repeats=50)
    assert found.mean == found.median == found.most == 30
    assert found.stopped == 0.0
    assert found.shown > 0.9  # by the test of all questions


def test_what_is_impossible_is_refused() -> None:
    with pytest.raises(UsageError, match=r"impossible with 0\.1 of the questions discordant"):
        questions_until_decided(0.2, 0.1, 100, replace(Rules()))
