"""Check ragbench's statistics by simulation: coverage, size, power, agreement, by design.

Every design draws data of a known truth. An interval of 95 % must cover it, a test at 5 % must not
reject it more often, and no interval may contradict its test. docs/statistics.md has the tables.

    python scripts/simulate_statistics.py [--repeats 2000] [--only clusters]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from ragbench.analysis.panels.aggregates import (
    FEWEST_OF_CLASS,
    balanced_accuracy,
    influences,
    macro_f1,
)
from ragbench.analysis.statistics.estimate import Cells, Settings, interval_and_p, spread
from ragbench.analysis.statistics.intervals import interval_of_mean
from ragbench.analysis.statistics.multiplicity import holm

ALPHA = 0.05
SETTINGS = Settings(seed=1, alpha=ALPHA, resamples=1_999, margin=0.03)
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


@dataclass(frozen=True)
class Found:
    """What the repeats of a design gave.

    Attributes:
        coverage: Share of intervals that hold the truth.
        rejected: Share of tests that reject no effect: their size where there is none.
        width: Median width of the interval.
        contradictions: Number of intervals that contradict their test.
        outside: Number of intervals that leave what is possible.
        equivalent: Share that is called equivalent to zero.
    """

    coverage: float
    rejected: float
    width: float
    contradictions: int
    outside: int
    equivalent: float


def examine(design: Design, repeats: int, *, seed: int = 1, margin: float = 0.03) -> Found:
    """Return what the interval and the test of an effect do on a design."""
    draw, settings = np.random.default_rng(seed), replace(SETTINGS, margin=margin)
    held = rejected = contradictions = outside = equivalent = 0
    widths = []
    for repeat in range(repeats):
        cells = design.data(draw)
        found = interval_and_p(cells, settings, [str(repeat)])
        if found is None:
            raise ValueError(f"{design.name} has no interval")
        held += found.low - 1e-9 <= design.truth <= found.high + 1e-9
        rejected += found.p < ALPHA
        contradictions += (found.p < ALPHA) != (found.low > 0 or found.high < 0)
        reach = sum(part.reach for part in cells) / len(cells)
        outside += found.low < -reach - 1e-9 or found.high > reach + 1e-9
        equivalent += found.p_equivalence < ALPHA
        widths.append(found.high - found.low)
    return Found(
        held / repeats,
        rejected / repeats,
        float(np.median(widths)),
        contradictions,
        outside,
        equivalent / repeats,
    )


def margin_of(rate: float, repeats: int) -> float:
    """Return two standard errors of a rate from this number of repeats."""
    return 2 * math.sqrt(rate * (1 - rate) / repeats)


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


def coverage_of_mean(
    data: Callable[[Draw], Mean],
    truth: float,
    repeats: int,
    *,
    bounds: tuple[float, float] | None = None,
) -> float:
    """Return the coverage of the interval of one mean."""
    draw, held = np.random.default_rng(2), 0
    for _ in range(repeats):
        values, codes = data(draw)
        low, high = interval_of_mean(
            values, draw, clusters=codes, resamples=1_999, alpha=ALPHA, bounds=bounds
        )
        held += low - 1e-9 <= truth <= high + 1e-9
    return held / repeats


def means(repeats: int) -> Iterator[tuple[str, float]]:
    """Yield the coverage of rates, of other metrics, and of averages over classes."""
    for n in SIZES:
        for p in (0.5, 0.9, 0.99):
            yield f"n {n}, rate {p}", coverage_of_mean(partial(_rate, n=n, p=p), p, repeats)
        for name, truth in SHAPES.items():
            rate = coverage_of_mean(partial(_metric, n=n, name=name), truth, repeats)
            yield f"n {n}, metric, {name}", rate
        if n > 20:
            yield from _of_classes(n, repeats)
    for name, sizes in CLUSTERS.items():
        for p in (0.5, 0.8, 0.95):
            yield (
                f"{name}, rate {p}, 0.1 between",
                coverage_of_mean(partial(_clustered_rate, sizes=sizes, p=p), p, repeats),
            )


SHAPES = {
    "beta(2, 3)": 2 / 5,
    "beta(5, 0.5)": 5 / 5.5,
    "reciprocal ranks": 0.7 * float(np.mean(1 / np.arange(1, 11))),
}
Mean = tuple[Values, npt.NDArray[np.int64] | None]


def _rate(draw: Draw, n: int, p: float) -> Mean:
    return answers(draw, np.full(n, p)), None


def _metric(draw: Draw, n: int, name: str) -> Mean:
    if name == "reciprocal ranks":
        return np.where(draw.random(n) < 0.3, 0.0, 1 / draw.integers(1, 11, n)), None
    a, b = {"beta(2, 3)": (2.0, 3.0), "beta(5, 0.5)": (5.0, 0.5)}[name]
    return draw.beta(a, b, n), None


def _clustered_rate(draw: Draw, sizes: Sequence[int], p: float) -> Mean:
    codes = np.repeat(np.arange(len(sizes)), sizes)
    return answers(draw, draw.beta(9 * p, 9 * (1 - p), size=len(sizes))[codes]), codes


def _of_classes(n: int, repeats: int) -> Iterator[tuple[str, float]]:
    """Yield averages over three classes, of which one is rare; a reply is right in four of five."""
    shares = np.array([0.6, 0.3, 0.1])
    right = 0.8 * np.eye(3, 4)
    right[:, :3] += 0.1 * (1 - np.eye(3))
    expected = shares[:, None] * right

    def influenced(draw: Draw, statistic: Callable[[Values], Values]) -> Mean:
        asked = draw.choice(3, size=n, p=shares)
        while np.bincount(asked, minlength=3).min() < FEWEST_OF_CLASS:  # has no interval
            asked = draw.choice(3, size=n, p=shares)
        given = np.where(draw.random(n) < 0.8, asked, (asked + draw.integers(1, 3, n)) % 3)
        table = np.zeros((n, 12))
        table[np.arange(n), asked * 4 + given] = 1

        def of_sums(sums: Values) -> Values:
            return statistic(sums.reshape(*sums.shape[:-1], 3, 4))

        return influences(table, of_sums), None

    for name, statistic in (("balanced accuracy", balanced_accuracy), ("macro F1", macro_f1)):
        data, truth = partial(influenced, statistic=statistic), float(statistic(expected))
        yield f"n {n}, {name}", coverage_of_mean(data, truth, repeats, bounds=(0.0, 1.0))


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


def power(data: Callable[[float], Data], repeats: int, level: float) -> tuple[float, float]:
    """Return the smallest difference that the spread foretells, and how often it is found."""
    draw = np.random.default_rng(5)
    # The mean of the forecasts of a hundred runs: one alone has a spread of its own.
    foretold = [spread(data(0.0)(draw)).smallest(level) for _ in range(100)]
    difference = float(np.nanmean(foretold))
    settings, found = replace(SETTINGS, alpha=level, resamples=9_999), 0
    for repeat in range(repeats):
        result = interval_and_p(data(difference)(draw), settings, [str(repeat)])
        found += result is not None and result.p < level
    return difference, found / repeats


def false_family(repeats: int, n: int) -> tuple[float, float]:
    """Return how often any primary effect of a pair without a true effect is found.

    With Holm's adjustment, and without: retrieval gain, fine-tuning gain, one less the other, and
    interaction, of four cells that are equally good.
    """
    draw, adjusted, bare = np.random.default_rng(8), 0, 0
    for repeat in range(repeats):
        p = draw.beta(2, 2, size=n)
        closed, arm, bio, both = (answers(draw, p) for _ in range(4))
        contrasts = [[arm, -closed], [bio, -closed], [arm, -bio], [both, -bio, -arm, closed]]
        found = []
        for place, columns in enumerate(contrasts):
            cells = [Cells(np.column_stack(columns), None)]
            result = interval_and_p(cells, SETTINGS, [str(repeat), str(place)])
            found.append(math.nan if result is None else result.p)
        bare += min(found) < ALPHA
        adjusted += bool((holm(np.array(found)) < ALPHA).any())
    return adjusted / repeats, bare / repeats


GROUPS: dict[str, Callable[[], Iterator[Design]]] = {
    "two cells": two_cells,
    "sums and metrics": sums,
    "clusters": clusters,
    "averages": averages,
}


def lines(repeats: int, only: str | None = None) -> Iterator[str]:
    """Yield the tables of docs/statistics.md."""
    contradictions = outside = runs = 0
    for group, designs in GROUPS.items():
        if only not in (None, group):
            continue
        yield f"| {group} | coverage | rejected | width |\n| --- | --- | --- | --- |"
        for design in designs():
            found = examine(design, repeats)
            kind = f"{found.rejected:.3f}" + ("" if design.truth else " (size)")
            yield f"| {design.name} | {found.coverage:.3f} | {kind} | {found.width:.3f} |"
            contradictions += found.contradictions
            outside += found.outside
            runs += repeats
    if runs:
        yield f"{runs:,} runs: {contradictions} contradictions, {outside} impossible intervals"
    if only in (None, "means"):
        yield "| one mean | coverage |\n| --- | --- |"
        for name, rate in means(repeats):
            yield f"| {name} | {rate:.3f} |"
    if only in (None, "equivalence"):
        yield "| a difference equal to the margin | called equivalent |\n| --- | --- |"
        for n, changed, edge in ((200, 0.2, 0.05), (1000, 0.2, 0.05), (1000, 0.06, 0.05)):
            data = partial(paired, n=n, up=(changed + edge) / 2, down=(changed - edge) / 2)
            found = examine(Design("", data, edge), repeats, margin=edge)
            yield f"| n {n}, {100 * changed:g} % changed | {found.equivalent:.3f} |"
        data = partial(paired, n=200, up=0.03, down=0.0)
        found = examine(Design("", data, 0.03), repeats, margin=0.03)
        yield f"| n 200, 3 % changed, all one way | {found.equivalent:.3f} |"
    if only in (None, "power"):
        yield "| detectable four times in five | level | difference | found |"
        yield "| --- | --- | --- | --- |"
        for name, data_of in power_designs():
            for level in (ALPHA, ALPHA / 8):
                difference, rate = power(data_of, repeats, level)
                yield f"| {name} | {level:g} | {difference:.3f} | {rate:.3f} |"
    if only in (None, "family"):
        adjusted, bare = false_family(repeats, 140)
        yield f"any of the four primary effects, n 140: Holm {adjusted:.4f}, unadjusted {bare:.4f}"


def main(write: Callable[[str], None] = print) -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--only", choices=[*GROUPS, "means", "equivalence", "power", "family"])
    said = parser.parse_args()
    for line in lines(said.repeats, said.only):
        write(line)


if __name__ == "__main__":
    main()
