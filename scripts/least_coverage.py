"""Print the least that an interval for two cells could cover where few questions change.

An interval of a difference is a set of tables (helped, hurt) that hold each true difference. At the
difference of a design, an integer programme finds the set with the least coverage there, among
all that

- cover at least so much at every discordant share, with the same difference;
- move up with each question helped and down with each question hurt;
- hold everything between zero and the estimate where McNemar's mid-p finds nothing.

No interval with these properties covers less. docs/statistics.md quotes the figures.

    python scripts/least_coverage.py [--floor 0.93]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from statistics_designs import CHANGES, SIZES, cells_of

from ragbench.analysis.statistics.estimate import Settings, interval_and_p
from ragbench.analysis.statistics.paired import mcnemar_mid_p

FEW = 3  # expected changes, over which intervals cover what they promise
SHARES = 80  # of questions hurt, at which coverage is kept
SETTINGS = Settings(seed=1, alpha=0.05, resamples=1, margin=0.03)
Values = npt.NDArray[np.float64]
Table = tuple[int, int]


def chances(tables: list[Table], n: int, up: float, down: float) -> Values:
    """Return the probability of each table, whose sum is below 1 by that of many changes."""
    from scipy.special import gammaln, xlogy

    helped, hurt = np.array(tables).T
    same = n - helped - hurt
    ways = gammaln(n + 1) - gammaln(helped + 1) - gammaln(hurt + 1) - gammaln(same + 1)
    parts = xlogy(helped, up) + xlogy(hurt, down) + xlogy(same, 1 - up - down)
    return np.asarray(np.exp(ways + parts))


def least_coverage(n: int, up: float, down: float, floor: float) -> float:
    """Return the least coverage of the true difference ``up`` less ``down``."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array

    value, few = up - down, n * (up + down)
    most = min(n, int(few + 6 * math.sqrt(few) + 10))
    tables = [(a, b) for a in range(most + 1) for b in range(most + 1 - a)]
    place, count = {table: i for i, table in enumerate(tables)}, len(tables)
    # Two unknowns per table: its interval is above the value, or below it.
    larger, smaller = [], []  # the first implies the second
    for (a, b), i in place.items():
        for further in ((a + 1, b), (a, b - 1)):
            if further in place:
                j = place[further]
                larger += [i, count + j]
                smaller += [j, count + i]
    rows = np.tile(np.arange(len(larger)), 2)
    signs = np.repeat([1.0, -1.0], len(larger))
    moves = coo_array((signs, (rows, larger + smaller)), shape=(len(larger), 2 * count))
    top = min((1 - value) / 2, (few + 10) / n)
    hurt = np.append(np.linspace(0, 1, SHARES) ** 2 * top, down)
    kept = np.array([chances(tables, n, share + value, share) for share in hurt])
    kept = kept[kept.sum(axis=1) > 0.9995]
    free = np.ones(2 * count)
    for (a, b), i in place.items():
        estimate = (a - b) / n
        between = min(0.0, estimate) - 1e-12 <= value <= max(0.0, estimate) + 1e-12
        silent = mcnemar_mid_p(a, b) >= SETTINGS.alpha and between
        free[i] = not silent and estimate > value
        free[count + i] = not silent and estimate < value
    gain = chances(tables, n, up, down)
    found = milp(
        -np.tile(gain, 2),
        constraints=[
            LinearConstraint(moves.tocsr(), -np.inf, 0),
            LinearConstraint(np.hstack([kept, kept]), -np.inf, kept.sum(axis=1) - floor),
        ],
        integrality=np.ones(2 * count),
        bounds=Bounds(0, free),
    )
    return float(gain.sum() + found.mip_dual_bound)


def covered(n: int, up: float, down: float) -> float:
    """Return the coverage of ragbench's interval, by enumeration."""
    few, total = n * (up + down), 0.0
    most = min(n, int(few + 8 * math.sqrt(few) + 12))
    tables = [(a, b) for a in range(most + 1) for b in range(most + 1 - a)]
    for (a, b), chance in zip(tables, chances(tables, n, up, down), strict=True):
        found = interval_and_p([cells_of(n, a, b)], SETTINGS, ["x"])
        if found is not None and found.low - 1e-9 <= up - down <= found.high + 1e-9:
            total += float(chance)
    return total


def lines(floor: float) -> Iterator[str]:
    """Yield a table of the designs in which few questions change."""
    yield f"| two cells | none changes | covered | least at {floor:g} | least at 0.95 |"
    yield "| --- | --- | --- | --- | --- |"
    for n in SIZES:
        for up, down in CHANGES:
            if n * (up + down) <= FEW:
                least = [least_coverage(n, up, down, at) for at in (floor, 0.95)]
                figures = [(1 - up - down) ** n, covered(n, up, down), *least]
                name = f"n {n}, {100 * up:g} % helped, {100 * down:g} % hurt"
                yield f"| {name} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |"


def main(write: Callable[[str], None] = print) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--floor", type=float, default=0.93)
    for line in lines(parser.parse_args().floor):
        write(line)


if __name__ == "__main__":
    main()
