"""Which effects of a family are decided, and after how many questions; valid at any look.

An effect is decided at the first look at which it is

- *shown*: its adjusted p against no effect is below alpha, so that its sequence excludes zero;
- *equivalent*: its adjusted p against an effect of the margin or more, either way, is below alpha;
- *exhausted*: all its questions were asked, and it is neither.

Two statistics share alpha. The sequence has the part ``share`` of it, and the test of a fixed
number of questions has the rest, once all questions were asked: it needs fewer questions than any
sequence for the same effect, and is valid only at the one look that was fixed before. An effect
has one p, the smaller of both after each is divided by its part of alpha (weighted Bonferroni). It
never rises from look to look, so that a decision holds at all later looks, and if the run is
continued to the last question. Holm's procedure over the family, at each look, keeps the
probability of any false finding at any look below alpha; so it does for equivalence, as a family of
its own.

    state = decide([Effect(("retrieval gain", "medqa"), units, looks=(50, 60, 70))], Rules())[0]
    state.verdict, state.decided_at, state.low, state.high
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ragbench.analysis.statistics.estimate import Tested
from ragbench.analysis.statistics.inference import Values
from ragbench.analysis.statistics.multiplicity import holm
from ragbench.analysis.statistics.sequential.betting import log_e_values
from ragbench.analysis.statistics.sequential.families import p_of
from ragbench.analysis.statistics.sequential.tasks import Tasks, bets_of
from ragbench.analysis.statistics.sequential.units import Units
from ragbench.base.errors import UsageError

Verdict = Literal["open", "shown", "equivalent", "exhausted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When an effect is decided.

    Attributes:
        alpha: Level of the family; the sequence and the last interval together cover 1 - alpha.
        margin: Largest difference that does not matter.
        least: Number of questions before which nothing is decided.
        share: Part of alpha that the sequence has, above 0 and up to 1. With 1 there is no test of
            a fixed number of questions.
    """

    alpha: float = 0.05
    margin: float = 0.03
    least: int = 50
    share: float = 0.2

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 1 and 0 < self.margin < 1 and 0 < self.share <= 1):
            raise UsageError(
                "alpha and the margin must be between 0 and 1, and the share of the sequence "
                f"above 0 and up to 1; they are {self.alpha:g}, {self.margin:g} and {self.share:g}"
            )

    @property
    def of_sequence(self) -> float:
        """The level of the sequence."""
        return self.alpha * self.share

    @property
    def of_full(self) -> float:
        """The level of the test that is taken once, when all questions were asked."""
        return self.alpha * (1 - self.share)


@dataclass(frozen=True, slots=True)
class Effect:
    """What is known of one effect of a family.

    Attributes:
        name: What it is of, such as effect, model, task and arm.
        units: Its units so far, in the order asked, of one task or several; bounds below -margin
            and above margin.
        looks: Number of units at each look so far, in ascending order. Look for look, it is one
            of the whole family; an effect that is no longer asked repeats its number. That of
            several tasks is their sum.
        exhausted: Whether all its questions were asked.
        full: Interval and tests of all its questions, at ``Rules.of_full``; None before the last
            question, and where there are too few.
    """

    name: tuple[str, ...]
    units: Units | Tasks
    looks: tuple[int, ...]
    exhausted: bool = False
    full: Tested | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at an effect gave.

    Attributes:
        questions: Number of questions so far.
        estimate: Mean effect.
        low: Lower end of the sequence.
        high: Upper end.
        e_value: The e-value of no effect.
        p: p of no effect, valid at any look.
        p_below: p of an effect of minus the margin or less, valid at any look.
        p_above: p of an effect of the margin or more, valid at any look.
    """

    questions: int
    estimate: float
    low: float
    high: float
    e_value: float
    p: float
    p_below: float
    p_above: float

    @property
    def p_equivalence(self) -> float:
        """The p of an effect outside of plus or minus the margin, valid at any look."""
        return max(self.p_below, self.p_above)


@dataclass(frozen=True, slots=True)
class State:
    """What is known of an effect after the last look.

    Attributes:
        name: Name of the effect.
        looks: Its trajectory; the last one has its figures as of now.
        p_adjusted: p of no effect, adjusted within the family.
        p_equivalence_adjusted: The same for equivalence.
        shown_at: Number of its questions at the first look that showed it; None if none did.
        equivalent_at: The same for equivalence.
        exhausted: Whether all its questions were asked.
    """

    name: tuple[str, ...]
    looks: tuple[Look, ...]
    p_adjusted: float
    p_equivalence_adjusted: float
    shown_at: int | None
    equivalent_at: int | None
    exhausted: bool

    @property
    def now(self) -> Look:
        """The last look."""
        return self.looks[-1]

    @property
    def verdict(self) -> Verdict:
        """What was decided first; *shown* if both were at one look."""
        known = [n for n in (self.shown_at, self.equivalent_at) if n is not None]
        if known:
            return "shown" if self.shown_at == min(known) else "equivalent"
        return "exhausted" if self.exhausted else "open"

    @property
    def decided_at(self) -> int | None:
        """The number of questions at which the effect was decided; None while it is open."""
        known = [n for n in (self.shown_at, self.equivalent_at) if n is not None]
        if known:
            return min(known)
        return self.now.questions if self.exhausted else None


def decide(family: Sequence[Effect], rules: Rules, before: Sequence[State] = ()) -> list[State]:
    """Return the state of each effect of a family, in its order.

    Every effect of the family must be there from the first look on, with or without units: their
    number decides how small a p must be. The result depends on the values, their order and the
    looks alone, so that a run that was resumed decides as one that was not. ``before``, the states
    after fewer looks at the same family, saves the time to take those looks again.

    Raises:
        UsageError: The effects have no looks, or not the same number of them.
    """
    if not family:
        return []
    if len({len(effect.looks) for effect in family}) > 1 or not family[0].looks:
        raise UsageError("the effects of a family must be looked at equally often, at least once")
    known = [state.looks for state in before] or [()] * len(family)
    paths = [trajectory(*both, rules) for both in zip(family, known, strict=True)]
    adjusted, outside = (
        _stepped([[getattr(look, name) for look in path] for path in paths])
        for name in ("p", "p_equivalence")
    )
    return [
        State(
            effect.name,
            path,
            float(adjusted[place, -1]),
            float(outside[place, -1]),
            _first(path, adjusted[place], rules),
            _first(path, outside[place], rules),
            effect.exhausted,
        )
        for place, (effect, path) in enumerate(zip(family, paths, strict=True))
    ]


def _stepped(p: list[list[float]]) -> Values:
    """Return the p of effects at each look (E, L) after Holm's adjustment at that look."""
    table = np.array(p)
    return np.column_stack([holm(table[:, look]) for look in range(table.shape[1])])


def _first(path: Sequence[Look], adjusted: Values, rules: Rules) -> int | None:
    for look, p in zip(path, adjusted, strict=True):
        if look.questions >= rules.least and p < rules.alpha:
            return look.questions
    return None


def trajectory(effect: Effect, known: Sequence[Look], rules: Rules) -> tuple[Look, ...]:
    """Return what each look at one effect gave, without an adjustment for its family.

    ``known`` are its first looks, if they were taken before.
    """
    units, looks = effect.units, effect.looks[len(known) :]
    if not looks:
        return tuple(known)
    bets = bets_of(units, effect.looks, len(known))
    e = log_e_values(bets.log_capitals(0.0))
    # Either bet on equivalence refutes one side, at whichever look it has enough.
    refuted = e, bets.log_capitals(-rules.margin)[0], bets.log_capitals(rules.margin)[1]
    p = np.column_stack([p_of(np.exp(np.minimum(log_e, 700.0))) for log_e in refuted])
    p = np.minimum(p / rules.share, 1.0)
    interval = None
    if known:
        last = known[-1]
        p, interval = np.minimum(p, (last.p, last.p_below, last.p_above)), (last.low, last.high)
    p = np.minimum.accumulate(p)
    low, high = bets.sequence(rules.of_sequence, interval)
    if (full := effect.full) is not None and effect.exhausted and rules.share < 1:
        end = slice(looks.index(looks[-1]), None)  # the look at its last question, and all after
        of_full = np.array([full.p, full.p_equivalence, full.p_equivalence]) / (1 - rules.share)
        p[end] = np.minimum(p[end], of_full)
        low[end], high[end] = _both((low[-1], high[-1]), (full.low, full.high))
    asked, estimates = bets.questions, bets.estimates
    return *known, *(
        Look(
            questions=int(asked[place]),
            estimate=float(estimates[place]),
            low=float(low[place]),
            high=float(high[place]),
            e_value=math.exp(min(float(e[place]), 700.0)),
            p=float(p[place, 0]),
            p_below=float(p[place, 1]),
            p_above=float(p[place, 2]),
        )
        for place in range(len(looks))
    )


def _both(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Return what two intervals share; the second one where they share nothing."""
    low, high = max(one[0], other[0]), min(one[1], other[1])
    return (low, high) if low <= high else other
