"""Paired comparison on the same questions: counts, tests, and what could have been seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ragbench.analysis.intervals import Clusters, by_cluster, variance_of_mean


@dataclass(frozen=True, slots=True)
class Discordance:
    """How many questions changed.

    Attributes:
        n: Questions answered in both arms.
        helped: Wrong at first, then right.
        hurt: Right at first, then wrong.
        p: McNemar's exact two-sided p.
    """

    n: int
    helped: int
    hurt: int
    p: float


def mcnemar_exact(helped: int, hurt: int) -> float:
    """Return the exact two-sided p that helped and hurt are equally likely.

    Twice the smaller binomial tail at one half, at most 1; with no discordant pair, 1.
    Source: McNemar 1947, in its exact conditional form.

    Args:
        helped: Discordant pairs one way.
        hurt: Discordant pairs the other way.

    Returns:
        The p value.

    >>> mcnemar_exact(8, 1)
    0.0390625
    """
    from scipy.stats import binomtest

    if helped + hurt == 0:
        return 1.0
    return float(binomtest(helped, helped + hurt, 0.5).pvalue)


def discordance(before: npt.NDArray[np.float64], after: npt.NDArray[np.float64]) -> Discordance:
    """Count the discordant pairs of two arms.

    Args:
        before: (N,) of 0 and 1, in the baseline.
        after: (N,) of 0 and 1, the same questions in the same order.

    Returns:
        The counts and McNemar's exact p.
    """
    helped = int(((before == 0) & (after == 1)).sum())
    hurt = int(((before == 1) & (after == 0)).sum())
    return Discordance(int(before.size), helped, hurt, mcnemar_exact(helped, hurt))


def sign_flip(
    groups: Sequence[npt.NDArray[np.float64]],
    draw: np.random.Generator,
    *,
    clusters: Sequence[Clusters | None] | None = None,
    draws: int = 10_000,
) -> float:
    """Return the two-sided p that the differences are symmetric about zero.

    Each question's difference is given a random sign, all of a cluster the same; p is the share
    of draws whose statistic (the mean of the groups' means) is at least as far from zero as the
    observed one, the observed one counted in (Phipson and Smyth 2010).

    Args:
        groups: Arrays (N_g,) of paired differences.
        draw: The seeded generator.
        clusters: For each group (N_g,) the clusters, or None.
        draws: How many sets of signs.

    Returns:
        The p value; 1 where no question differs.
    """
    observed = abs(sum(float(group.mean()) for group in groups))
    flipped = np.zeros(draws)
    units = clusters if clusters is not None else [None] * len(groups)
    for values, unit in zip(groups, units, strict=True):
        group = values if unit is None else by_cluster(values, unit)[0]
        # Flipping n differences of one size gives that size times (2 Binomial(n, 1/2) - n).
        sizes, counts = np.unique(np.abs(group), return_counts=True)
        for size, count in zip(sizes, counts, strict=True):
            if size:
                plus = draw.binomial(count, 0.5, size=draws)
                flipped += size * (2.0 * plus - count) / values.size
    reached = int((np.abs(flipped) >= observed - 1e-12).sum())
    return (1 + reached) / (1 + draws)


def smallest_detectable(
    groups: Sequence[npt.NDArray[np.float64]],
    *,
    clusters: Sequence[Clusters | None] | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """Return the smallest true difference that this many questions would have found.

    ``(z(1 - alpha/2) + z(power))`` standard errors of the mean of the groups' means, the spread
    taken from the differences seen; no less than what the fewest questions make that must change
    one way for an exact test to reach alpha (six at 0.05).

    Args:
        groups: Arrays (N_g,) of paired differences.
        clusters: For each group (N_g,) the clusters, or None.
        alpha: The two-sided level.
        power: The chance to find it.

    Returns:
        The difference, in the units of the values; NaN where a group has fewer than two.

    >>> round(smallest_detectable([np.array([1.0] * 30 + [-1.0] * 10 + [0.0] * 60)]), 4)
    0.1689
    """
    from scipy.stats import norm

    units = clusters if clusters is not None else [None] * len(groups)
    parts = [variance_of_mean(group, unit) for group, unit in zip(groups, units, strict=True)]
    variance = sum(parts) / len(groups) ** 2
    if math.isnan(variance):
        return math.nan
    found = float(norm.ppf(1 - alpha / 2) + norm.ppf(power)) * math.sqrt(variance)
    fewest = math.ceil(math.log2(2 / alpha))
    sizes = [g.size if u is None else np.unique(u).size for g, u in zip(groups, units, strict=True)]
    return max(found, fewest / (len(groups) * max(sizes)))
