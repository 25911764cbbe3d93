"""Designs of the simulation of sequences: kinds of units with known probabilities, and the mean."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ragbench.analysis.statistics.inference import Bounds, Values

N = 4000  # questions at the last look
Draw = np.random.Generator
Looks = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Design:
    """Units that are drawn with known probabilities, from one source or several in proportion.

    Attributes:
        name: Name in the tables.
        values: (D,) values of the kinds of units.
        weights: (D,) their weights.
        chances: (S, D) probability of each kind in each source; each source has ``parts`` of the
            units at every look.
        parts: (S,) share of each source.
        bounds: Smallest and largest possible value.
        mean: The true mean.
        n: Number of units at the last look.
    """

    name: str
    values: Values
    weights: Values
    chances: Values
    parts: Values
    bounds: Bounds
    mean: float
    n: int

    def draw(self, draw: Draw, runs: int, looks: Looks) -> Values:
        """Return how often each kind came up to each look, (R, L, D)."""
        found = np.zeros((runs, looks.size, self.values.size))
        for chances, part in zip(self.chances, self.parts, strict=True):
            steps = np.diff((looks * part + 0.5).astype(np.int64), prepend=0)
            found += draw.multinomial(steps, chances, size=(runs, looks.size))
        return found.cumsum(axis=1)


def plain(name: str, values: Sequence[float], chances: Sequence[float], reach: float = 1) -> Design:
    """Return a design of questions that count the same."""
    known, shares = np.array(values), np.array(chances)
    mean = float(known @ shares)
    mean = 0.0 if abs(mean) < 1e-12 else mean
    one = np.ones(1)
    return Design(name, known, np.ones(known.size), shares[None], one, (-reach, reach), mean, N)


def changes(up: float, down: float, n: int = N) -> Design:
    """Return two cells of which shares of the questions are helped and hurt."""
    name = f"{100 * up:g} % helped, {100 * down:g} % hurt"
    found = plain(name, [1.0, -1.0, 0.0], [up, down, 1 - up - down])
    return replace(found, n=n)


def two_cells() -> Iterator[Design]:
    """Yield two cells of right and wrong answers, without and with a difference."""
    for discordant in (0.02, 0.05, 0.1, 0.2, 0.35, 0.5):
        yield changes(discordant / 2, discordant / 2)
    for up, down in ((0.006, 0.004), (0.05, 0.0), (0.07, 0.04), (0.15, 0.05), (0.265, 0.235)):
        yield changes(up, down)


def interaction(flipped: float, effect: float) -> Design:
    """Return sums of four cells, each of which answers a share of the questions otherwise."""
    chance: dict[float, float] = {}
    for right, *others in itertools.product((0, 1), repeat=5):
        p = 0.5 * math.prod(flipped if other else 1 - flipped for other in others)
        cells = [1 - right if other else right for other in others]
        for better, share in ((0, 1 - effect), (1, effect)):
            first = max(cells[0], better)
            value = float(first - cells[1] - cells[2] + cells[3])
            chance[value] = chance.get(value, 0.0) + p * share
    name = f"{100 * flipped:g} % of each cell otherwise, effect {effect / 2:g}"
    return plain(name, list(chance), list(chance.values()), 2.0)


def interactions() -> Iterator[Design]:
    """Yield interactions without and with an effect."""
    for flipped in (0.01, 0.05, 0.2):
        for effect in (0.0, 0.1):
            yield interaction(flipped, effect)


def metrics() -> Iterator[Design]:
    """Yield differences of metrics from 0 to 1, and a rate's own mean."""
    grid = np.round(np.arange(-1, 1.001, 0.05), 2)
    for spread in (0.05, 0.15, 0.3):
        for centre in (0.0, 0.02):
            density = np.exp(-((grid - centre) ** 2) / 2 / spread**2)
            density /= density.sum()
            if not centre:
                density = (density + density[::-1]) / 2
            yield plain(
                f"metric, normal, deviation {spread:g}, {centre:g}", list(grid), list(density)
            )
    # Many a little worse, few much better, and no difference on average.
    yield plain("metric, skewed: 90 % -0.05, 10 % +0.45", [-0.05, 0.45], [0.9, 0.1])
    yield plain("metric, skewed: 99 % -0.01, 1 % +0.99", [-0.01, 0.99], [0.99, 0.01])
    yield plain("metric, 90 % tied, else +-0.5", [-0.5, 0.0, 0.5], [0.05, 0.9, 0.05])


def _sums(size: int, changed: float, better: float, shared: float) -> dict[int, float]:
    """Return the probability of each sum of a cluster of two cells.

    Each question changes with the probability ``changed``; a change is for the better with a
    probability that the cluster has, from a beta distribution with the mean ``better``.
    """
    from scipy.stats import betabinom, binom

    chance: dict[int, float] = {}
    for number in range(size + 1):
        of_both = (1 - shared) / shared
        ups = betabinom.pmf(np.arange(number + 1), number, of_both * better, of_both * (1 - better))
        for up, p in enumerate(ups):
            found = float(p * binom.pmf(number, size, changed))
            chance[2 * up - number] = chance.get(2 * up - number, 0.0) + found
    return chance


def clustered(
    name: str, sizes: dict[int, float], changed: float, better: dict[int, float], shared: float
) -> Design:
    """Return clusters of random sizes; ``better`` is the mean share for the better by size."""
    values, weights, chances = [], [], []
    largest = max(sizes)
    total = sum(size * share for size, share in sizes.items())
    mean = sum(size * share * changed * (2 * better[size] - 1) for size, share in sizes.items())
    for size, share in sizes.items():
        for value, p in _sums(size, changed, better[size], shared).items():
            values.append(value / size)
            weights.append(size / largest)
            chances.append(p * share)
    known = np.array(chances)
    mean = 0.0 if abs(mean) < 1e-12 else mean / total
    return Design(
        name,
        np.array(values),
        np.array(weights),
        (known / known.sum())[None],
        np.ones(1),
        (-1.0, 1.0),
        mean,
        int(N / total),
    )


SIZES = {"5": {5: 1.0}, "1, 2, 10": {1: 0.6, 2: 0.3, 10: 0.1}, "1, 20": {1: 0.9, 20: 0.1}}


def clusters() -> Iterator[Design]:
    """Yield clusters of equal and unequal sizes, some with an effect that depends on the size."""
    for name, sizes in SIZES.items():
        for changed in (0.1, 0.5):
            for better in (0.5, 0.6):
                effect = changed * (2 * better - 1)
                what = f"sizes {name}, {100 * changed:g} % changed, effect {effect:g}"
                yield clustered(what, sizes, changed, dict.fromkeys(sizes, better), 0.3)
    # One question: 0.2 better; twenty: as much worse as gives no effect over all questions.
    sizes = SIZES["1, 20"]
    opposite = {1: 0.5 + 0.2, 20: 0.5 - 0.2 * 0.9 / 2}
    yield clustered("sizes 1, 20, opposite effects, none on average", sizes, 0.5, opposite, 0.3)


def in_proportion(
    name: str, parts: Sequence[float], rates: Sequence[tuple[float, float]]
) -> Design:
    """Return strata with shares of the questions, helped and hurt, that come in proportion."""
    chances = np.zeros((len(parts), 3 * len(parts)))
    for place, (up, down) in enumerate(rates):
        chances[place, 3 * place : 3 * place + 3] = up, down, 1 - up - down
    shares, values = np.array(parts), np.tile([1.0, -1.0, 0.0], len(parts))
    mean = float(shares @ [up - down for up, down in rates])
    mean = 0.0 if abs(mean) < 1e-12 else mean
    return Design(name, values, np.ones(values.size), chances, shares, (-1.0, 1.0), mean, N)


def strata() -> Iterator[Design]:
    """Yield strata of one task with opposite effects."""
    yield in_proportion("strata 1:1, +60 and -60 points", [0.5, 0.5], [(0.7, 0.1), (0.1, 0.7)])
    rates = [(0.5, 0.05), (0.05, 0.1)]
    yield in_proportion("strata 1:9, +45 and -5 points", [0.1, 0.9], rates)


def cells_of_a_pair(p_right: float) -> tuple[Values, Values, list[Values]]:
    """Return the kinds of four independent cells, (16, 4), their probabilities, and the contrasts.

    The cells are closed-book and arm of the general model, then of the biomedical one.
    """
    kinds = np.array(list(itertools.product((0.0, 1.0), repeat=4)))
    chances = np.prod(np.where(kinds > 0, p_right, 1 - p_right), axis=1)
    contrasts = [[-1, 1, 0, 0], [-1, 0, 1, 0], [0, 1, -1, 0], [1, -1, -1, 1]]
    return kinds, chances, [np.array(contrast, dtype=float) for contrast in contrasts]


GROUPS: dict[str, Callable[[], Iterator[Design]]] = {
    "two cells": two_cells,
    "interactions": interactions,
    "metrics": metrics,
    "clusters": clusters,
    "strata": strata,
}
