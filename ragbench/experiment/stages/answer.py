"""Stage 2: every model answers every question of every cell, one record per question.

A record is appended as soon as its answer arrives and never rewritten, so that a killed run
continues with the next question. A model that answers several questions at a time has its records
in the order of its answers; one thread writes them. A record's key binds it to the question, the
model's weights and number format, and the rendered prompt; a record with another key is refused,
not reused.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile

from ragbench.base.errors import BackendError, DataError, FilteredError, UsageError
from ragbench.base.files import (
    JsonlAppender,
    drop_torn_line,
    sha256_text,
)
from ragbench.base.progress import Progress, say, stage
from ragbench.base.records import OptionScores, Question, Reply
from ragbench.base.words import replace_surrogates
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.grid.sources import arms_of
from ragbench.experiment.stages.deliver import Packed
from ragbench.experiment.stages.in_flight import in_flight
from ragbench.experiment.stages.prompts import continuations, messages
from ragbench.experiment.stages.spending import Spending
from ragbench.models.model import Choice, Model
from ragbench.runfolder.passages import PromptLine, read_prompts
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.questions import question_digest
from ragbench.runfolder.records import (
    Record,
    place_of,
    read_records,
    record_key,
    record_to_json,
    sealed,
)
from ragbench.runfolder.schema import to_json

MAX_ERRORS_IN_A_ROW = 5
SPECIAL_TOKENS = 2  # a tokenizer may add these to a plain prompt
Answer = Reply | OptionScores | BackendError


@dataclass(frozen=True)
class Cell:
    """One model, task and arm."""

    model_name: str
    task: TaskPart
    arm: str


@dataclass(frozen=True)
class Job:
    """One question of one cell, ready to ask."""

    question: Question
    prompt: str
    passages: list[str]
    key: str


@dataclass(frozen=True, slots=True)
class _Done:
    """Numbers of questions that were asked of a cell, and of errors among them."""

    asked: int
    errors: int


def cells(grid: Grid) -> Iterator[Cell]:
    """Yield the grid's cells by model, so that one model is loaded at a time."""
    for spec in grid.config.models:
        for task in grid.tasks:
            for arm in arms_of(grid.config, task):
                yield Cell(spec.name, task, arm.name)


def jobs(grid: Grid, cell: Cell, packed: Packed) -> Iterator[Job]:
    """Yield a cell's questions with their rendered prompts and record keys."""
    model = grid.models[cell.model_name]
    model_digest = model.digest()
    task = cell.task
    delivered = packed[task.spec.name, cell.arm]
    for question in task.questions:
        passages = delivered[question.id].passages
        prompt = model.render(messages(task.info, question, passages, task.scoring))
        key = record_key(
            task=task.spec.task,
            question=question_digest(question),
            model=model_digest,
            prompt=prompt,
            scoring=task.scoring,
            reply_limit=task.reply_limit,
            seed=grid.config.seed,
        )
        yield Job(question, prompt, [p.id for p in passages], key)


def check_lengths(grid: Grid, packed: Packed) -> None:
    """Refuse, before the first answer, a prompt that is too long for a model's context.

    Raises:
        UsageError: A prompt with its longest reply is too long; the message names the worst.
    """
    for cell in cells(grid):
        model = grid.models[cell.model_name]
        worst: tuple[int, Job] | None = None
        for job in jobs(grid, cell, packed):
            size = model.count_tokens(job.prompt) + reserve(model, cell.task, job.question)
            size += 0 if model.is_chat else SPECIAL_TOKENS
            if size > model.context_tokens and (worst is None or size > worst[0]):
                worst = (size, job)
        if worst is not None:
            raise UsageError(
                f"a prompt of {worst[0]:,} tokens with its reply does not fit the "
                f"{model.context_tokens:,} tokens of {cell.model_name!r}",
                where=f"task {cell.task.spec.name}, arm {cell.arm}, question "
                f"{worst[1].question.id}",
                fix="lower packing.budget_tokens or the arm's k, or leave the model out",
            )


def reserve(model: Model, task: TaskPart, question: Question) -> int:
    """Return the maximum tokens of a reply."""
    if task.scoring == "generate":
        return task.reply_limit
    replies = continuations(question, task.scoring)
    return max(model.count_tokens(model.continuation(reply)) for reply in replies)


def answer_all(
    grid: Grid, folder: RunPaths, packed: Packed, spending: Spending | None = None
) -> int:
    """Ask every question without an answer, and return the number of backend errors.

    A question with an error is asked again on resume. ``folder`` gets records and prompts, and
    ``spending`` the cost of all answers; once its limit is reached, nothing more is asked.

    Raises:
        DataError: The folder has answers to other prompts.
        BackendError: Several questions in a row failed.
    """
    errors = 0
    spending = spending or Spending()
    drop_torn_line(folder.prompts)
    stored = set(read_prompts(folder.prompts))
    todo = []
    for cell in cells(grid):
        open_jobs = _unanswered(grid, folder, cell, packed, spending)
        if open_jobs:
            todo.append((cell, open_jobs))
    total = sum(len(open_jobs) for _, open_jobs in todo)
    if not total:
        return 0
    with JsonlAppender(folder.prompts) as prompts, stage("answer", total) as progress:
        for place, (cell, open_jobs) in enumerate(todo):
            if place and todo[place - 1][0].model_name != cell.model_name:
                grid.models[todo[place - 1][0].model_name].release()
            done = _answer_cell(grid, folder, cell, open_jobs, prompts, stored, progress, spending)
            errors += done.errors
            spending.left += len(open_jobs) - done.asked
    return errors


def _unanswered(
    grid: Grid, folder: RunPaths, cell: Cell, packed: Packed, spending: Spending
) -> list[Job]:
    path = folder.records(cell.model_name, cell.task.spec.name, cell.arm)
    if path.exists():
        drop_torn_line(path)
    done = {}
    for record in read_records(path):
        if record.error is None:
            done[record.question_id] = record.key
            spending.add(record)
    found = []
    for job in jobs(grid, cell, packed):
        key = done.pop(job.question.id, None)
        if key is None:
            found.append(job)
        elif key != job.key:
            raise DataError(
                f"the run has an answer to another prompt for question {job.question.id!r}",
                where=place_of(path, job.question.id),
                fix="give the config another `name:`, or remove the run folder",
            )
    if done:
        raise DataError(
            f"the run has answers to {len(done):,} questions that are no longer asked, such as "
            f"{next(iter(done))!r}",
            where=place_of(path, next(iter(done))),
            fix="give the config another `name:`, or remove the run folder",
        )
    return found


def _answer_cell(
    grid: Grid,
    folder: RunPaths,
    cell: Cell,
    todo: list[Job],
    prompts: JsonlAppender,
    stored: set[str],
    progress: Progress,
    spending: Spending,
) -> _Done:
    model = grid.models[cell.model_name]
    asked = errors = in_a_row = replaced = 0
    path = folder.records(cell.model_name, cell.task.spec.name, cell.arm)
    with (
        JsonlAppender(path) as records,
        closing(_answers(model, cell.task, todo, spending)) as answers,
    ):
        for job, answer in answers:
            digest = sha256_text(job.prompt)
            if digest not in stored:
                prompts.append(to_json(PromptLine(digest=digest, text=job.prompt)))
                stored.add(digest)
            record = _record(grid, cell, job, digest, answer)
            records.append(record_to_json(sealed(record)))
            spending.add(record)
            progress.advance()
            asked += 1
            failed = record.error is not None
            errors += failed
            replaced += record.replaced or 0
            in_a_row = in_a_row + 1 if failed else 0
            if in_a_row == MAX_ERRORS_IN_A_ROW:
                raise BackendError(
                    f"{in_a_row} questions in a row failed; the last: {record.error}",
                    where=f"{cell.model_name}, {cell.task.spec.name}, {cell.arm}",
                    fix="fix the cause and run the same command again; answers so far are kept",
                )
    if replaced:
        say(
            f"{cell.model_name}, {cell.task.spec.name}, {cell.arm}: the replies had {replaced:,} "
            "halves of characters (lone surrogates), which are stored as U+FFFD"
        )
    return _Done(asked, errors)


def _answers(
    model: Model, task: TaskPart, todo: list[Job], spending: Spending
) -> Generator[tuple[Job, Answer], None, None]:
    """Yield each job with its answer, in order if one is asked at a time."""
    batches = [[job] for job in todo]
    ask = partial(_ask, model, task)
    if model.concurrency > 1:
        found = in_flight(ask, batches, at_once=model.concurrency, may_start=spending.may_go_on)
    else:
        started = takewhile(lambda _: spending.may_go_on(), batches)
        found = ((batch, ask(batch)) for batch in started)
    with closing(found):
        for batch, answers in found:
            yield from zip(batch, answers, strict=True)


def _ask(model: Model, task: TaskPart, batch: Sequence[Job]) -> Sequence[Answer]:
    if task.scoring == "generate":
        return model.generate_batch([job.prompt for job in batch], limit=task.reply_limit)
    choices = [Choice(job.prompt, continuations(job.question, task.scoring)) for job in batch]
    return model.score_batch(choices)


def _record(grid: Grid, cell: Cell, job: Job, digest: str, answer: Answer) -> Record:
    record = Record(
        key=job.key,
        model=cell.model_name,
        task=cell.task.spec.name,
        arm=cell.arm,
        seed=grid.config.seed,
        scoring=cell.task.scoring,
        question_id=job.question.id,
        passages=tuple(job.passages),
        prompt=digest,
        question=question_digest(job.question),
        log_likelihoods=None,
        error=None,
    )
    if isinstance(answer, FilteredError):
        return replace(record, reply="", finish="filtered")
    if isinstance(answer, BackendError):
        return replace(record, error=replace_surrogates(answer.what)[0], finish="error")
    record = replace(
        record, prompt_tokens=answer.prompt_tokens, elapsed_s=round(answer.elapsed_s, 4)
    )
    if isinstance(answer, Reply):
        text, halves = replace_surrogates(answer.text)
        return replace(
            record,
            reply=text,
            reply_tokens=answer.tokens,
            finish=answer.finish,
            replaced=(answer.replaced + halves) or None,
            opened=answer.opened or None,
            cached_tokens=answer.cached_tokens,
        )
    return replace(
        record,
        log_likelihoods=answer.log_likelihoods,
        option_tokens=answer.option_tokens,
        requests=answer.requests,
        unlisted=answer.unlisted or None,
        finish="scored",
    )
