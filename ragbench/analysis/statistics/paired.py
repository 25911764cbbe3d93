"""Paired comparison on the same questions: counts, tests and the smallest detectable difference."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ragbench.analysis.statistics.intervals import Clusters, by_cluster, variance_of_mean

SIGNS_AT_ONCE = 4_000_000


def mcnemar_exact(helped: int, hurt: int) -> float:
    """Return the exact two-sided p that helped and hurt are equally likely.

    Twice the smaller binomial tail at one half, at most 1; with no discordant pair, 1.
    Source: McNemar 1947, in its exact conditional form.

    >>> mcnemar_exact(8, 1)
    0.0390625
    """
    from scipy.stats import binomtest

    if helped + hurt == 0:
        return 1.0
    return float(binomtest(helped, helped + hurt, 0.5).pvalue)


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
        draw: Seeded generator.
        clusters: Clusters (N_g,) of each group, or None.
        draws: Number of sets of signs.

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
        sizes, counts = sizes[sizes > 0] / values.size, counts[sizes > 0]
        for size, count in zip(sizes[counts > 1], counts[counts > 1], strict=True):
            flipped += size * (2.0 * draw.binomial(count, 0.5, size=draws) - count)
        flipped += _signed_sums(sizes[counts == 1], draw, draws)
    reached = int((np.abs(flipped) >= observed - 1e-12).sum())
    return (1 + reached) / (1 + draws)


def _signed_sums(
    sizes: npt.NDArray[np.float64], draw: np.random.Generator, draws: int
) -> npt.NDArray[np.float64]:
    """Return (draws,) sums of the sizes under random signs, a block of draws at a time."""
    sums = np.zeros(draws)
    if not sizes.size:
        return sums
    block = max(1, SIGNS_AT_ONCE // sizes.size)
    for start in range(0, draws, block):
        rows = min(block, draws - start)
        plus = draw.integers(0, 2, size=(rows, sizes.size), dtype=np.int8)
        sums[start : start + rows] = plus @ (2 * sizes)
    return np.asarray(sums - sizes.sum())


def smallest_detectable(
    groups: Sequence[npt.NDArray[np.float64]],
    *,
    clusters: Sequence[Clusters | None] | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """Return the smallest true difference that this many questions detect.

    ``(z(1 - alpha/2) + z(power))`` standard errors of the mean of the groups' means, with the
    observed spread; at least the share of the fewest questions that must change one way for an
    exact test to reach alpha (six at 0.05). ``groups`` are arrays (N_g,) of paired differences; the
    result has their unit, and is NaN where a group has fewer than two.

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


def equivalence(
    groups: Sequence[npt.NDArray[np.float64]],
    *,
    clusters: Sequence[Clusters | None] | None = None,
    margin: float,
    reach: float = 1.0,
) -> float:
    """Return the p of a true difference outside of plus or minus a margin.

    Two one-sided t-tests (Schuirmann 1987) of the mean of the groups' means; p is the larger. Two
    questions are added to each group, one that changed for the better and one for the worse, or
    clusters of such (for differences of 0 and 1 this is Bonett and Price 2012): without them, ten
    unchanged questions would count as proof. ``reach`` is the largest change of one question. p is
    NaN where a group has fewer than two questions or clusters.
    """
    from scipy.stats import t

    units = clusters if clusters is not None else [None] * len(groups)
    means, variances, counts = [], [], []
    for values, unit in zip(groups, units, strict=True):
        found = np.append(values, [reach, -reach])
        codes = None
        if unit is not None:
            sums, sizes = by_cluster(values, unit)
            if sums.size < 2:
                return math.nan
            size = round(float(sizes.mean()))
            found = np.concatenate([values, np.repeat([reach, -reach], size)])
            codes = np.concatenate([unit, np.repeat([unit.max() + 1, unit.max() + 2], size)])
        elif values.size < 2:
            return math.nan
        means.append(float(found.mean()))
        variances.append(variance_of_mean(found, codes))
        counts.append(found.size if codes is None else int(np.unique(codes).size))
    error = math.sqrt(sum(variances)) / len(groups)
    mean, freedom = float(np.mean(means)), min(counts) - 1
    return float(t.sf((margin - abs(mean)) / error, freedom))
