"""Answering in rounds: after each, the effects are judged, and what is decided is asked no more.

A look is taken only once all its questions have answers, so that no answer can be missing because
of what it would say. The looks depend on the config alone: a run that was killed takes the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ragbench.base.errors import UsageError
from ragbench.base.progress import say
from ragbench.experiment.answering.opening import Units, cells, plan_units
from ragbench.experiment.answering.units import Unit
from ragbench.experiment.answering.writing import Cell
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.stages.score import Scored, score_cells
from ragbench.runfolder.looks.stopped import (
    AskedCell,
    EffectDecision,
    StopFile,
    read_stopped,
    write_stopped,
)
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.settings import StopSettings
from ragbench.runfolder.sums import measure, read_sums, write_sums

SHARE = 0.2  # of alpha, for the sequence
# What is known of each effect, from a scored run and the looks at it.
Judge = Callable[[RunPaths, StopFile], tuple[EffectDecision, ...]]
Planned = list[tuple[Cell, Sequence[Unit]]]


@dataclass(frozen=True, slots=True)
class Until:
    """How long a run goes on.

    Attributes:
        judge: Judges the effects after a round.
        every: Whether every question is asked, whatever is decided.
    """

    judge: Judge
    every: bool = False


def answer_in_rounds(
    grid: Grid, folder: RunPaths, until: Until, ask: Callable[[Planned], bool]
) -> Scored:
    """Ask, score and judge until every effect is decided, and return what the last scoring found.

    ``ask`` asks the questions of some cells and their units, and returns whether all have answers.

    Raises:
        UsageError: Looks at the run were taken with other settings, or of other cells.
    """
    stopped, units, is_whole = _begun(grid, folder), plan_units(grid), True
    before = len(stopped.looks)
    while is_whole and not _is_over(grid, stopped, every=until.every):
        stopped = replace(stopped, asked=tuple(_next(grid, stopped, every=until.every)))
        write_stopped(folder, stopped)
        is_whole = ask(_planned(grid, units, stopped))
        scored = score_cells(folder, every_record=len(stopped.looks) == before)
        if scored.errors or scored.unmeasured or not is_whole:
            return scored
        seen = replace(stopped, looks=(*stopped.looks, stopped.asked))
        stopped = replace(seen, effects=until.judge(folder, seen))
        write_stopped(folder, stopped)
        write_sums(folder, (read_sums(folder) or {}) | measure(folder, ["stopped.json"]))
        say(sentence(stopped))
    return score_cells(folder)


def sentence(stopped: StopFile) -> str:
    """Return in words how many effects are decided after how many questions."""
    n = max(cell.n for cell in stopped.asked)
    left = sum(effect.verdict == "open" for effect in stopped.effects)
    return f"look {len(stopped.looks)}, at {n:,} questions per task: " + (
        f"{left} of {len(stopped.effects)} effects are open"
        if left
        else f"all {len(stopped.effects)} effects are decided"
    )


def _begun(grid: Grid, folder: RunPaths) -> StopFile:
    said = grid.config.analysis
    if said.stop is None:
        raise UsageError("the config does not say when to stop", fix="add `analysis: {stop: {}}`")
    margin = said.equivalence_margin if said.stop.margin is None else said.stop.margin
    settings = StopSettings(
        effects=said.stop.effects or said.primary.effects,
        margin=margin,
        min_questions=said.stop.min_questions,
    )
    fresh = StopFile(
        alpha=said.alpha,
        share=SHARE,
        settings=settings,
        asked=tuple(
            AskedCell(model=cell.model_name, task=cell.task.spec.name, arm=cell.arm, n=0)
            for cell in cells(grid)
        ),
    )
    known = read_stopped(folder)
    if known is None or not known.looks:
        return fresh if known is None else replace(fresh, asked=_kept(fresh, known))
    if known.settings != settings or known.alpha != said.alpha:
        raise UsageError(
            "looks at the run were taken with another alpha, margin, `effects` or `min_questions`",
            where=str(folder.stopped),
            fix="restore `analysis`, or give the config another `name:`",
        )
    if known.n.keys() != fresh.n.keys():
        raise UsageError(
            "looks at the run were taken without some of its models, tasks or arms",
            where=str(folder.stopped),
            fix="give the config another `name:`; a run that may stop early cannot be extended",
        )
    return known


def _kept(fresh: StopFile, known: StopFile) -> tuple[AskedCell, ...]:
    return tuple(replace(cell, n=known.n.get(cell.key, 0)) for cell in fresh.asked)


def _is_over(grid: Grid, stopped: StopFile, *, every: bool) -> bool:
    if not stopped.looks:
        return False
    n = {task.spec.name: len(task.questions) for task in grid.tasks}
    if every:
        return all(cell.n == n[cell.task] for cell in stopped.looks[-1])
    return all(effect.verdict != "open" for effect in stopped.effects)


def _next(grid: Grid, stopped: StopFile, *, every: bool) -> Iterator[AskedCell]:
    """Yield what each cell is asked at the next look; those that nothing open needs, no more."""
    looks = {task.spec.name: task.looks for task in grid.tasks}
    needed = {cell for e in stopped.effects if e.verdict == "open" for cell in e.cells}
    for cell in stopped.asked:
        ends = looks[cell.task]
        end = ends[-1] if every else ends[min(len(stopped.looks), len(ends) - 1)]
        is_needed = every or not stopped.looks or cell.key in needed
        yield replace(cell, n=max(cell.n, end)) if is_needed else cell


def _planned(grid: Grid, units: Units, stopped: StopFile) -> Planned:
    """Return the cells with their units so far; those of a task with equal units together."""
    order = {task.spec.name: place for place, task in enumerate(grid.tasks)}
    models = {spec.name: place for place, spec in enumerate(grid.config.models)}
    found = []
    for cell in cells(grid):
        task = cell.task.spec.name
        n = stopped.n[cell.model_name, task, cell.arm]
        mine = [unit for unit in units[cell.model_name][task] if unit.end <= n]
        found.append(((models[cell.model_name], order[task], -n), (cell, mine)))
    return [pair for _, pair in sorted(found, key=lambda each: each[0])]
