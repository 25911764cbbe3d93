"""What a number of questions can see: the power of McNemar's exact test, before a run.

Two arms on the same n questions differ on some of them, the *discordant* share; of these more
turn one way than the other by the *difference* of the accuracies. The number of discordant
questions is binomial, and given it the test is the exact binomial one (Duffy 1984; Connor 1987).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ragbench.base.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from ragbench.analysis.load import Run

MOST = 10_000_000
STEADY = 30  # the power of an exact test is a saw: how many further n must keep it


def exact_power(n: int, difference: float, discordant: float, *, alpha: float = 0.05) -> float:
    """Return the chance that McNemar's exact test finds a difference.

    Args:
        n: Questions, each answered in both arms.
        difference: Of the two accuracies, from 0 to 1.
        discordant: The share of questions right in one arm alone, at least the difference.
        alpha: The two-sided level.

    Returns:
        From 0 to 1.

    Raises:
        UsageError: The difference is larger than the discordant share, or either is no share.
    """
    from scipy.stats import binom

    _check(difference, discordant)
    if not discordant:
        return 0.0
    better = (discordant + difference) / (2 * discordant)
    low, high = (binom.ppf(end, n, discordant) for end in (1e-12, 1 - 1e-12))
    m = np.arange(max(0, int(low)), int(high) + 1)
    # The largest count c with 2 P(B <= c) <= alpha, B binomial with one half; -1 if none.
    c = binom.ppf(alpha / 2, m, 0.5)
    c = np.where(2 * binom.cdf(c, m, 0.5) <= alpha, c, c - 1)
    found = binom.cdf(c, m, better) + binom.sf(m - c - 1, m, better)
    return float(binom.pmf(m, n, discordant) @ np.where(c >= 0, found, 0.0))


def questions_needed(
    difference: float, discordant: float, *, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Return the number of questions from which on a difference is found often enough.

    Args:
        difference: Of the two accuracies, above 0.
        discordant: The share of questions right in one arm alone.
        alpha: The two-sided level.
        power: The chance to find it.

    Returns:
        The smallest n that has this power, and keeps it for the next 30.

    Raises:
        UsageError: As of ``exact_power``, or no number under ten million is enough.
    """
    _check(difference, discordant)
    if difference <= 0:
        raise UsageError("a difference of zero is never found", fix="give one above 0")

    def enough(n: int) -> bool:
        return exact_power(n, difference, discordant, alpha=alpha) >= power

    high = 8
    while not enough(high):
        high *= 2
        if high > MOST:
            raise UsageError("no number of questions under ten million is enough")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    while not all(enough(high + step) for step in range(STEADY)):
        high += 1
    return high


def smallest_difference(
    n: int, discordant: float, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Return the smallest difference that n questions find often enough.

    Args:
        n: Questions.
        discordant: The share of questions right in one arm alone.
        alpha: The two-sided level.
        power: The chance to find it.

    Returns:
        The difference to four decimals; NaN where even one as large as the share is not found.
    """
    _check(0.0, discordant)
    if exact_power(n, discordant, discordant, alpha=alpha) < power:
        return math.nan
    low, high = 0.0, discordant
    while high - low > 5e-6:
        middle = (low + high) / 2
        found = exact_power(n, middle, discordant, alpha=alpha) >= power
        low, high = (low, middle) if found else (middle, high)
    return round(high, 4)


def _check(difference: float, discordant: float) -> None:
    if not 0 < discordant <= 1 or not 0 <= difference <= 1:
        raise UsageError(
            "the difference and the discordant share lie between 0 and 1",
            fix="write 5 points as 0.05",
        )
    if difference > discordant:
        raise UsageError(
            f"the accuracies cannot differ by {difference:g} if only {discordant:g} of the "
            "questions change",
            fix="give a discordant share that is at least the difference",
        )


def of_run(run: Run, difference: float, *, alpha: float = 0.05, power: float = 0.8) -> pd.DataFrame:
    """Return what each effect of a run could see, and what a difference would take.

    By the normal approximation from the standard error that was seen, so that it holds for
    interactions, averages and metrics that are no rates as well: ``questions`` is n times the
    square of (z(1 - alpha/2) + z(power)) standard errors by the difference. Where questions come
    in clusters, or effects are over tasks, it means as many more of the same kind.

    Args:
        run: A scored run.
        difference: Of the means, above 0.
        alpha: The two-sided level.
        power: The chance to find it.

    Returns:
        ``effect, model, task, arm, n, se, sees, difference, questions``, for complete effects
        that are not of a stratum; ``sees`` is the difference that this n finds.
    """
    import pandas as pd
    from scipy.stats import norm

    from ragbench.analysis.effects import effects

    z = float(norm.ppf(1 - alpha / 2) + norm.ppf(power))
    table = effects(run)
    table = table[(table.status == "complete") & (table.stratum == "") & table.se.notna()]
    sees = z * table.se
    needed = np.ceil(table.n.astype(float) * (sees / difference) ** 2)
    columns = ["effect", "model", "task", "arm", "n", "se"]
    return pd.DataFrame(
        table[columns].assign(sees=sees, difference=difference, questions=needed.astype("Int64"))
    ).reset_index(drop=True)
