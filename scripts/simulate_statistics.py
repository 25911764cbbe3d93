"""Check ragbench's statistics by simulation: false findings, coverage, power.

Two equally good models answer independently with the same probability per question. No test may
find a difference more often than alpha. docs/statistics.md has the tables.

    python scripts/simulate_statistics.py [--repeats 4000]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from ragbench.analysis.statistics.estimate import Cells, Settings, estimate
from ragbench.analysis.statistics.intervals import bootstrap_mean
from ragbench.analysis.statistics.multiplicity import holm
from ragbench.analysis.statistics.paired import equivalence, mcnemar_exact, sign_flip
from ragbench.analysis.statistics.power import exact_power, questions_needed

ALPHA = 0.05
Values = npt.NDArray[np.float64]


def margin(rate: float, repeats: int) -> float:
    """Return two standard errors of a rate from this number of repeats."""
    return 2 * math.sqrt(rate * (1 - rate) / repeats)


def chances(draw: np.random.Generator, n: int, mean: float) -> Values:
    """Return (n,) probabilities of a right answer; questions are not equally hard."""
    return draw.beta(4 * mean, 4 * (1 - mean), size=n)


def answers(draw: np.random.Generator, p: Values) -> Values:
    """Return (n,) right (1) and wrong (0) answers."""
    return (draw.random(p.size) < p).astype(float)


def exact_p(changes: Values) -> float:
    """Return McNemar's exact p of (n,) differences of right and wrong answers."""
    return mcnemar_exact(int((changes > 0).sum()), int((changes < 0).sum()))


def null_mcnemar(repeats: int, n: int, mean: float, seed: int = 1) -> float:
    """Return the rate of false findings of McNemar's test for two equal models."""
    draw, found = np.random.default_rng(seed), 0
    for _ in range(repeats):
        p = chances(draw, n, mean)
        before, after = answers(draw, p), answers(draw, p)
        found += exact_p(after - before) < ALPHA
    return found / repeats


def null_sign_flip(repeats: int, n: int, seed: int = 2, draws: int = 499) -> float:
    """Return the rate of false findings of the sign-flip test for a continuous metric."""
    draw, found = np.random.default_rng(seed), 0
    for _ in range(repeats):
        level = draw.beta(2, 3, size=n)
        scores = [np.clip(draw.normal(level, 0.15), 0, 1) for _ in range(2)]
        found += sign_flip([scores[0] - scores[1]], draw, draws=draws) < ALPHA
    return found / repeats


def clustered(draw: np.random.Generator, clusters: int, size: int, difference: float) -> Cells:
    """Return the answers of two models to questions in clusters.

    Each model is randomly better in some clusters than in others. On average the models differ by
    ``difference``.
    """
    codes = np.repeat(np.arange(clusters), size).astype(np.int64)
    p = chances(draw, codes.size, 0.5)
    parts = []
    for sign in (1, -1):
        shift = draw.normal(0, 0.2, size=clusters)[codes] + sign * difference / 2
        parts.append(sign * answers(draw, np.clip(p + shift, 0, 1)))
    return Cells(np.column_stack(parts), codes)


def null_clustered(
    repeats: int, clusters: int, size: int, seed: int = 3, draws: int = 499
) -> tuple[float, float]:
    """Return the rates of false findings of the cluster test and of McNemar's test."""
    draw, found, naive = np.random.default_rng(seed), 0, 0
    for _ in range(repeats):
        cells = clustered(draw, clusters, size, 0.0)
        values = cells.values.sum(axis=1)
        found += sign_flip([values], draw, clusters=[cells.clusters], draws=draws) < ALPHA
        naive += exact_p(values) < ALPHA
    return found / repeats, naive / repeats


def coverage(
    repeats: int, n: int, mean: float, difference: float, seed: int = 4, resamples: int = 1000
) -> float:
    """Return the coverage of the bootstrap interval of a paired difference."""
    draw, held = np.random.default_rng(seed), 0
    for _ in range(repeats):
        # Questions are drawn too, so the true value is that of their population.
        p = chances(draw, n, mean)
        better = answers(draw, p + difference * (1 - p))
        low, high = bootstrap_mean(better - answers(draw, p), draw, resamples=resamples)
        held += low <= difference * (1 - mean) <= high
    return held / repeats


def coverage_clustered(
    repeats: int, clusters: int, size: int, seed: int = 5, resamples: int = 1000
) -> float:
    """Return the coverage of cluster intervals (by t under 30) of a zero difference."""
    draw, held = np.random.default_rng(seed), 0
    for _ in range(repeats):
        cells = clustered(draw, clusters, size, 0.0)
        found = bootstrap_mean(
            cells.values.sum(axis=1), draw, clusters=cells.clusters, resamples=resamples
        )
        held += found[0] <= 0 <= found[1]
    return held / repeats


def power(repeats: int, n: int, difference: float, discordant: float, seed: int = 6) -> float:
    """Return the power of McNemar's test for a true difference."""
    draw, found = np.random.default_rng(seed), 0
    up, down = (discordant + difference) / 2, (discordant - difference) / 2
    for _ in range(repeats):
        changed = draw.choice([1.0, -1.0, 0.0], size=n, p=[up, down, 1 - discordant])
        found += exact_p(changed) < ALPHA
    return found / repeats


def false_equivalence(repeats: int, n: int, discordant: float, seed: int = 7) -> float:
    """Return how often a difference equal to the margin is called equivalent."""
    draw, found, edge = np.random.default_rng(seed), 0, 0.05
    up, down = (discordant + edge) / 2, (discordant - edge) / 2
    for _ in range(repeats):
        changed = draw.choice([1.0, -1.0, 0.0], size=n, p=[up, down, 1 - discordant])
        found += equivalence([changed], margin=edge) < ALPHA
    return found / repeats


def false_family(repeats: int, n: int, seed: int = 8, draws: int = 499) -> tuple[float, float]:
    """Return how often any primary effect of a pair without a true effect is found.

    With Holm's adjustment, and without: retrieval gain, fine-tuning gain, one less the other, and
    interaction, of four cells that are equally good.
    """
    draw, adjusted, bare = np.random.default_rng(seed), 0, 0
    settings = Settings(1, ALPHA, draws, 0.03)
    for repeat in range(repeats):
        p = chances(draw, n, 0.5)
        closed, arm, bio, both = (answers(draw, p) for _ in range(4))
        contrasts = [[arm, -closed], [bio, -closed], [arm, -bio], [both, -bio, -arm, closed]]
        found = np.array(
            [
                estimate([Cells(np.column_stack(c), None)], settings, [str(repeat), str(i)])["p"]
                for i, c in enumerate(contrasts)
            ]
        )
        bare += bool((found < ALPHA).any())
        adjusted += bool((holm(found) < ALPHA).any())
    return adjusted / repeats, bare / repeats


def lines(repeats: int) -> Iterator[str]:
    """Yield the tables of docs/statistics.md."""
    few = max(200, repeats // 4)
    yield f"False findings at alpha {ALPHA}; {repeats} repeats, slower rows {few}"
    for n in (50, 140, 500):
        for mean in (0.3, 0.5, 0.9):
            rate = null_mcnemar(repeats, n, mean)
            yield f"McNemar, n {n}, accuracy {mean}: {rate:.4f} (+- {margin(ALPHA, repeats):.4f})"
    for n in (20, 50, 140):
        rate = null_sign_flip(few, n)
        yield f"sign-flip, n {n}: {rate:.4f} (+- {margin(ALPHA, few):.4f})"
    for clusters, size in ((10, 20), (20, 20), (60, 5)):
        rate, naive = null_clustered(few, clusters, size)
        yield f"{clusters} clusters of {size}: sign-flip {rate:.4f}, McNemar {naive:.4f}"
    adjusted, bare = false_family(few, 140)
    yield f"any of the four primary effects, n 140: Holm {adjusted:.4f}, unadjusted {bare:.4f}"
    for n, discordant in ((200, 0.2), (1000, 0.2), (1000, 0.06)):
        rate = false_equivalence(repeats, n, discordant)
        yield f"equivalence at the margin, n {n}, discordant {discordant}: {rate:.4f}"
    yield "Coverage of 95 % intervals"
    for n in (50, 100, 200, 1000):
        for mean in (0.1, 0.5, 0.9):
            for difference in (0.0, 0.2):
                rate = coverage(repeats, n, mean, difference)
                true = difference * (1 - mean)
                yield f"n {n}, accuracy {mean}, difference {true:.2f}: {rate:.4f}"
    for clusters, size in ((5, 20), (10, 20), (20, 20), (30, 10), (60, 5)):
        yield f"{clusters} clusters of {size}: {coverage_clustered(repeats, clusters, size):.4f}"
    yield "Power of McNemar's test: simulated, predicted"
    for difference, discordant in ((0.05, 0.2), (0.1, 0.2), (0.1, 0.4)):
        n = questions_needed(difference, discordant)
        simulated, predicted = power(repeats, n, difference, discordant), exact_power
        yield (
            f"difference {difference}, discordant {discordant}, n {n}: {simulated:.4f}, "
            f"{predicted(n, difference, discordant):.4f}"
        )


def main(write: Callable[[str], None] = print) -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=4000)
    for line in lines(parser.parse_args().repeats):
        write(line)


if __name__ == "__main__":
    main()
