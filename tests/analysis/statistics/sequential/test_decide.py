"""Decisions of a family: by hand from e-values, and the same whenever and however one looks."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest

from ragbench.analysis.statistics import estimate
from ragbench.analysis.statistics.estimate import Cells, Settings, interval_and_p
from ragbench.analysis.statistics.inference import Values
from ragbench.analysis.statistics.sequential.betting import e_value_of_pairs
from ragbench.analysis.statistics.sequential.decide import Effect, Rules, State, decide
from ragbench.analysis.statistics.sequential.units import of_questions
from ragbench.base.errors import UsageError

ALONE = Rules(share=1.0, least=1)
PAIR = (-1.0, 1.0)


def shuffled(helped: int, hurt: int, same: int, seed: int = 1) -> Values:
    values = np.repeat([1.0, -1.0, 0.0], [helped, hurt, same])
    return np.random.default_rng(seed).permutation(values)


def effect(values: Values, looks: tuple[int, ...], name: str = "gain") -> Effect:
    return Effect((name,), of_questions(values, PAIR), looks)


def one(values: Values, looks: tuple[int, ...], rules: Rules) -> State:
    (state,) = decide([effect(values, looks)], rules)
    return state


def test_shown_at_the_first_look_with_enough() -> None:
    """By the closed form: the e-value must be over 20, or 100 with a fifth of alpha."""
    values, looks = shuffled(60, 20, 120), tuple(range(10, 201, 10))
    counts = [(int((values[:n] > 0).sum()), int((values[:n] < 0).sum())) for n in looks]
    e = np.array([e_value_of_pairs(*count) for count in counts])
    for rules, enough in ((ALONE, 20), (replace(ALONE, share=0.2), 100)):
        state = one(values, looks, rules)
        assert state.verdict == "shown"
        assert state.decided_at == looks[int(np.argmax(e > enough))]
        assert [look.e_value for look in state.looks] == pytest.approx(e, rel=1e-6)
        assert [look.questions for look in state.looks] == list(looks)
        largest = np.maximum.accumulate(e)
        p = [look.p for look in state.looks]
        assert p == pytest.approx(np.minimum(1, enough / 20 / largest), rel=1e-6)
        for look in state.looks:
            assert (look.low > 0 or look.high < 0) == (look.p < rules.alpha)
            assert look.low <= look.high
    later = one(values, looks, replace(ALONE, least=150))
    assert later.decided_at == 150


def test_equivalent_within_the_margin() -> None:
    values = shuffled(40, 40, 3920)
    looks = tuple(range(100, 4001, 100))
    state = one(values, looks, replace(ALONE, margin=0.03))
    assert state.verdict == "equivalent"
    assert state.shown_at is None
    at = next(look for look in state.looks if look.questions == state.decided_at)
    assert at.p_equivalence < 0.05 <= state.looks[looks.index(at.questions) - 1].p_equivalence
    # The interval is at half the level on each side, so it is within the margin somewhat later.
    within = next(k for k in state.looks if k.low > -0.03 and k.high < 0.03)
    assert at.questions <= within.questions <= 2 * at.questions
    assert one(values, looks, replace(ALONE, margin=0.001)).verdict == "open"


def test_looks_do_not_change_what_a_later_look_finds() -> None:
    """The e-value of a look depends on the questions so far alone."""
    values = shuffled(30, 20, 150)
    many, few = (one(values, looks, ALONE).now for looks in (tuple(range(5, 201, 5)), (200,)))
    assert many.e_value == pytest.approx(few.e_value)
    assert many.estimate == few.estimate
    assert many.p <= few.p
    assert few.low <= many.low <= many.high <= few.high


def test_a_prefix_decides_as_the_whole() -> None:
    """A run that is resumed, or continued, finds each earlier look as it was."""
    values, looks = shuffled(60, 20, 120), tuple(range(20, 201, 20))
    whole = one(values, looks, Rules())
    for number in range(1, len(looks) + 1):
        part = one(values[: looks[number - 1]], looks[:number], Rules())
        for mine, theirs in zip(part.looks, whole.looks, strict=False):
            assert astuple(mine) == pytest.approx(astuple(theirs))
        if part.decided_at is not None:
            assert part.decided_at == whole.decided_at


def test_looks_that_were_taken_are_not_taken_again() -> None:
    values, looks = shuffled(55, 25, 220), tuple(range(20, 301, 20))
    both = values, -values[::-1]
    family = [effect(one, looks, name) for one, name in zip(both, ("one", "other"), strict=True)]
    whole = decide(family, Rules())
    states: list[State] = []
    for number in range(1, len(looks) + 1):
        now = [effect(one[: looks[number - 1]], looks[:number]) for one in both]
        states = decide(now, Rules(), states)
    for mine, theirs in zip(states, whole, strict=True):
        assert (mine.shown_at, mine.equivalent_at) == (theirs.shown_at, theirs.equivalent_at)
        for one, other in zip(mine.looks, theirs.looks, strict=True):
            assert astuple(one) == pytest.approx(astuple(other), abs=1e-7)
    assert decide(family, Rules(), whole) == whole


def test_a_family_is_adjusted_by_holm() -> None:
    """By hand: p is 1 / e, times 2 for the smaller of two, and the larger is not below it."""
    strong, weak = shuffled(30, 2, 68), shuffled(26, 8, 66)
    family = [effect(weak, (100,), "weak"), effect(strong, (100,), "strong")]
    p = [1 / e_value_of_pairs(26, 8), 1 / e_value_of_pairs(30, 2)]
    assert 2 * p[1] < 0.05
    found = decide(family, ALONE)
    assert [state.name for state in found] == [("weak",), ("strong",)]
    assert [state.p_adjusted for state in found] == pytest.approx([p[0], 2 * p[1]], rel=1e-6)
    assert [state.verdict for state in found] == ["shown", "shown"]


def test_an_effect_is_shown_when_the_rest_of_its_family_is() -> None:
    """The p of the first stays between 0.025 and 0.05, which is enough once the second is shown."""
    first, second = shuffled(26, 8, 66), np.concatenate([np.zeros(100), np.ones(40)])
    family = [effect(first, (100, 100), "first"), effect(second, (100, 140), "second")]
    p = 1 / e_value_of_pairs(26, 8)
    assert 0.025 < p < 0.05
    found = decide(family, ALONE)
    assert found[0].looks[0].p == pytest.approx(p, rel=1e-6)
    assert found[0].shown_at == 100
    assert found[0].p_adjusted == pytest.approx(p, rel=1e-6)
    before = decide([replace(one, looks=one.looks[:1]) for one in family], ALONE)
    assert before[0].verdict == "open"


def of_all(helped: int, hurt: int, n: int, rules: Rules) -> estimate.Tested:
    values = np.zeros((n, 2))
    values[:helped, 0], values[helped : helped + hurt, 1] = 1.0, -1.0
    settings = Settings(seed=1, alpha=rules.of_full, resamples=99, margin=rules.margin)
    found = interval_and_p([Cells(values, None)], settings, ["gain"])
    assert found is not None
    return found


def test_the_test_of_all_questions_has_the_rest_of_alpha() -> None:
    """By hand: mid-p of 20 helped and 7 hurt over 0.8; the sequence alone does not show it."""
    rules, values = Rules(), shuffled(20, 7, 173)
    full = of_all(20, 7, 200, rules)
    assert full.p == pytest.approx(0.01254, abs=1e-5)
    open_one = replace(effect(values, (50, 100, 200, 200)), exhausted=True)
    (without,) = decide([open_one], rules)
    assert (without.verdict, without.decided_at) == ("exhausted", 200)
    (state,) = decide([replace(open_one, full=full)], rules)
    assert (state.verdict, state.decided_at) == ("shown", 200)
    assert [look.p for look in state.looks[2:]] == pytest.approx([full.p / 0.8] * 2)
    assert state.looks[1].p > 0.05
    assert state.now.low == pytest.approx(full.low)
    assert state.now.low > 0
    # With all of alpha in the sequence, that test does not count.
    (alone,) = decide([replace(open_one, full=full)], replace(rules, share=1.0))
    assert alone.verdict == "exhausted"


def test_nothing_asked_yet() -> None:
    state = one(np.empty(0), (0,), Rules())
    assert (state.verdict, state.decided_at) == ("open", None)
    assert (state.now.e_value, state.now.p) == pytest.approx((1.0, 1.0))
    assert (state.now.low, state.now.high) == PAIR
    assert decide([], Rules()) == []


def test_what_is_refused() -> None:
    values = np.zeros(10)
    with pytest.raises(UsageError, match="looked at equally often"):
        decide([effect(values, (5,)), effect(values, (5, 10))], Rules())
    with pytest.raises(UsageError, match="looked at equally often"):
        decide([effect(values, ())], Rules())
    with pytest.raises(UsageError, match="share of the sequence above 0"):
        Rules(share=0.0)
