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
from statistics_designs import (
    CLUSTERS,
    SIZES,
    Data,
    Design,
    Draw,
    Values,
    answers,
    averages,
    clusters,
    paired,
    power_designs,
    sums,
    two_cells,
)

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


def power(
    data: Callable[[float], Data], repeats: int, level: float, *, forecasts: int = 1000
) -> tuple[float, float]:
    """Return the smallest difference that the spread foretells, and how often it is found."""
    draw = np.random.default_rng(5)
    # The mean of the forecasts of many runs: one alone has a spread of its own.
    foretold = [spread(data(0.0)(draw)).smallest(level) for _ in range(forecasts)]
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
