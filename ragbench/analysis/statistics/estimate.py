"""A paired effect with its interval, its tests, and what its test can find."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ragbench.analysis.statistics.averages import Average
from ragbench.analysis.statistics.clustered import by_cluster, flips, sign_flip, variance_of_mean
from ragbench.analysis.statistics.inference import Clusters, Inference, Values
from ragbench.analysis.statistics.intervals import seeded
from ragbench.analysis.statistics.paired import Tango, mcnemar_exact, mcnemar_mid_p
from ragbench.analysis.statistics.power import Spread
from ragbench.analysis.statistics.studentised import studentised
from ragbench.runfolder.config import RunConfig

NO_FIGURES: dict[str, Any] = dict.fromkeys(
    ("estimate", "se", "ci_low", "ci_high", "p", "p_exact", "smallest_detectable", "p_equivalence"),
    math.nan,
) | {"p_is_bound": False}


@dataclass(frozen=True, slots=True)
class Cells:
    """The signed values of a contrast.

    Attributes:
        values: (N, terms); the effect on a question is the sum of its terms.
        clusters: (N,), or None for a task without clusters.
    """

    values: Values
    clusters: Clusters | None

    @property
    def differences(self) -> Values:
        """The effect on each question, (N,)."""
        return np.asarray(self.values.sum(axis=1))

    @property
    def reach(self) -> float:
        """The largest possible mean effect, for metrics from 0 to 1; else infinite."""
        within = np.abs(self.values).max(initial=0.0) <= 1 + 1e-9
        return self.values.shape[1] / 2 if within else math.inf

    @property
    def are_answers(self) -> bool:
        """Whether two cells of right and wrong answers are compared, question by question."""
        two = self.values.shape[1] == 2 and self.clusters is None
        return two and set(np.unique(np.abs(self.values))) <= {0.0, 1.0}

    @property
    def counts(self) -> tuple[int, int]:
        """The numbers of questions helped and hurt."""
        differences = self.differences
        return int((differences > 0).sum()), int((differences < 0).sum())


@dataclass(frozen=True, slots=True)
class Settings:
    """How effects are estimated.

    Attributes:
        seed: Seed of the run.
        alpha: Level of every test; intervals cover 1 - alpha.
        resamples: Number of random signs of permutation tests.
        margin: Largest difference that does not matter.
    """

    seed: int
    alpha: float
    resamples: int
    margin: float

    @classmethod
    def of(cls, config: RunConfig) -> Settings:
        """Return the settings of a run's resolved config."""
        said = config.analysis
        return cls(config.seed, said.alpha, said.resamples, said.equivalence_margin)


def estimate(cells: Sequence[Cells], settings: Settings, names: Sequence[str]) -> dict[str, Any]:
    """Return an effect as a row: NO_FIGURES with ``helped`` and ``hurt``.

    ``cells`` has one member per task, and every task has the same weight; all values are NaN where
    a task has no question. Interval and p are of one method (``docs/statistics.md``), so that one
    never contradicts the other; they are NaN with fewer than two questions or eight clusters.
    ``smallest_detectable`` is at the unadjusted level. ``names`` identify the effect; with the seed
    they give the random signs.
    """
    if not all(len(part.values) for part in cells):
        return dict(NO_FIGURES)
    alpha, differences = settings.alpha, [part.differences for part in cells]
    clusters = [part.clusters for part in cells]
    helped, hurt = (sum(count) for count in zip(*(part.counts for part in cells), strict=True))
    variances = [variance_of_mean(d, c) for d, c in zip(differences, clusters, strict=True)]
    found = NO_FIGURES | {
        "estimate": float(np.mean([part.mean() for part in differences])),
        "se": math.sqrt(sum(variances)) / len(cells),
        "helped": helped,
        "hurt": hurt,
        "smallest_detectable": spread(cells).smallest(alpha),
    }
    result = tested(cells, settings, names)
    if result is None:
        return found
    if len(cells) == 1 and cells[0].are_answers:
        exact = mcnemar_exact(helped, hurt)
    else:
        draw = seeded(settings.seed, "sign-flip", *names)
        exact = sign_flip(differences, draw, clusters=clusters, draws=settings.resamples)
    return found | {
        "ci_low": result.low,
        "ci_high": result.high,
        "p": result.p,
        "p_is_bound": result.is_bound,
        "p_equivalence": result.p_equivalence,
        "p_exact": exact,
    }


@dataclass(frozen=True, slots=True)
class Tested:
    """An interval with the p that belongs to it.

    Attributes:
        low: Lower end.
        high: Upper end.
        p: Two-sided p of no effect.
        is_bound: Whether p is no more than that, because random signs cannot show less.
        p_equivalence: p of an effect outside of plus or minus the margin.
    """

    low: float
    high: float
    p: float
    is_bound: bool
    p_equivalence: float


def tested(cells: Sequence[Cells], settings: Settings, names: Sequence[str]) -> Tested | None:
    """Return interval and tests of an effect; None with fewer than two questions, eight clusters.

    Where the mid-p of two cells and Tango's interval differ, the weaker of the two holds.
    """
    method = inference(cells, settings, names)
    if method is None:
        return None
    alpha, margin = settings.alpha, settings.margin
    low, high = method.limits(alpha)
    p = method.tails(0.0).both
    if len(cells) == 1 and cells[0].are_answers:
        p, low, high = _agreed(mcnemar_mid_p(*cells[0].counts), p, low, high, alpha)
    outside = max(method.tails(-margin).at_most, method.tails(margin).at_least)
    return Tested(low, high, p, 0 < p <= method.floor, outside)


def inference(cells: Sequence[Cells], settings: Settings, names: Sequence[str]) -> Inference | None:
    """Return the method of an effect; None with fewer than two questions or eight clusters."""
    parts = []
    for number, part in enumerate(cells):
        draw = seeded(settings.seed, "clusters", str(number), *names)
        found = _of_task(part, draw, settings.resamples)
        if found is None:
            return None
        parts.append(found)
    return parts[0] if len(parts) == 1 else Average(parts)


def _of_task(part: Cells, draw: np.random.Generator, draws: int) -> Inference | None:
    if part.are_answers:
        return Tango(*part.counts, len(part.values))
    bounds = -part.reach, part.reach
    if part.clusters is None:
        return studentised(part.differences, bounds=bounds)
    return flips(part.differences, part.clusters, bounds=bounds, draw=draw, draws=draws)


def _agreed(
    p: float, p_of_interval: float, low: float, high: float, alpha: float
) -> tuple[float, float, float]:
    """Return p and interval, the weaker where one shows a difference and the other does not."""
    outside = low > 0 or high < 0
    if outside and p >= alpha:
        return p, min(low, 0.0), max(high, 0.0)
    return (max(p, p_of_interval) if p < alpha and not outside else p), low, high


def spread(cells: Sequence[Cells]) -> Spread:
    """Return how much an effect changes from question to question; every task has a question."""
    n = sum(len(part.values) for part in cells)
    reach = sum(part.reach for part in cells) / len(cells)
    if len(cells) == 1 and cells[0].are_answers:
        helped, hurt = cells[0].counts
        return Spread(n, (helped + hurt) / n, math.nan, math.nan, math.nan, reach)
    moments, weights, freedoms = [], [], []
    for part in cells:
        size = len(part.values)
        codes = np.arange(size, dtype=np.int64) if part.clusters is None else part.clusters
        sums, sizes = by_cluster(part.differences, codes)
        moments.append(float((sums**2).sum()) / size**2)
        weights.append(float((sizes**2).sum()) / size**2)
        freedoms.append(max(1.0, 1 / weights[-1] - 1))
    moment = sum(moments)
    if not moment or n < 2:
        return Spread(n, None, math.nan, math.nan, math.nan, reach)
    # Welch and Satterthwaite's degrees of freedom of the sum of the tasks' variances.
    each = zip(moments, freedoms, strict=True)
    freedom = moment**2 / sum(m**2 / f for m, f in each)
    tasks = len(cells) ** 2
    return Spread(n, None, moment / tasks, sum(weights) / tasks, freedom, reach)
