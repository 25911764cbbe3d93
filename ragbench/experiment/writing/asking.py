"""Writings as cells of their own, asked as questions are: each reply is a record in ``written/``.

So a killed writing continues with the next text, and every reply counts in ``max_cost``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ragbench.base.errors import BackendError, SpentError
from ragbench.base.records import Question, Scoring
from ragbench.experiment.answering.answer import answer_open
from ragbench.experiment.answering.cache import ReplyCache
from ragbench.experiment.answering.opening import Jobs, check_lengths, open_each
from ragbench.experiment.answering.spending import Spending, limit_text
from ragbench.experiment.answering.units import Unit, units_of
from ragbench.experiment.answering.watching import Watch
from ragbench.experiment.answering.writing import Cell
from ragbench.experiment.config.spec import TaskSpec
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.stages.arms import Delivery
from ragbench.experiment.writing.instructions import VERDICTS, Instruction
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.records import Record, last_records
from ragbench.tasks.task import TaskInfo


@dataclass(frozen=True, slots=True)
class Session:
    """What a session of writing shares with that of answering.

    Attributes:
        folder: The run.
        spending: Gets the cost of all replies.
        cache: Replies of earlier runs.
    """

    folder: RunPaths
    spending: Spending = field(default_factory=Spending)
    cache: ReplyCache | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Writing:
    """One text per question of a task, or a judgement of each of several passages.

    Attributes:
        name: Its name in the files of its records, such as ``queries.rationale``.
        part: The questions as a writer of chats sees them, without their answers.
        plain: The same as a writer with the plain format sees them.
        writers: Models that write it.
        shown: Passages by question that are judged.
        limit_key: Key of the config with the maximum tokens of a reply; empty if there is none.
    """

    name: str
    part: TaskPart
    plain: TaskPart
    writers: tuple[str, ...]
    shown: Mapping[str, Delivery] = field(default_factory=dict)
    limit_key: str = ""

    @property
    def size(self) -> int:
        """Number of prompts per writer."""
        return len(self.part.questions)

    def shortened(self, excess: int) -> str:
        """Return what to do about a prompt that with its reply is some tokens too long."""
        room = self.part.reply_limit - excess
        if self.limit_key and room > 0:
            return f"set {self.limit_key} to {room:,} or less"
        return "give `by` a model with a larger context"


def writing_parts(
    task: TaskPart,
    kind: str,
    asked: Instruction,
    questions: Sequence[tuple[str, str]],
    *,
    n: int = 1,
    scoring: Scoring = "generate",
    limit: int | None = None,
) -> tuple[TaskPart, TaskPart]:
    """Return a task of writers, for chats and in the plain format.

    Args:
        task: The task whose questions it is for.
        kind: What is written.
        asked: The prompt's texts.
        questions: Id and user turn of each prompt.
        n: Number of texts per reply.
        scoring: ``generate``, or ``letters`` for a judgement.
        limit: Maximum tokens of a reply; by default that of the kind of text.
    """
    reply_limit = limit or asked.limit
    info = TaskInfo(
        instruction=asked.system.format(n=n),
        default_corpus="",
        licence=task.info.licence,
        data_use=task.info.data_use,
        scoring=scoring,
        answers="text" if scoring == "generate" else "option",
        reply_limit=reply_limit,
    )
    options = () if scoring == "generate" else VERDICTS
    made = [Question(name, text, options, -1, "") for name, text in questions]
    spec = TaskSpec(name=task.spec.name, task=f"written: {kind}")
    chat = TaskPart(spec, info, made, scoring, reply_limit)
    return chat, replace(chat, info=replace(info, cue=asked.cue)) if asked.cue else chat


def ask(grid: Grid, session: Session, writings: Sequence[Writing]) -> None:
    """Ask every writer for what it has not written yet.

    Raises:
        BackendError: A writer failed; the same command continues.
        SpentError: The limit of cost is reached.
        UsageError: A prompt is too long for a writer's context.
    """
    folder = session.folder.written
    planned = [
        (_cell(grid, model.name, writing), _units(grid, model.name, writing))
        for model in grid.config.models
        for writing in writings
        if model.name in writing.writers
    ]
    if not planned:
        return
    shown: dict[tuple[str, ...], Mapping[str, Delivery]] = {
        (w.part.spec.name, w.name, writer): _shown(w) for w in writings for writer in w.writers
    }
    jobs = Jobs(grid, shown)
    watch = Watch([name for name, model in grid.models.items() if model.facts().served])
    opened = open_each(folder, planned, jobs, session.spending, watch)
    named = {(w.part.spec.name, w.name): w for w in writings}
    check_lengths(
        grid, opened, jobs, lambda cell, n: named[cell.task.spec.name, cell.arm].shortened(n)
    )
    try:
        errors = answer_open(
            grid, folder, opened, jobs, session.spending, watch, session.cache, label="write"
        )
    finally:
        for name in opened:  # an index may need the memory next
            grid.models[name].release()
    if session.spending.left:
        raise _spent(session)
    if errors:
        raise _failed(folder, planned)


def records_of(session: Session, writing: Writing, writer: str) -> dict[str, Record]:
    """Return what a writer has written by question."""
    task = writing.part.spec.name
    return last_records(session.folder.written.records(writer, task, writing.name))


def _cell(grid: Grid, model: str, writing: Writing) -> Cell:
    part = writing.part if grid.models[model].is_chat else writing.plain
    return Cell(model, part, writing.name)


def _units(grid: Grid, model: str, writing: Writing) -> list[Unit]:
    names = [question.id for question in writing.part.questions]
    size = grid.models[model].batch_size
    return units_of(writing.part.spec.name, names, arms=1, batch_size=size)


def _shown(writing: Writing) -> Mapping[str, Delivery]:
    nothing = Delivery()
    return {q.id: writing.shown.get(q.id, nothing) for q in writing.part.questions}


def missing(n: int) -> str:
    """Return how many texts are missing.

    >>> missing(1)
    '1 text that a model writes for the arms is missing'
    >>> missing(1200)
    '1,200 texts that models write for the arms are missing'
    """
    if n == 1:
        return "1 text that a model writes for the arms is missing"
    return f"{n:,} texts that models write for the arms are missing"


def _spent(session: Session) -> SpentError:
    spending = session.spending
    return SpentError(
        f"the run stopped at its max_cost of {limit_text(spending.limit or 0)} "
        f"{spending.currency} before the first answer: {missing(spending.left)}",
        where=str(session.folder.path),
        fix="run the same command with a higher limit, --set max_cost=LIMIT; it counts the "
        "texts so far, which are kept",
    )


def _failed(folder: RunPaths, planned: Sequence[tuple[Cell, Sequence[Unit]]]) -> BackendError:
    """Return the error of texts that are missing, with the first of them."""
    failed: list[tuple[str, Record]] = []
    for cell, _ in planned:
        path = folder.records(cell.model_name, cell.task.spec.name, cell.arm)
        failed += [(cell.label, r) for r in last_records(path).values() if r.error is not None]
    label, record = failed[0]
    return BackendError(
        f"{missing(len(failed))}; the first: {record.error}",
        where=f"{label}, question {record.question_id}",
        fix="run the same command again; it asks only for these, and then asks the questions",
    )
