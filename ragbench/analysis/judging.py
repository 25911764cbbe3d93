"""The primary effects of a run that is under way, judged by statistics valid at any look."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ragbench.analysis.clusters import whole_clusters
from ragbench.analysis.effects import Contrast, contrasts, table_of
from ragbench.analysis.family import ITEMS, MACRO, RANDOM_EFFECTS, primary_of, primary_test
from ragbench.analysis.load import Run, load_run
from ragbench.analysis.statistics.estimate import Cells, Settings, interval_and_p
from ragbench.analysis.statistics.inference import Clusters
from ragbench.analysis.statistics.sequential.decide import Effect, Look, Rules, State, decide
from ragbench.analysis.statistics.sequential.tasks import Tasks
from ragbench.analysis.statistics.sequential.units import Units, of_clusters, of_questions
from ragbench.base.errors import DataError, UsageError
from ragbench.runfolder.config import ModelEntry
from ragbench.runfolder.looks.stopped import EffectDecision, EffectLook, StopFile
from ragbench.runfolder.paths import RunPaths

OTHER_AVERAGES = (ITEMS, RANDOM_EFFECTS)


def judge(folder: RunPaths, stopped: StopFile) -> tuple[EffectDecision, ...]:
    """Return what is known of each effect after all looks so far, of a run just scored.

    Raises:
        UsageError: The run has no effect that could be decided, or another average than (macro).
        DataError: A metric has no bounds.
    """
    run = load_run(folder.path, was_checked=True)
    named = [(task, contrast) for task, contrast in _family(run)]
    rules = rules_of(stopped)
    family = [_effect(run, task, one, stopped, rules) for task, one in named]
    known = {effect.name: effect for effect in stopped.effects}
    if known and known.keys() != {_name(*pair) for pair in named}:
        raise DataError(
            "the effects of the run are not those of its first look",
            where=str(folder.stopped),
            fix="give the config another `name:`, or remove the run folder",
        )
    before = [_state(known[_name(*pair)]) for pair in named] if known else []
    states = decide(family, rules, before)
    return tuple(
        _decision(_tasks(run, pair[0]), *pair, state)
        for pair, state in zip(named, states, strict=True)
    )


def rules_of(stopped: StopFile) -> Rules:
    """Return when an effect of a run is decided."""
    return Rules(
        alpha=stopped.alpha,
        margin=stopped.settings.margin or Rules().margin,
        least=stopped.settings.min_questions,
        share=stopped.share,
    )


def _family(run: Run) -> list[tuple[str, Contrast]]:
    if over := next((task for task in primary_of(run).tasks if task in OTHER_AVERAGES), None):
        raise UsageError(
            f"a run cannot stop by the average {over} over tasks",
            where="analysis: primary: tasks",
            fix=f"name {MACRO} or tasks, or leave out `stop`",
        )
    is_primary = primary_test(run)
    found = [
        (task, contrast)
        for model in run.config.models
        for task in (*run.members("tasks"), MACRO)
        for contrast in _contrasts(run, task, model)
        if is_primary(_row(task, contrast))
    ]
    if not found:
        raise UsageError(
            "the run has none of the effects by which it could stop",
            where="analysis: stop: effects",
            fix="name effects that its models and arms have",
        )
    return found


def _tasks(run: Run, task: str) -> list[str]:
    return run.members("tasks") if task == MACRO else [task]


def _contrasts(run: Run, task: str, model: ModelEntry) -> list[Contrast]:
    """Return the effects of a model on a task; of the average, those that every task has."""
    if task != MACRO:
        return list(contrasts(run, task, model))
    tasks = run.members("tasks")
    if len(tasks) < 2 or len({run.metrics(each)[0] for each in tasks}) > 1:
        return []
    first, *others = (list(contrasts(run, each, model)) for each in tasks)
    return [one for one in first if all(one in other for other in others)]


def _row(task: str, contrast: Contrast) -> dict[str, str]:
    return {
        "effect": contrast.effect,
        "model": contrast.model,
        "base": contrast.base,
        "task": task,
        "arm": contrast.arm,
        "stratum": "",
    }


def _name(task: str, one: Contrast) -> tuple[str, ...]:
    return one.effect, one.model, one.base, task, one.arm, one.baseline


def _state(known: EffectDecision) -> State:
    """Return what the looks before gave; they are not taken again."""
    looks = tuple(
        Look(
            questions=look.n,
            estimate=math.nan if look.estimate is None else look.estimate,
            low=look.low,
            high=look.high,
            e_value=look.e_value,
            p=look.p,
            p_below=look.p_below,
            p_above=look.p_above,
        )
        for look in known.looks
    )
    adjusted = known.p_adjusted, known.p_equivalence_adjusted
    return State(known.name, looks, *adjusted, None, None, exhausted=False)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an effect has on one task.

    Attributes:
        cells: The values of its questions.
        units: Those that were asked to the last look.
        looks: Number of units at each look.
        is_whole: Whether all questions of the task were asked.
    """

    cells: Cells
    units: Units
    looks: tuple[int, ...]
    is_whole: bool


def _effect(run: Run, task: str, contrast: Contrast, stopped: StopFile, rules: Rules) -> Effect:
    parts = [_asked(run, each, contrast, stopped) for each in _tasks(run, task)]
    exhausted = all(part.is_whole for part in parts)
    full = None
    if exhausted and all(len(part.cells.values) for part in parts):
        settings = replace(Settings.of(run.config), alpha=rules.of_full, margin=rules.margin)
        names = (contrast.arm, contrast.baseline, contrast.effect, contrast.model, "", task)
        full = interval_and_p([_alone(part.cells) for part in parts], settings, names)
    name = _name(task, contrast)
    if len(parts) == 1:
        return Effect(name, parts[0].units, parts[0].looks, exhausted, full)
    by_look = tuple(zip(*(part.looks for part in parts), strict=True))
    units = Tasks(tuple(part.units for part in parts), by_look)
    return Effect(name, units, tuple(map(sum, by_look)), exhausted, full)


def _asked(run: Run, task: str, contrast: Contrast, stopped: StopFile) -> _Asked:
    table = table_of(run, task, contrast)
    codes, largest = whole_clusters(run, task)
    clusters = None
    if largest > 1:
        clusters = np.array([codes[name] for name in table.index], dtype=np.int64)
    cells = Cells(table.to_numpy(dtype=float), clusters)
    keys = _cells(task, contrast)
    asked = [min(cell.n for cell in look if cell.key in keys) for look in stopped.looks]
    places = {question.id: place for place, question in enumerate(run.questions(task))}
    mine = np.array([places[name] for name in table.index], dtype=np.int64)
    return _Asked(
        cells,
        _units(cells, largest, np.array([place < asked[-1] for place in mine], dtype=bool)),
        tuple(_units_at(clusters, int((mine < n).sum())) for n in asked),
        asked[-1] == run.facts(task).n,
    )


def _alone(cells: Cells) -> Cells:
    """Return cells without clusters where no question has a partner, as in the usual test."""
    clusters = cells.clusters
    if clusters is None or np.unique(clusters).size < clusters.size:
        return cells
    return replace(cells, clusters=None)


def _units(cells: Cells, largest: int, held: npt.NDArray[np.bool_]) -> Units:
    bounds = -cells.reach, cells.reach
    values = cells.differences[held]
    if cells.clusters is None:
        return of_questions(values, bounds)
    return of_clusters(values, cells.clusters[held], bounds, largest=largest)


def _units_at(clusters: Clusters | None, questions: int) -> int:
    return questions if clusters is None else int(np.unique(clusters[:questions]).size)


def _cells(task: str, contrast: Contrast) -> tuple[tuple[str, str, str], ...]:
    return tuple((model, task, arm) for _, model, arm in contrast.terms)


def _decision(tasks: Sequence[str], task: str, contrast: Contrast, state: State) -> EffectDecision:
    return EffectDecision(
        effect=contrast.effect,
        model=contrast.model,
        base=contrast.base,
        task=task,
        arm=contrast.arm,
        baseline=contrast.baseline,
        cells=tuple(cell for each in tasks for cell in _cells(each, contrast)),
        looks=tuple(
            EffectLook(
                n=look.questions,
                estimate=None if math.isnan(look.estimate) else look.estimate,
                low=look.low,
                high=look.high,
                e_value=look.e_value,
                p=look.p,
                p_below=look.p_below,
                p_above=look.p_above,
            )
            for look in state.looks
        ),
        p_adjusted=state.p_adjusted,
        p_equivalence_adjusted=state.p_equivalence_adjusted,
        verdict=state.verdict,
        decided_at=state.decided_at,
    )
