"""Designs of the simulation of statistics: data of a known truth, and the true effect."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from ragbench.analysis.statistics.estimate import Cells

SIZES = (20, 50, 200)
# Shares of questions helped and hurt.
CHANGES: tuple[tuple[float, float], ...] = (
    (0.006, 0.004),
    (0.015, 0.01),
    (0.03, 0.02),
    (0.05, 0.0),
    (0.07, 0.03),
    (0.15, 0.05),
    (0.35, 0.25),
)
CLUSTERS = {
    "8 x 20": [20] * 8,
    "10 x 10": [10] * 10,
    "20 x 5": [5] * 20,
    "60 x 2": [2] * 60,
    "100 and 9 x 5": [100] + [5] * 9,
    "150, 100, 50 and 37 x 2": [150, 100, 50] + [2] * 37,
    "40, 20, 10, 10 and 5 x 8": [40, 20, 10, 10] + [5] * 8,
    "180 x 1 and 10 twice": [1] * 180 + [2] * 10,
    "40 x 1 and 5 twice": [1] * 40 + [2] * 5,
}
Values = npt.NDArray[np.float64]
Draw = np.random.Generator
Data = Callable[[Draw], list[Cells]]


@dataclass(frozen=True)
class Design:
    """A way to draw data, and the true effect."""

    name: str
    data: Data
    truth: float


def answers(draw: Draw, p: Values) -> Values:
    """Return (n,) right (1) and wrong (0) answers."""
    return (draw.random(p.size) < p).astype(float)


def paired(draw: Draw, n: int, up: float, down: float) -> list[Cells]:
    """Return two cells of which shares of the questions were helped and hurt."""
    u = draw.random(n)
    values = np.zeros((n, 2))
    values[u < up, 0] = 1.0
    values[(u >= up) & (u < up + down), 1] = -1.0
    return [Cells(values, None)]


def cells_of(n: int, helped: int, hurt: int) -> Cells:
    """Return two cells; the numbers of helped and hurt questions are given."""
    values = np.zeros((n, 2))
    values[:helped, 0] = 1.0
    values[helped : helped + hurt, 1] = -1.0
    return Cells(values, None)


def two_cells() -> Iterator[Design]:
    """Yield two cells of right and wrong answers: sizes by shares helped and hurt."""
    for n in SIZES:
        for up, down in CHANGES:
            name = f"n {n}, {100 * up:g} % helped, {100 * down:g} % hurt"
            yield Design(name, partial(paired, n=n, up=up, down=down), up - down)
            if down:
                half = (up + down) / 2
                name = f"n {n}, {100 * half:g} % each"
                yield Design(name, partial(paired, n=n, up=half, down=half), 0.0)


def interaction(draw: Draw, n: int, flipped: float, effect: float) -> list[Cells]:
    """Return four cells, each of which answers a share of the questions otherwise."""
    right = answers(draw, draw.beta(2, 2, size=n))
    cells = [np.where(draw.random(n) < flipped, 1 - right, right) for _ in range(4)]
    # The effect is a share of the wrong answers that only the first cell has right.
    cells[0] = np.maximum(cells[0], (draw.random(n) < effect) * 1.0)
    return [Cells(np.column_stack([cells[0], -cells[1], -cells[2], cells[3]]), None)]


def metric(draw: Draw, n: int, kind: str, effect: float) -> list[Cells]:
    """Return differences of a metric: normal, skewed, or nothing for most of the questions."""
    if kind == "normal":
        values = draw.normal(effect, 0.15, size=n)
    elif kind == "skewed":
        values = draw.exponential(0.1, size=n) - 0.1 + effect
    else:
        changed = {"half tied": 0.5, "90 % tied": 0.1}[kind]
        values = draw.normal(effect / changed, 0.3, size=n) * (draw.random(n) < changed)
    return [Cells(np.column_stack([values, np.zeros(n)]), None)]


def sums() -> Iterator[Design]:
    """Yield interactions, and differences of metrics that are not rates."""
    for n in SIZES:
        for flipped in (0.01, 0.05, 0.2):
            name = f"n {n}, interaction, {100 * flipped:g} % of each cell otherwise"
            yield Design(name, partial(interaction, n=n, flipped=flipped, effect=0.0), 0.0)
        for kind in ("normal", "skewed", "half tied", "90 % tied"):
            for effect in (0.0, 0.05):
                name = f"n {n}, metric, {kind}, effect {effect:g}"
                yield Design(name, partial(metric, n=n, kind=kind, effect=effect), effect)


def in_clusters(
    draw: Draw, sizes: Sequence[int], kind: str, shared: float, effect: float
) -> list[Cells]:
    """Return differences in clusters; ``shared`` is the share of the variance between them.

    ``kind`` is ``normal`` or ``skewed`` for a metric, else the share of changed answers.
    """
    codes = np.repeat(np.arange(len(sizes)), sizes)
    n = codes.size
    if kind in ("normal", "skewed"):
        between, within = _noise(draw, kind, len(sizes))[codes], _noise(draw, kind, n)
        values = effect + 0.2 * (math.sqrt(shared) * between + math.sqrt(1 - shared) * within)
        return [Cells(np.column_stack([values, np.zeros(n)]), codes)]
    changed, u = float(kind), draw.random(n)
    better = np.full(n, 0.5 + effect / changed / 2)
    if shared:
        of_both = (1 - shared) / shared
        a, b = of_both * better[0], of_both * (1 - better[0])
        better = draw.beta(a, b, size=len(sizes))[codes]
    up = u < changed * better
    down = ~up & (u < changed)
    return [Cells(np.column_stack([up * 1.0, down * -1.0]), codes)]


def _noise(draw: Draw, kind: str, n: int) -> Values:
    return draw.standard_normal(n) if kind == "normal" else draw.exponential(1, n) - 1


def clusters() -> Iterator[Design]:
    """Yield clusters of equal and of unequal sizes."""
    for name, sizes in CLUSTERS.items():
        for kind in ("0.05", "0.2", "0.6", "normal", "skewed"):
            for shared in (0.0, 0.3):
                effect = 0.0 if shared else 0.02
                data = partial(in_clusters, sizes=sizes, kind=kind, shared=shared, effect=effect)
                what = kind if kind in ("normal", "skewed") else f"{100 * float(kind):g} % changed"
                yield Design(f"{name}, {what}, {shared:g} between, effect {effect}", data, effect)


def tasks(draw: Draw, parts: Sequence[Data]) -> list[Cells]:
    """Return the cells of several tasks."""
    return [cells for part in parts for cells in part(draw)]


def averages() -> Iterator[Design]:
    """Yield averages over tasks that count the same."""
    few = partial(paired, up=0.12, down=0.08)
    mixes: dict[str, tuple[list[Data], float]] = {
        "n 10 and 1,000, 20 % changed": ([partial(few, n=10), partial(few, n=1000)], 0.04),
        "n 10 and 1,000, 60 % changed": (
            [partial(paired, n=n, up=0.3, down=0.3) for n in (10, 1000)],
            0.0,
        ),
        "n 200, 20 and 60, opposite": (
            [
                partial(paired, n=200, up=0.15, down=0.05),
                partial(paired, n=20, up=0.1, down=0.1),
                partial(paired, n=60, up=0.05, down=0.15),
            ],
            0.0,
        ),
        "n 100 and 100, +60 and -60": (
            [
                partial(paired, n=100, up=0.7, down=0.1),
                partial(paired, n=100, up=0.1, down=0.7),
            ],
            0.0,
        ),
        "5 x 50, 10 % changed": ([partial(paired, n=50, up=0.05, down=0.05)] * 5, 0.0),
        "5 x 50, 1 % changed": ([partial(paired, n=50, up=0.006, down=0.004)] * 5, 0.002),
        "n 50 metric and 20 x 5 clusters": (
            [
                partial(metric, n=50, kind="half tied", effect=0.05),
                partial(in_clusters, sizes=[5] * 20, kind="0.2", shared=0.3, effect=0.0),
            ],
            0.025,
        ),
    }
    for name, (parts, truth) in mixes.items():
        yield Design(name, partial(tasks, parts=parts), truth)


def power_designs() -> Iterator[tuple[str, Callable[[float], Data]]]:
    """Yield a name, and data by the size of the effect."""
    for n in (50, 200):
        for changed in (0.1, 0.3):
            yield f"n {n}, {100 * changed:g} % changed", partial(_changed, n, changed)
    for n in (50, 200):
        yield f"n {n}, interaction, 60 % changed", partial(_tilted, n)
        yield f"n {n}, metric, normal", partial(_metric_of, n)
    for name in ("10 x 10", "20 x 5", "60 x 2", "180 x 1 and 10 twice", "40, 20, 10, 10 and 5 x 8"):
        yield f"{name}, normal, 0.3 between", partial(_clusters_of, CLUSTERS[name])


def tilted(draw: Draw, n: int, effect: float) -> list[Cells]:
    """Return differences of an interaction: half change by 1, a tenth by 2, more to one side."""
    shares = {1: 0.5, 2: 0.1}
    tilt = effect / sum(k**2 * share for k, share in shares.items())
    values, u, start = np.zeros(n), draw.random(n), 0.0
    for k, share in shares.items():
        for sign in (1, -1):
            end = start + share / 2 * (1 + sign * k * tilt)
            values[(u >= start) & (u < end)] = sign * k
            start = end
    halves = [np.clip(values, -1, 1), values - np.clip(values, -1, 1)]
    return [Cells(np.column_stack([*halves, np.zeros(n), np.zeros(n)]), None)]


def _tilted(n: int, effect: float) -> Data:
    return partial(tilted, n=n, effect=effect)


def _changed(n: int, changed: float, effect: float) -> Data:
    share = max(changed, effect)
    return partial(paired, n=n, up=(share + effect) / 2, down=(share - effect) / 2)


def _metric_of(n: int, effect: float) -> Data:
    return partial(metric, n=n, kind="normal", effect=effect)


def _clusters_of(sizes: Sequence[int], effect: float) -> Data:
    return partial(in_clusters, sizes=sizes, kind="normal", shared=0.3, effect=effect)
