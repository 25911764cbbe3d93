"""How many questions it takes to decide an effect, before a run: two cells, by simulation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ragbench.analysis.statistics.inference import Values
from ragbench.analysis.statistics.paired import Tango, mcnemar_mid_p
from ragbench.analysis.statistics.sequential.betting import log_capitals, log_e_values
from ragbench.analysis.statistics.sequential.decide import Rules
from ragbench.base.errors import UsageError

AT_ONCE = 100_000  # looks whose bets are computed together
CHANGES = np.array([1.0, -1.0, 0.0])


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What imagined runs needed.

    Attributes:
        mean: Mean number of questions until the effect was decided, or all were asked.
        median: Median of it.
        most: The number that nine of ten runs did not exceed.
        shown: Share of runs that showed the effect, those with all questions included.
        equivalent: Share of runs that showed equivalence.
        stopped: Share of runs that were decided before the last question.
    """

    mean: float
    median: float
    most: float
    shown: float
    equivalent: float
    stopped: float


def questions_until_decided(
    difference: float,
    discordant: float,
    questions: int,
    rules: Rules,
    *,
    every: int = 10,
    repeats: int = 1000,
    seed: int = 0,
) -> Foreseen:
    """Return how many questions a comparison of two cells asks if it stops when it is decided.

    Args:
        difference: True difference of the accuracies.
        discordant: Share of questions that only one of the cells answers right.
        questions: Number of questions of the set.
        rules: When it is decided.
        every: Number of questions from look to look.
        repeats: Number of imagined runs.
        seed: Seed for every random draw.

    Raises:
        UsageError: The difference is larger than the discordant share.
    """
    if not abs(difference) <= discordant <= 1:
        raise UsageError(
            f"a difference of {difference:g} is impossible with {discordant:g} of the questions "
            "discordant",
            fix="the discordant share is at least the difference",
        )
    draw = np.random.default_rng(seed)
    up, down = (discordant + difference) / 2, (discordant - difference) / 2
    first = min(questions, math.ceil(rules.least / every) * every)
    looks = np.unique([*range(first, questions, every), questions])
    steps = np.diff(looks, prepend=0)
    chances = [up, down, max(0.0, 1 - up - down)]
    asked, shown, equivalent = np.empty(repeats), np.empty(repeats, bool), np.empty(repeats, bool)
    together = max(1, AT_ONCE // looks.size)
    for start in range(0, repeats, together):
        part = slice(start, min(repeats, start + together))
        drawn = draw.multinomial(steps, chances, size=(part.stop - start, looks.size))
        counts = drawn.cumsum(axis=1).astype(np.float64)
        found = decisions(counts, looks, rules)
        asked[part], shown[part], equivalent[part] = found
    return Foreseen(
        float(asked.mean()),
        float(np.median(asked)),
        float(np.quantile(asked, 0.9, method="inverted_cdf")),
        float(shown.mean()),
        float(equivalent.mean()),
        float((asked < questions).mean()),
    )


def decisions(
    counts: Values, looks: npt.NDArray[np.int64], rules: Rules
) -> tuple[Values, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return the questions asked, and whether the effect was shown or equivalent, by run.

    Args:
        counts: (R, L, 3) questions helped, hurt and neither, at each look.
        looks: (L,) number of questions at each look; at the last one all were asked.
        rules: When an effect, the only one of its family, is decided.
    """
    runs, n_looks, _ = counts.shape
    flat = counts.reshape(-1, 3)

    def bets(mean: float) -> tuple[Values, Values]:
        larger, smaller = log_capitals(CHANGES, np.ones(3), flat, mean, (-1.0, 1.0))
        return larger.reshape(runs, n_looks), smaller.reshape(runs, n_looks)

    enough = -math.log(rules.of_sequence)
    far = log_e_values(bets(0.0)) > enough
    above, below = bets(-rules.margin)[0] > enough, bets(rules.margin)[1] > enough
    near = np.logical_or.accumulate(above, axis=1) & np.logical_or.accumulate(below, axis=1)
    decided = far | near
    stopped = decided.any(axis=1)
    at = np.where(stopped, decided.argmax(axis=1), n_looks - 1)
    run = np.arange(runs)
    shown, equivalent = far[run, at], near[run, at]
    if rules.share < 1:
        known: dict[tuple[int, int], tuple[bool, bool]] = {}
        for place in np.flatnonzero(~stopped | (at == n_looks - 1)):
            helped, hurt = (int(count) for count in counts[place, -1, :2])
            if (helped, hurt) not in known:
                known[helped, hurt] = fixed(helped, hurt, int(looks[-1]), rules)
            shown[place] |= known[helped, hurt][0]
            equivalent[place] |= known[helped, hurt][1]
    return looks[at].astype(np.float64), shown, equivalent & ~shown


def fixed(helped: int, hurt: int, n: int, rules: Rules) -> tuple[bool, bool]:
    """Return whether the test of all n questions shows an effect, and equivalence."""
    level = rules.of_full
    outside = Tango(helped, hurt, n).within(rules.margin)
    return mcnemar_mid_p(helped, hurt) < level, outside < level
