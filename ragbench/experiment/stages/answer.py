"""Stage 2: every model answers every question of every cell, one record per question.

A record is appended as soon as its answer arrives and never rewritten, so that a killed run
continues with the next question. Models behind different servers answer side by side, from one
queue over all their tasks and arms; a model in this process answers alone. A model that answers
several questions at a time has its records in the order of its answers; one thread writes them. A
record's key binds it to the question, the model's weights and number format, and the rendered
prompt; a record with another key is refused, not reused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby

from ragbench.base.errors import BackendError, DataError, RagbenchError, UsageError
from ragbench.base.files import drop_torn_line
from ragbench.base.progress import Progress, say, stage
from ragbench.base.records import Question
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.grid.sources import arms_of
from ragbench.experiment.stages.deliver import Packed
from ragbench.experiment.stages.in_flight import Lane, in_flight, in_turn
from ragbench.experiment.stages.lanes import batches_of, phases_of
from ragbench.experiment.stages.prompts import continuations, messages
from ragbench.experiment.stages.spending import Spending
from ragbench.experiment.stages.watching import Watch
from ragbench.experiment.stages.writing import Answer, Cell, Job, Open, OpenCell, Stamped, Writer
from ragbench.models.model import Adaptive, Choice, Model
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.questions import question_digest
from ragbench.runfolder.records import place_of, read_records, record_key

MAX_ERRORS_IN_A_ROW = 5
SPECIAL_TOKENS = 2  # a tokenizer may add these to a plain prompt


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
    grid: Grid,
    folder: RunPaths,
    packed: Packed,
    spending: Spending | None = None,
    watch: Watch | None = None,
) -> int:
    """Ask every question without an answer, and return the number of backend errors.

    A question with an error is asked again on resume. ``folder`` gets records and prompts, and
    ``spending`` the cost of all answers; once its limit is reached, nothing more is asked.
    ``watch`` gets all answers, and warns.

    Raises:
        DataError: The folder has answers to other prompts.
        BackendError: Several questions in a row failed.
        RagbenchError: A model can be asked no more, such as one whose key is missing.
    """
    spending, watch = spending or Spending(), watch or Watch()
    drop_torn_line(folder.prompts)
    todo: dict[str, list[OpenCell]] = {}
    for cell in cells(grid):
        found = _open_cell(grid, folder, cell, packed, spending, watch)
        if found.jobs or found.every:
            todo.setdefault(cell.model_name, []).append(found)
    todo = {name: found for name, found in todo.items() if any(cell.jobs for cell in found)}
    total = sum(len(cell.jobs) for open_cells in todo.values() for cell in open_cells)
    if not total:
        return 0
    phases = phases_of(spec for spec in grid.config.models if spec.name in todo)
    before: list[str] = []
    with closing(Writer(grid.config.seed, folder)) as writer, stage("answer", total) as progress:
        for phase in phases:
            for name in before:
                grid.models[name].release()
            before = [name for lane in phase for name in lane]
            lanes = [[cell for name in lane for cell in todo[name]] for lane in phase]
            _answer_phase(grid, lanes, writer, progress, spending, watch)
        spending.left += total - writer.written
        return writer.errors


def _open_cell(
    grid: Grid, folder: RunPaths, cell: Cell, packed: Packed, spending: Spending, watch: Watch
) -> OpenCell:
    path = folder.records(cell.model_name, cell.task.spec.name, cell.arm)
    if path.exists():
        drop_torn_line(path)
    done = {}
    for record in read_records(path):
        if record.error is None:
            done[record.question_id] = record
            spending.add(record)
    found, earlier = OpenCell(cell), []
    has_batches = grid.models[cell.model_name].batch_size > 1
    for job in jobs(grid, cell, packed):
        if has_batches:
            found.every.append(job)
        if job.question.id not in done:
            found.jobs.append(job)
            continue
        earlier.append((job.question, done.pop(job.question.id)))
        if earlier[-1][1].key != job.key:
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
    watch.begin((cell.model_name, cell.task, cell.arm), earlier, len(found.jobs))
    return found


def _answer_phase(
    grid: Grid,
    lanes: Sequence[Sequence[OpenCell]],
    writer: Writer,
    progress: Progress,
    spending: Spending,
    watch: Watch,
) -> None:
    """Ask the open questions of lanes side by side.

    A lane is stopped if several questions in a row fail or a model can be asked no more; the others
    go on to their end.

    Raises:
        RagbenchError: A lane was stopped.
    """
    broken: RagbenchError | None = None
    going: dict[OpenCell, Lane[Open]] = {}
    for open_cells in lanes:
        going |= dict.fromkeys(open_cells, Lane(_questions(open_cells), _limit(grid)))
    with closing(_answers(grid, going, spending)) as answers:
        for (cell, place), (answer, at) in answers:
            if isinstance(answer, Answer):
                record = writer.write(cell, place, answer, at)
                spending.add(record)
                watch.add(cell.cell.task, cell.jobs[place].question, record)
                progress.advance()
                if cell.failed_in_a_row(place) < MAX_ERRORS_IN_A_ROW:
                    continue
                error: RagbenchError = BackendError(
                    f"{MAX_ERRORS_IN_A_ROW} questions in a row failed; the last: {record.error}",
                    where=cell.cell.label,
                    fix="fix the cause and run the same command again; answers so far are kept",
                )
            else:
                error = answer
            if going[cell].is_stopped:
                continue
            going[cell].stop()
            if any(lane.is_going for lane in going.values()):
                say(f"{cell.cell.label}: {error.what}; models behind other servers go on")
            broken = broken or error
    if broken is not None:
        raise broken


def _questions(open_cells: Sequence[OpenCell]) -> Iterator[Open]:
    return ((cell, place) for cell in open_cells for place in range(len(cell.jobs)))


def _limit(grid: Grid) -> Callable[[Open], int]:
    """Return the function that says how many questions may be in flight with one of them."""
    adaptive = {name: model for name, model in grid.models.items() if isinstance(model, Adaptive)}

    def limit(question: Open) -> int:
        name = question[0].cell.model_name
        return adaptive[name].in_flight_now() if name in adaptive else grid.models[name].concurrency

    return limit


def _answers(
    grid: Grid, going: Mapping[OpenCell, Lane[Open]], spending: Spending
) -> Generator[tuple[Open, Stamped], None, None]:
    """Yield each question with its answer; in this thread if one is asked at a time."""

    def ask(question: Open) -> Stamped:
        cell, place = question
        model = grid.models[cell.cell.model_name]
        answer: Answer | RagbenchError
        try:
            (answer,) = _ask(model, cell.cell.task, [cell.jobs[place]])
        except RagbenchError as error:  # of the model, not of the question
            answer = error
        return answer, time.time()

    lanes = list(dict.fromkeys(going.values()))
    models = [grid.models[cell.cell.model_name] for cell in going]
    several = any(isinstance(model, Adaptive) or model.concurrency > 1 for model in models)
    if several or len(lanes) > 1:
        return in_flight(ask, lanes, may_start=spending.may_go_on)
    if any(model.batch_size > 1 for model in models):
        return _by_batches(grid, going, spending)
    return in_turn(ask, lanes, may_start=spending.may_go_on)


def _by_batches(
    grid: Grid, going: Mapping[OpenCell, Lane[Open]], spending: Spending
) -> Generator[tuple[Open, Stamped], None, None]:
    """Yield each open question with its answer; a model answers several at a time."""
    for name, cells_of in groupby(going, key=lambda cell: cell.cell.model_name):
        model = grid.models[name]
        for batch in batches_of(cells_of, model.batch_size):
            cell, place = next((one.cell, one.place) for one in batch if one.place is not None)
            if going[cell].is_stopped or not spending.may_go_on():
                return
            try:
                answers = _ask(model, cell.cell.task, [one.job for one in batch])
            except RagbenchError as error:  # of the model, not of a question
                yield (cell, place), (error, time.time())
                return
            at = time.time() - sum(_elapsed(answer) for answer in answers)
            for one, answer in zip(batch, answers, strict=True):
                at += _elapsed(answer)  # as if they had been answered one after the other
                if one.place is not None:
                    yield (one.cell, one.place), (answer, at)


def _elapsed(answer: Answer) -> float:
    return 0.0 if isinstance(answer, BackendError) else answer.elapsed_s


def _ask(model: Model, task: TaskPart, batch: Sequence[Job]) -> Sequence[Answer]:
    if task.scoring == "generate":
        return model.generate_batch([job.prompt for job in batch], limit=task.reply_limit)
    choices = [Choice(job.prompt, continuations(job.question, task.scoring)) for job in batch]
    return model.score_batch(choices)
