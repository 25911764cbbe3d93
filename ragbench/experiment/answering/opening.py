"""Which questions have no answer yet, and whether every prompt fits: each is rendered once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ragbench.base.errors import DataError, UsageError
from ragbench.base.files import drop_torn_line
from ragbench.base.progress import stage
from ragbench.base.records import Question
from ragbench.experiment.answering.spending import Spending
from ragbench.experiment.answering.units import Shard, Unit, share, units_of
from ragbench.experiment.answering.watching import Watch
from ragbench.experiment.answering.writing import Cell, Job, OpenCell
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.grid.sources import arms_of
from ragbench.experiment.stages.arms import Delivery
from ragbench.experiment.stages.prompts import continuations, messages
from ragbench.models.model import Model
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.questions import question_digest
from ragbench.runfolder.records import Record, place_of, record_key, records_with_places

SPECIAL_TOKENS = 2  # a tokenizer may add these to a plain prompt
COUNTED = 512  # prompts that are counted together
# By task and arm, and by model where each gets its own passages.
Packed = Mapping[tuple[str, ...], Mapping[str, Delivery]]
Units = dict[str, dict[str, list[Unit]]]  # by model and task


@dataclass(slots=True)
class OpenTask:
    """A task of one model: its units, and all its cells in the order of the arms."""

    task: TaskPart
    units: Sequence[Unit]
    cells: list[OpenCell] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Number of open questions of all cells."""
        return sum(len(cell.open) for cell in self.cells)


Opened = dict[str, list[OpenTask]]  # by model


class Jobs:
    """Rendered prompts of cells, one at a time."""

    def __init__(self, grid: Grid, packed: Packed) -> None:
        self._grid = grid
        self._packed = packed
        self._digests: dict[str, str] = {}

    def job(self, cell: Cell, question: Question) -> Job:
        """Return a question of a cell with its rendered prompt and its record's key."""
        model, task = self._grid.models[cell.model_name], cell.task
        digest = self.model_digest(cell.model_name)
        own = self._packed.get((task.spec.name, cell.arm, cell.model_name))
        found = self._packed[task.spec.name, cell.arm] if own is None else own
        passages = found[question.id].passages
        prompt = model.render(messages(task.info, question, passages, task.scoring))
        key = record_key(
            task=task.spec.task,
            question=question_digest(question),
            model=digest,
            prompt=prompt,
            scoring=task.scoring,
            reply_limit=task.reply_limit,
            seed=self._grid.config.seed,
        )
        return Job(question, prompt, [p.id for p in passages], key)

    def model_digest(self, name: str) -> str:
        """Return the digest of a model, computed once."""
        if name not in self._digests:
            self._digests[name] = self._grid.models[name].digest()
        return self._digests[name]


def cells(grid: Grid) -> Iterator[Cell]:
    """Yield the grid's cells by model, so that one model is loaded at a time."""
    for spec in grid.config.models:
        for task in grid.tasks:
            for arm in arms_of(grid.config, task):
                yield Cell(spec.name, task, arm.name)


def plan_units(grid: Grid, shard: Shard | None = None) -> Units:
    """Return the units of each model and task; only those of a shard if one is given."""
    found: Units = {}
    for spec in grid.config.models:
        size = grid.models[spec.name].batch_size
        every = [
            unit
            for task in grid.tasks
            for unit in units_of(
                task.spec.name,
                [question.id for question in task.questions],
                arms=len(arms_of(grid.config, task)),
                batch_size=size,
                cuts=task.looks,
            )
        ]
        found[spec.name] = {task.spec.name: [] for task in grid.tasks}
        for unit in share(every, shard):
            found[spec.name][unit.task].append(unit)
    return found


def open_cells(
    grid: Grid,
    folder: RunPaths,
    jobs: Jobs,
    units: Units,
    spending: Spending,
    watch: Watch,
    *,
    base: RunPaths | None = None,
) -> Opened:
    """Return the cells of all models and tasks with their open questions.

    Args:
        grid: Models and tasks.
        folder: The folder that gets the answers.
        jobs: Renders prompts; those with an answer are compared with it.
        units: The units to answer.
        spending: Gets the cost of the answers in ``folder``.
        watch: Gets these answers.
        base: The run folder if ``folder`` is that of a shard.

    Raises:
        DataError: A folder has answers to other prompts, or to questions that are not asked.
    """
    every = ((cell, units[cell.model_name][cell.task.spec.name]) for cell in cells(grid))
    return open_each(folder, every, jobs, spending, watch, base=base)


def open_each(
    folder: RunPaths,
    planned: Iterable[tuple[Cell, Sequence[Unit]]],
    jobs: Jobs,
    spending: Spending,
    watch: Watch,
    *,
    base: RunPaths | None = None,
) -> Opened:
    """Return some cells with their open questions.

    Args:
        folder: The folder that gets the answers.
        planned: The cells with their units; those of a model and task follow one another.
        jobs: As in ``open_cells``, with all that follow.
        spending: Gets the cost of earlier answers.
        watch: Gets earlier answers.
        base: The run folder of a shard.
    """
    opened: Opened = {}
    for cell, mine in planned:
        tasks = opened.setdefault(cell.model_name, [])
        if not tasks or tasks[-1].task is not cell.task or tasks[-1].units != mine:
            tasks.append(OpenTask(cell.task, mine))
        tasks[-1].cells.append(_open_cell(folder, base, cell, jobs, mine, spending, watch))
    return opened


def _open_cell(
    folder: RunPaths,
    base: RunPaths | None,
    cell: Cell,
    jobs: Jobs,
    units: Iterable[Unit],
    spending: Spending,
    watch: Watch,
) -> OpenCell:
    task = cell.task
    path = folder.records(cell.model_name, task.spec.name, cell.arm)
    if path.exists():
        drop_torn_line(path)
    index = {question.id: place for place, question in enumerate(task.questions)}
    mine = [place for unit in units for place in range(unit.start, unit.end)]
    wanted, answered = set(mine), set[int]()
    earlier: list[tuple[Question, Record]] = []
    gone: list[str] = []
    before = 0
    paths = [path]
    if base is not None:
        paths.insert(0, base.records(cell.model_name, task.spec.name, cell.arm))
        _check_whole(paths[0])
    for number, file in enumerate(paths):
        for record in (r for _, r in records_with_places(file) if r.error is None):
            place = index.get(record.question_id)
            if place is None:
                gone.append(record.question_id)
                continue
            before += number == 0
            if place not in wanted or place in answered:
                continue
            answered.add(place)
            question = task.questions[place]
            if record.key != jobs.job(cell, question).key:
                raise DataError(
                    f"the run has an answer to another prompt for question {question.id!r}",
                    where=place_of(file, question.id),
                    fix="give the config another `name:`, or remove the run folder",
                )
            if file is path:
                spending.add(record)
                earlier.append((question, record))
        if gone:
            raise DataError(
                f"the run has answers to {len(gone):,} questions that are no longer asked, such as "
                f"{gone[0]!r}",
                where=place_of(file, gone[0]),
                fix="give the config another `name:`, or remove the run folder",
            )
    left = [place for place in mine if place not in answered]
    watch.begin((cell.model_name, task, cell.arm), earlier, len(left))
    places = {index: place for place, index in enumerate(left)}
    return OpenCell(cell, places, before, tuple(paths))


def _check_whole(path: Path) -> None:
    """Refuse a file that another process appends to, or has left in the middle of a line."""
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb") as handle:
        handle.seek(-1, os.SEEK_END)
        is_whole = handle.read() == b"\n"
    if not is_whole:
        raise DataError(
            "the run's last record is incomplete: a run or a merge was killed, or goes on",
            where=str(path),
            fix="wait for it, or give the same `ragbench finish` or `ragbench run` again",
        )


def _shorter(cell: Cell, excess: int) -> str:
    return "lower packing.budget_tokens or the arm's k, or leave the model out"


def check_lengths(
    grid: Grid, opened: Opened, jobs: Jobs, fix: Callable[[Cell, int], str] = _shorter
) -> None:
    """Refuse, before the first answer, an open prompt that is too long for a model's context.

    ``fix`` returns what to do about a cell whose prompt is some tokens too long.

    Raises:
        UsageError: A prompt with its longest reply is too long; the message names the worst.
    """
    total = sum(task.left for tasks in opened.values() for task in tasks)
    if not total:
        return
    with stage("count tokens", total) as progress:
        for name, tasks in opened.items():
            counter = _Counter(grid.models[name])
            for cell in (cell for task in tasks for cell in task.cells):
                worst: tuple[int, str] | None = None
                for batch in _batches(list(cell.open)):
                    found = [jobs.job(cell.cell, cell.cell.task.questions[i]) for i in batch]
                    worst = max(filter(None, (worst, counter.worst(cell.cell.task, found))))
                    progress.advance(len(batch))
                if worst is not None and worst[0] > grid.models[name].context_tokens:
                    raise _too_long(grid.models[name], cell.cell, *worst, fix)


def _batches(places: Sequence[int]) -> Iterator[Sequence[int]]:
    return (places[start : start + COUNTED] for start in range(0, len(places), COUNTED))


class _Counter:
    """Counts the tokens of prompts and replies; each distinct reply once."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._replies: dict[str, int] = {}
        self._special = 0 if model.is_chat else SPECIAL_TOKENS

    def worst(self, task: TaskPart, jobs: Sequence[Job]) -> tuple[int, str]:
        """Return the most tokens of a prompt with its longest reply, and its question."""
        sizes = self._model.count_all([job.prompt for job in jobs])
        return max(
            (size + self._special + self._reserve(task, job.question), job.question.id)
            for size, job in zip(sizes, jobs, strict=True)
        )

    def _reserve(self, task: TaskPart, question: Question) -> int:
        """Return the maximum tokens of a reply."""
        if task.scoring == "generate":
            return task.reply_limit
        replies = continuations(question, task.scoring)
        missing = [reply for reply in dict.fromkeys(replies) if reply not in self._replies]
        if missing:
            texts = list(map(self._model.continuation, missing))
            self._replies |= dict(zip(missing, self._model.count_all(texts), strict=True))
        return max(self._replies[reply] for reply in replies)


def _too_long(
    model: Model, cell: Cell, size: int, question_id: str, fix: Callable[[Cell, int], str]
) -> UsageError:
    return UsageError(
        f"a prompt of {size:,} tokens with its reply does not fit the "
        f"{model.context_tokens:,} tokens of {cell.model_name!r}",
        where=f"task {cell.task.spec.name}, arm {cell.arm}, question {question_id}",
        fix=fix(cell, size - model.context_tokens),
    )
