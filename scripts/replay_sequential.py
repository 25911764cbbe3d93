"""Replay finished runs as streams of questions that stop when their gains are decided.

    python scripts/replay_sequential.py RUN [RUN ...] [--orders 200] [--share 0.2] [--alone]

Each run has closed-book and one retrieval arm, such as an imported one. Its questions are asked
again in random orders, all tasks in proportion, with 100 looks. The retrieval gains over all tasks
are one family, or each is a family of its own (--alone). A gain that is decided is not asked again.
For each task the script prints the verdict of the full run (Holm's procedure), the share of the
orders with the same verdict, and the questions that it took: mean, median and nine of ten orders.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ragbench.analysis.effects import contrasts, values_of
from ragbench.analysis.family import GAIN
from ragbench.analysis.load import Run, load_run
from ragbench.analysis.statistics.estimate import Cells, Settings, Tested, interval_and_p
from ragbench.analysis.statistics.inference import Clusters
from ragbench.analysis.statistics.multiplicity import holm
from ragbench.analysis.statistics.sequential.decide import Effect, Look, Rules, trajectory
from ragbench.analysis.statistics.sequential.units import Units, of_cells
from ragbench.runfolder.paths import find_run

LOOKS = 100


@dataclass(frozen=True)
class Gain:
    """The retrieval gain on a task, question by question."""

    task: str
    cells: Cells
    full: Tested  # at alpha, for the verdict of the full run
    last: Tested  # at what the sequence leaves of alpha

    @property
    def codes(self) -> Clusters:
        """The cluster of each question."""
        alone = np.arange(len(self.cells.values), dtype=np.int64)
        return alone if self.cells.clusters is None else self.cells.clusters

    def in_order(self, draw: np.random.Generator) -> Units:
        """Return the units in a random order, clusters whole."""
        codes = np.unique(self.codes, return_inverse=True)[1]
        order = np.argsort(draw.permutation(codes.max() + 1)[codes], kind="stable")
        largest = int(np.bincount(codes).max())
        return of_cells(Cells(self.cells.values[order], codes[order]), largest=largest)


def gains(run: Run, rules: Rules) -> Iterator[Gain]:
    """Yield the gain of the run's first model on each task; unanswered questions are left out."""
    for task in run.members("tasks"):
        contrast = next(c for c in contrasts(run, task, run.config.models[0]) if c.effect == GAIN)
        cells = values_of(run, task, contrast)[""]
        known = ~np.isnan(cells.values).any(axis=1)
        clusters = None if cells.clusters is None else cells.clusters[known]
        cells = Cells(cells.values[known], clusters)
        tests = []
        for alpha in (rules.alpha, rules.of_full or rules.alpha):
            settings = Settings(run.config.seed, alpha, 10_000, rules.margin)
            found = interval_and_p([cells], settings, [task])
            if found is None:
                raise SystemExit(f"{task} has too few questions")
            tests.append(found)
        yield Gain(task, cells, *tests)


def verdicts(family: list[Gain], rules: Rules) -> list[set[str]]:
    """Return what the full run finds of each gain."""
    shown = holm(np.array([gain.full.p for gain in family])) < rules.alpha
    near = holm(np.array([gain.full.p_equivalence for gain in family])) < rules.alpha
    return [
        {name for name, held in (("shown", far), ("equivalent", close)) if held} or {"exhausted"}
        for far, close in zip(shown, near, strict=True)
    ]


def replayed(family: list[Gain], rules: Rules, seed: int) -> list[tuple[str, int]]:
    """Return the verdict of each gain, and the number of its questions, in one random order."""
    draw, paths = np.random.default_rng(seed), []
    for gain in family:
        units = gain.in_order(draw)
        looks = np.ceil(np.linspace(0, 1, LOOKS + 1)[1:] * units.values.size).astype(int)
        effect = Effect((gain.task,), units, tuple(looks.tolist()), True, gain.last)
        paths.append(trajectory(effect, (), rules))
    found: dict[int, tuple[str, int]] = {}
    stopped: dict[int, Look] = {}
    for look in range(LOOKS):
        now = [stopped.get(place, path[look]) for place, path in enumerate(paths)]
        shown = holm(np.array([one.p for one in now])) < rules.alpha
        near = holm(np.array([one.p_equivalence for one in now])) < rules.alpha
        for place, one in enumerate(now):
            if place in found or one.questions < rules.least:
                continue
            if shown[place] or near[place]:
                found[place] = "shown" if shown[place] else "equivalent", one.questions
                stopped[place] = one
    ends = [("exhausted", path[-1].questions) for path in paths]
    return [found.get(place, end) for place, end in enumerate(ends)]


def lines(run: Run, rules: Rules, orders: int, *, alone: bool) -> Iterator[str]:
    """Yield the table of a run."""
    family = list(gains(run, rules))
    families = [[gain] for gain in family] if alone else [family]
    known = [names for one in families for names in verdicts(one, rules)]
    found = [
        [end for one in families for end in replayed(one, rules, seed)] for seed in range(orders)
    ]
    yield f"| {run.path.name} | gain | full run | same | mean | median | nine of ten | share |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for place, gain in enumerate(family):
        asked = np.array([one[place][1] for one in found])
        named = Counter(one[place][0] for one in found)
        same = sum(times for name, times in named.items() if name in known[place]) / orders
        total = len(gain.cells.values)
        full = f"{100 * gain.cells.differences.mean():+.1f} ({100 * gain.full.low:+.1f} to "
        full += f"{100 * gain.full.high:+.1f})"
        yield (
            f"| {gain.task} ({total:,}) | {full} | {', '.join(sorted(known[place]))} | {same:.3f} "
            f"({dict(named)}) | {asked.mean():.0f} | {np.median(asked):.0f} | "
            f"{np.quantile(asked, 0.9):.0f} | {asked.mean() / total:.3f} |"
        )
    total = sum(len(gain.cells.values) for gain in family)
    asked = np.array([sum(n for _, n in one) for one in found])
    yield f"{2 * total:,} replies; {asked.mean() / total:.3f} of them were needed on average"


def main(write: Callable[[str], None] = print) -> None:
    """Print the table of each run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--share", type=float, default=Rules().share)
    parser.add_argument("--alone", action="store_true")
    said = parser.parse_args()
    rules = Rules(share=said.share)
    for name in said.runs:
        for line in lines(load_run(find_run(name).path), rules, said.orders, alone=said.alone):
            write(line)


if __name__ == "__main__":
    main()
