"""Check the statistics that are valid at any look by simulation: what docs/statistics.md quotes.

Every design draws units of a known mean and looks at them many times. A 95 % sequence must hold the
mean at all looks together, and no effect may be shown at any look, in 95 % of the runs. The bets
are those of ``ragbench.analysis.statistics.sequential``, for many runs together.

    python scripts/simulate_sequential.py [--repeats 10000] [--only clusters]
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from sequential_designs import GROUPS, Design, N, cells_of_a_pair, changes

from ragbench.analysis.statistics.inference import Values
from ragbench.analysis.statistics.multiplicity import holm
from ragbench.analysis.statistics.paired import Tango, mcnemar_mid_p
from ragbench.analysis.statistics.sequential.betting import log_capitals, log_e_values
from ragbench.analysis.statistics.sequential.decide import Rules
from ragbench.analysis.statistics.sequential.foreseen import decisions, fixed
from ragbench.analysis.statistics.sequential.tasks import Average
from ragbench.analysis.statistics.sequential.units import of_questions

ALPHA, MARGIN = 0.05, 0.03
LOOKS = 50
UNIT = (-1.0, 1.0)
RUNS_AT_ONCE = 500
Looks = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Found:
    """What the repeats of a design gave.

    Attributes:
        held: Share of runs whose sequence holds the mean at all looks together.
        least: The least share of sequences that hold it at one look alone.
        shown: Share of runs that show an effect at some look.
        equivalent: Share of runs that find an effect within the margin at some look.
    """

    held: float
    least: float
    shown: float
    equivalent: float


def looks_of(n: int) -> Looks:
    """Return 50 looks from 20 to n units, or fewer, at equal ratios."""
    return np.unique(np.geomspace(20, n, LOOKS).round().astype(np.int64))


def in_parts(counts: Values, design: Design, mean: float, margin_side: int = 0) -> Values:
    """Return the log of what bets against a mean have, (R, L); of one side if it is not 0."""
    runs, looks, kinds = counts.shape
    flat = counts.reshape(-1, kinds)
    found = log_capitals(design.values, design.weights, flat, mean, design.bounds)
    if margin_side:
        return found[0 if margin_side < 0 else 1].reshape(runs, looks)
    return log_e_values(found).reshape(runs, looks)


def examine(design: Design, repeats: int, *, seed: int = 1, margin: float = MARGIN) -> Found:
    """Return what looking again and again does on a design."""
    draw, looks = np.random.default_rng(seed), looks_of(design.n)
    enough = -math.log(ALPHA)
    missed = np.zeros(looks.size)
    ever = shown = equivalent = done = 0
    while done < repeats:
        runs = min(RUNS_AT_ONCE, repeats - done)
        counts = design.draw(draw, runs, looks)
        out = in_parts(counts, design, design.mean) >= enough
        missed += out.sum(axis=0)
        ever += int(out.any(axis=1).sum())
        if design.mean:
            out = in_parts(counts, design, 0.0) >= enough
        shown += int(out.any(axis=1).sum())
        sides = [in_parts(counts, design, side * margin, side) >= enough for side in (-1, 1)]
        equivalent += int((sides[0].any(axis=1) & sides[1].any(axis=1)).sum())
        done += runs
    return Found(
        1 - ever / repeats, 1 - float(missed.max()) / repeats, shown / repeats, equivalent / repeats
    )


def false_family(repeats: int, p_right: float, *, seed: int = 2) -> tuple[float, float]:
    """Return how often any of a pair's four effects is ever shown where all cells are equal.

    With Holm's procedure, and without.
    """
    draw, looks = np.random.default_rng(seed), looks_of(N)
    kinds, chances, contrasts = cells_of_a_pair(p_right)
    steps = np.diff(looks, prepend=0)
    adjusted = bare = done = 0
    while done < repeats:
        runs = min(RUNS_AT_ONCE, repeats - done)
        counts = draw.multinomial(steps, chances, size=(runs, looks.size)).cumsum(axis=1)
        largest = []
        for contrast in contrasts:
            values = kinds @ contrast
            reach = float(np.abs(contrast).sum() / 2)
            distinct, index = np.unique(values, return_inverse=True)
            of_values = np.zeros((kinds.shape[0], distinct.size))
            of_values[np.arange(kinds.shape[0]), index] = 1
            flat = (counts @ of_values).reshape(-1, distinct.size)
            found = log_capitals(distinct, np.ones(distinct.size), flat, 0.0, (-reach, reach))
            largest.append(log_e_values(found).reshape(runs, -1).max(axis=1))
        p = np.exp(-np.maximum(np.column_stack(largest), 0.0))
        bare += int((p < ALPHA).any(axis=1).sum())
        adjusted += sum(bool((holm(row) < ALPHA).any()) for row in p)
        done += runs
    return adjusted / repeats, bare / repeats


@cache
def mid_p(helped: int, hurt: int) -> float:
    """Return McNemar's mid-p; the same counts come up again and again."""
    return mcnemar_mid_p(helped, hurt)


@cache
def of_all(helped: int, hurt: int, n: int) -> tuple[bool, bool]:
    """Return whether the usual test of all n questions shows an effect, and equivalence."""
    shown = mcnemar_mid_p(helped, hurt) < ALPHA
    return shown, Tango(helped, hurt, n).within(MARGIN) < ALPHA


@cache
def of_part(helped: int, hurt: int, n: int, rules: Rules) -> tuple[bool, bool]:
    """Return the same at the part of alpha that the sequence leaves."""
    return fixed(helped, hurt, n, rules) if rules.share < 1 else (False, False)


@dataclass(frozen=True)
class Agreed:
    """How a run that stops compares with the full run.

    Attributes:
        full: Share of full runs that are decided: shown, or equivalent.
        same: Share of these where the run that stops has the same verdict.
        alone: Share of them in which the test of all questions has the same verdict at its part of
            alpha: what a run that never stops would give.
        asked: Mean share of the questions that it asks.
        shown: Share of runs that show an effect: false ones where there is none.
    """

    full: float
    same: float
    alone: float
    asked: float
    shown: float


def agreement(
    difference: float, discordant: float, n: int, share: float, repeats: int, *, seed: int = 3
) -> Agreed:
    """Return how a run with looks every n / 50 questions compares with the full run.

    Args:
        difference: True difference.
        discordant: Share of questions that only one cell answers right.
        n: Number of questions of the set.
        share: Part of alpha that the sequence has; the test of all questions has the rest.
        repeats: Number of runs.
        seed: Seed for every random draw.
    """
    design = changes((discordant + difference) / 2, (discordant - difference) / 2, n)
    draw = np.random.default_rng(seed)
    looks = np.unique(np.linspace(n / LOOKS, n, LOOKS).round().astype(np.int64))
    rules = Rules(alpha=ALPHA, margin=MARGIN, least=1, share=share)
    total = asked = same = alone = shown = done = 0.0
    while done < repeats:
        runs = int(min(RUNS_AT_ONCE, repeats - done))
        counts = design.draw(draw, runs, looks)
        at, far, near = decisions(counts, looks, rules)
        asked += at.sum() / n
        shown += far.sum()
        for place, (helped, hurt) in enumerate(counts[:, -1, :2].astype(int).tolist()):
            verdicts = of_all(helped, hurt, n)
            if any(verdicts):
                total += 1
                same += (far[place] and verdicts[0]) or (near[place] and verdicts[1])
                at_part = of_part(helped, hurt, n, rules)
                alone += (at_part[0] and verdicts[0]) or (at_part[1] and verdicts[1])
        done += runs
    decided = max(1.0, total)
    shares = total / repeats, same / decided, alone / decided
    return Agreed(*shares, asked / repeats, shown / repeats)


def of_the_set(repeats: int, *, n: int = 1000, seed: int = 4) -> Iterator[tuple[str, float]]:
    """Yield the share of sequences that hold the mean of a set asked whole, in random order."""
    draw, enough = np.random.default_rng(seed), -math.log(ALPHA)
    for up, down in ((0.01, 0.01), (0.15, 0.05), (0.35, 0.25)):
        design = changes(up, down, n)
        left = np.array([round(n * up), round(n * down), n - round(n * up) - round(n * down)])
        looks = looks_of(n)
        steps = np.diff(looks, prepend=0)
        counts = np.empty((repeats, looks.size, 3))
        remaining = np.tile(left, (repeats, 1))
        for look, step in enumerate(steps):
            helped = draw.hypergeometric(remaining[:, 0], remaining[:, 1:].sum(axis=1), step)
            rest = step - helped
            hurt = draw.hypergeometric(remaining[:, 1], remaining[:, 2], rest)
            drawn = np.column_stack([helped, hurt, rest - hurt])
            counts[:, look] = drawn + (counts[:, look - 1] if look else 0)
            remaining = remaining - drawn
        out = np.concatenate(
            [in_parts(part, design, up - down) >= enough for part in np.array_split(counts, 20)]
        )
        yield f"{100 * up:g} % helped, {100 * down:g} % hurt", 1 - float(out.any(axis=1).mean())


def repeated(repeats: int, discordant: float, *, seed: int = 5) -> float:
    """Return how often the usual test at any of 50 looks finds a difference that does not exist."""
    design, draw = changes(discordant / 2, discordant / 2), np.random.default_rng(seed)
    counts = design.draw(draw, repeats, looks_of(N)).astype(int)
    found = [any(mid_p(*pair) < ALPHA for pair in run[:, :2].tolist()) for run in counts]
    return sum(found) / repeats


def needed(
    difference: float, discordant: float, n: int, prior: float, repeats: int, *, seed: int = 6
) -> float:
    """Return the mean number of questions until an effect is decided by bets with a prior.

    Looks are at every twentieth question up to n; the sequence has a fifth of alpha.
    """
    design = changes((discordant + difference) / 2, (discordant - difference) / 2, n)
    looks = np.arange(20, n + 1, 20)
    counts = design.draw(np.random.default_rng(seed), repeats, looks)
    flat, enough = counts.reshape(-1, 3), -math.log(ALPHA / 5)

    def bets(mean: float) -> tuple[Values, Values]:
        return log_capitals(design.values, design.weights, flat, mean, design.bounds, prior)

    far = (log_e_values(bets(0.0)) > enough).reshape(repeats, -1)
    sides = bets(-MARGIN)[0] > enough, bets(MARGIN)[1] > enough
    near = [np.logical_or.accumulate(side.reshape(repeats, -1), axis=1) for side in sides]
    decided = far | (near[0] & near[1])
    asked = np.where(decided.any(axis=1), looks[decided.argmax(axis=1)], n)
    return float(asked.mean())


STRATIFIED = {
    "4 tasks of 1,000, no effect": [(1000, 0.1, 0.1)] * 4,
    "2 tasks of 1,000, +10 and -10 points": [(1000, 0.15, 0.05), (1000, 0.05, 0.15)],
    "2 tasks of 200 and 1,800, +60 and -60 points": [(200, 0.7, 0.1), (1800, 0.1, 0.7)],
    "4 tasks of 200 to 800, +12, +4, -6 and -10 points": [
        *((200, 0.16, 0.04), (400, 0.12, 0.08), (600, 0.07, 0.13), (800, 0.05, 0.15))
    ],
    "3 tasks of 300, 3 points each": [(300, 0.04, 0.01)] * 3,
    "10 tasks of 400, 5 points each": [(400, 0.125, 0.075)] * 10,
}


def of_tasks(repeats: int, *, seed: int = 7) -> Iterator[str]:
    """Yield what the sequences of averages over tasks hold that are asked the same number each."""
    yield "| average over tasks | held at all looks | least at one | shown at any | equivalent |"
    yield "| --- | --- | --- | --- | --- |"
    enough = -math.log(ALPHA)
    for name, parts in STRATIFIED.items():
        draw = np.random.default_rng(seed)
        mean = sum(up - down for _, up, down in parts) / len(parts)
        mean = 0.0 if abs(mean) < 1e-12 else mean
        ends = looks_of(max(n for n, _, _ in parts))[::4]
        looks = [tuple(min(int(end), n) for n, _, _ in parts) for end in ends]
        out, shown, equivalent = np.zeros((repeats, len(looks)), dtype=bool), 0, 0
        for run in range(repeats):
            units = [
                of_questions(draw.choice([1.0, -1.0, 0.0], n, p=[up, down, 1 - up - down]), UNIT)
                for n, up, down in parts
            ]
            bets = Average(units, looks)
            out[run] = log_e_values(bets.log_capitals(mean)) >= enough
            shown += bool((log_e_values(bets.log_capitals(0.0)) >= enough).any())
            sides = bets.log_capitals(-MARGIN)[0], bets.log_capitals(MARGIN)[1]
            equivalent += all((side >= enough).any() for side in sides)
        held, least = 1 - out.any(axis=1).mean(), 1 - out.mean(axis=0).max()
        kind = f"{shown / repeats:.4f}" + ("" if mean else " (false)")
        inside = f"{equivalent / repeats:.4f}" + (" (false)" if mean >= MARGIN - 1e-12 else "")
        yield f"| {name} | {held:.4f} | {least:.4f} | {kind} | {inside} |"


PRIORS = (1, 2, 3, 5, 10, 20)
NEEDED = [(0.02, 0.1, 8000), (0.05, 0.1, 2000), (0.05, 0.2, 3000), (0.05, 0.4, 4000)]
NEEDED += [(0.1, 0.2, 1000), (0.1, 0.4, 2000), (0.2, 0.3, 600), (0.2, 0.5, 800)]
NEEDED += [(0.0, 0.02, 3000), (0.0, 0.1, 6000), (0.0, 0.2, 12000), (0.0, 0.4, 20000)]
PLANTED = [(0.05, 0.2, 1000), (0.05, 0.1, 1000), (0.1, 0.2, 400), (0.1, 0.4, 1000)]
PLANTED += [(0.2, 0.4, 400), (0.03, 0.2, 4000), (0.05, 0.3, 4000), (0.0, 0.05, 1000)]
PLANTED += [(0.0, 0.2, 4000), (0.01, 0.1, 4000)]
NULL = [(0.0, 0.02, 400), (0.0, 0.1, 400), (0.0, 0.3, 1000), (0.0, 0.5, 4000)]


def lines(repeats: int, only: str | None = None) -> Iterator[str]:
    """Yield the tables of docs/statistics.md."""
    for group, designs in GROUPS.items():
        if only not in (None, group):
            continue
        yield f"| {group} | held at all looks | least at one | shown at any | equivalent |"
        yield "| --- | --- | --- | --- | --- |"
        for design in designs():
            found = examine(design, repeats)
            kind = f"{found.shown:.4f}" + ("" if design.mean else " (false)")
            false = abs(design.mean) >= MARGIN - 1e-12
            inside = f"{found.equivalent:.4f}" + (" (false)" if false else "")
            yield f"| {design.name} | {found.held:.4f} | {found.least:.4f} | {kind} | {inside} |"
    if only in (None, "tasks"):
        yield from of_tasks(max(1, repeats // 10))
    if only in (None, "prior"):
        yield f"| difference, discordant | {' | '.join(map(str, PRIORS))} |"
        yield f"| --- |{' --- |' * len(PRIORS)}"
        for design in NEEDED:
            found = [needed(*design, prior, max(1, repeats // 30)) for prior in PRIORS]
            figures = " | ".join(f"{asked:.0f}" for asked in found)
            yield f"| {design[0]:g}, {design[1]:g} | {figures} |"
    if only in (None, "repeated"):
        yield f"McNemar's mid-p at any of 50 looks, no effect: {repeated(repeats // 10, 0.2):.3f}"
    if only in (None, "family"):
        yield "| any of the four effects of a pair, no true effect | e-Holm | unadjusted |"
        yield "| --- | --- | --- |"
        for p_right in (0.3, 0.5, 0.9):
            adjusted, bare = false_family(repeats, p_right)
            yield f"| {100 * p_right:g} % right | {adjusted:.4f} | {bare:.4f} |"
    if only in (None, "set"):
        yield "| mean of the set itself, all 1,000 questions in random order | held |"
        yield "| --- | --- |"
        for name, held in of_the_set(repeats):
            yield f"| {name} | {held:.4f} |"
    if only in (None, "agreement"):
        yield from of_agreement(max(1, repeats // 5))


SHARES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.01)
MOSTLY = 0.8  # share of full runs that are decided


def of_agreement(repeats: int) -> Iterator[str]:
    """Yield how runs that stop agree with full runs, by design and over all of them."""
    yield "| difference, discordant, n | full run decided | share: same, alone, asked, shown |"
    yield "| --- | --- | --- |"
    every: dict[float, list[Agreed]] = {share: [] for share in SHARES}
    for planted in [*PLANTED, *NULL]:
        parts = []
        for share in SHARES:
            one = agreement(*planted, share, repeats)
            every[share].append(one)
            figures = f"{one.same:.3f}, {one.alone:.3f}, {one.asked:.2f} ({one.shown:.4f})"
            parts.append(f"{share:g}: {figures}")
        name = f"{planted[0]:g}, {planted[1]:g}, {planted[2]}"
        yield f"| {name} | {one.full:.3f} | {'; '.join(parts)} |"
    for share, found in every.items():
        mostly = [one for one in found if one.full >= MOSTLY]
        pooled = [
            sum(one.same * one.full for one in some) / sum(one.full for one in some)
            for some in (found, mostly)
        ]
        yield f"share {share:g}, all decided full runs together: same verdict {pooled[0]:.3f}"
        yield f"  of the designs where {MOSTLY:g} of them or more are decided: {pooled[1]:.3f}"


def main(write: Callable[[str], None] = print) -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10_000)
    parser.add_argument(
        "--only", choices=[*GROUPS, "tasks", "prior", "repeated", "family", "set", "agreement"]
    )
    said = parser.parse_args()
    start = time.monotonic()
    for line in lines(said.repeats, said.only):
        write(line)
    write(f"{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
