"""A paired effect with its interval, its tests and the smallest detectable difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ragbench.analysis.statistics.intervals import (
    Clusters,
    bootstrap_mean_of_means,
    seeded,
    variance_of_mean,
)
from ragbench.analysis.statistics.paired import (
    equivalence,
    mcnemar_exact,
    sign_flip,
    smallest_detectable,
)
from ragbench.runfolder.config import RunConfig

NO_FIGURES: dict[str, Any] = dict.fromkeys(
    ("estimate", "se", "ci_low", "ci_high", "p", "smallest_detectable", "p_equivalence"), math.nan
)
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cells:
    """The signed values of a contrast.

    Attributes:
        values: (N, terms); the effect on a question is the sum of its terms.
        clusters: (N,), or None for a task without clusters.
    """

    values: Values
    clusters: Clusters | None


@dataclass(frozen=True, slots=True)
class Settings:
    """How effects are estimated.

    Attributes:
        seed: Seed of the run.
        alpha: Level of every test; intervals cover 1 - alpha.
        resamples: Number of resamples of bootstraps and permutations.
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
    a task has no question. The interval is the percentile bootstrap over questions or clusters (by
    t on fewer than 30 clusters). p is McNemar's exact where two cells of 0 and 1 are compared on
    unclustered questions of one task, else that of a sign-flip permutation. ``names`` identify the
    effect; with the seed they give the random numbers.
    """
    values, clusters = [part.values for part in cells], [part.clusters for part in cells]
    if not all(len(part) for part in values):
        return dict(NO_FIGURES)
    alpha, resamples = settings.alpha, settings.resamples
    reach = values[0].shape[1] / 2
    differences = [part.sum(axis=1) for part in values]
    low, high = bootstrap_mean_of_means(
        differences,
        seeded(settings.seed, *names),
        clusters=clusters,
        resamples=resamples,
        alpha=alpha,
        reach=reach,
    )
    pooled = np.concatenate(differences)
    helped, hurt = int((pooled > 0).sum()), int((pooled < 0).sum())
    exact = len(values) == 1 and values[0].shape[1] == 2 and clusters[0] is None
    exact = exact and set(np.unique(np.abs(values[0]))) <= {0.0, 1.0}
    if exact:
        p = mcnemar_exact(helped, hurt)
    else:
        draw = seeded(settings.seed, "sign-flip", *names)
        p = sign_flip(differences, draw, clusters=clusters, draws=resamples)
    parts = zip(differences, clusters, strict=True)
    variance = sum(variance_of_mean(part, unit) for part, unit in parts) / len(values) ** 2
    return {
        "estimate": float(np.mean([part.mean() for part in differences])),
        "se": math.sqrt(variance),
        "ci_low": low,
        "ci_high": high,
        "p": p,
        "helped": helped,
        "hurt": hurt,
        "smallest_detectable": smallest_detectable(differences, clusters=clusters, alpha=alpha),
        "p_equivalence": equivalence(
            differences, clusters=clusters, margin=settings.margin, reach=reach
        ),
    }
