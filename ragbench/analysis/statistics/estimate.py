"""A paired effect with its interval, its tests, and what its test can find."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ragbench.analysis.statistics.averages import Average
from ragbench.analysis.statistics.clustered import (
    FEWEST_CLUSTERS,
    MANY_CLUSTERS,
    by_cluster,
    by_clusters,
    effective,
    sign_flip,
    variance_of_mean,
)
from ragbench.analysis.statistics.foretold import Counts, Scatter
from ragbench.analysis.statistics.inference import TINY, Clusters, Inference, Values, unusual
from ragbench.analysis.statistics.intervals import seeded
from ragbench.analysis.statistics.paired import Tango, mcnemar_exact, mcnemar_mid_p
from ragbench.analysis.statistics.power import Spread
from ragbench.analysis.statistics.studentised import studentised, with_two_more
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
    ``smallest_detectable``, which depends on the level (``spread``), is left to the caller.
    ``names`` identify the effect; with the seed they give the random signs.
    """
    if not all(len(part.values) for part in cells):
        return dict(NO_FIGURES)
    differences = [part.differences for part in cells]
    clusters = [part.clusters for part in cells]
    helped, hurt = (sum(count) for count in zip(*(part.counts for part in cells), strict=True))
    variances = [variance_of_mean(d, c) for d, c in zip(differences, clusters, strict=True)]
    found = NO_FIGURES | {
        "estimate": float(np.mean([part.mean() for part in differences])),
        "se": math.sqrt(sum(variances)) / len(cells),
        "helped": helped,
        "hurt": hurt,
    }
    result = interval_and_p(cells, settings, names)
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


def interval_and_p(
    cells: Sequence[Cells], settings: Settings, names: Sequence[str]
) -> Tested | None:
    """Return interval and tests of an effect; None with fewer than two questions, eight clusters.

    Where the mid-p of two cells and Tango's interval differ, the weaker of the two holds.
    """
    method = inference(cells, settings, names)
    if method is None:
        return None
    alpha, margin = settings.alpha, settings.margin
    low, high = method.limits(alpha)
    p = of_interval = method.tails(0.0).both
    outside = max(method.tails(-margin).at_most, method.tails(margin).at_least)
    if isinstance(method, Tango):
        p, outside = mcnemar_mid_p(*cells[0].counts), method.within(margin)
    # The weaker holds; rounding, too, can part an interval from its own p.
    if low > 0 or high < 0:
        low, high = (min(low, 0.0), max(high, 0.0)) if p >= alpha else (low, high)
    elif p < alpha:
        p = max(alpha, of_interval)
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
    return by_clusters(part.differences, part.clusters, bounds=bounds, draw=draw, draws=draws)


def spread(cells: Sequence[Cells]) -> Spread:
    """Return how much an effect changes from question to question; every task has a question.

    Right and wrong answers are taken to change as often as they did, half of them for the better;
    the scores of other metrics to vary as they did about their mean.
    """
    n = sum(len(part.values) for part in cells)
    reach = sum(part.reach for part in cells) / len(cells)
    if len(cells) == 1 and cells[0].are_answers:
        return Spread(n, reach, discordant=sum(cells[0].counts) / n)
    parts = [_spread_of_task(part) for part in cells]
    if any(math.isnan(part.variance) for part in parts):
        return Spread(n, reach)
    if len(parts) == 1:
        return parts[0]
    variance = sum(part.variance for part in parts)
    if not variance:
        return Spread(n, reach)
    tasks = len(parts) ** 2
    return Spread(
        n,
        reach,
        variance=variance / tasks,
        shrinks=sum(part.shrinks for part in parts) / tasks,
        inflated=sum(p.variance * p.inflated for p in parts if p.variance) / variance,
        # Welch and Satterthwaite's degrees of freedom of the sum of the tasks' variances.
        freedom=variance**2 / sum(p.variance**2 / p.freedom for p in parts if p.variance),
    )


def _spread_of_task(part: Cells) -> Spread:
    n, differences = len(part.values), part.differences
    counted = bool(np.all(np.abs(differences - differences.round()) < TINY))
    codes = np.arange(n, dtype=np.int64) if part.clusters is None else part.clusters
    sums, sizes = by_cluster(differences, codes)
    if not counted:
        sums = (sums - differences.mean() * sizes) / np.sqrt(1 - sizes / n) if n > 1 else sums * 0
    total = float((sums**2).sum())
    odd = np.unique(codes[unusual(differences)]).size or sums.size  # all changed alike
    if sums.size < (2 if part.clusters is None else FEWEST_CLUSTERS):
        return Spread(n, part.reach)
    if total < TINY:
        return Spread(n, part.reach, variance=0.0)
    units = sums.size
    if part.clusters is not None and effective(sizes) < MANY_CLUSTERS:
        inflated, freedom = 1 + 2 / odd, units - 1.0
        found = Scatter.of(sums, differences, codes, odd)
    else:
        longer = with_two_more(sums)
        inflated = float((longer**2).sum()) / total * units / (units + 1)
        freedom, found = max(3.0, min(odd + 1.0, units + 1.0)), None
    return Spread(
        n,
        part.reach,
        variance=total / n**2,
        shrinks=1 / n if counted else 0.0,
        inflated=inflated,
        freedom=freedom,
        scatter=found,
        counts=Counts.of(sums, units / n) if counted and found is None else None,
    )
