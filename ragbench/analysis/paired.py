"""Paired comparison of two arms on the same questions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


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
