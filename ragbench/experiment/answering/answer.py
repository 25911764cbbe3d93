"""Stage 2: every model answers every question of every cell, one record per question.

A record is appended as soon as its answer arrives and never rewritten, so that a killed run
continues with the next question. Questions are asked unit by unit, all arms of a question after one
another; a prompt that several of them share is asked once. Models behind different servers answer
side by side, from one queue over all their tasks and arms; a model in this process answers alone.
One thread writes the records, in the order of the answers. A record's key binds it to the question,
the model's weights and number format, and the rendered prompt; a record with another key is
refused, not reused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing

from ragbench.base.errors import BackendError, RagbenchError
from ragbench.base.files import drop_torn_line
from ragbench.base.progress import Progress, say, stage
from ragbench.experiment.answering.asks import Ask, Asks, Known
from ragbench.experiment.answering.cache import ReplyCache
from ragbench.experiment.answering.in_flight import Lane, in_flight, in_turn
from ragbench.experiment.answering.lanes import is_local, phases_of
from ragbench.experiment.answering.opening import Jobs, Opened, Packed, open_cells, plan_units
from ragbench.experiment.answering.spending import Spending
from ragbench.experiment.answering.watching import Watch
from ragbench.experiment.answering.writing import Answer, Writer
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.stages.prompts import continuations
from ragbench.models.model import Adaptive, Choice, Model
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.records import Record

MAX_ERRORS_IN_A_ROW = 5
# An answer, one that is there already, or why the model can be asked no more; and its Unix time.
Stamped = tuple[Answer | Known | RagbenchError, float]


def answer_all(
    grid: Grid,
    folder: RunPaths,
    packed: Packed,
    spending: Spending | None = None,
    watch: Watch | None = None,
) -> int:
    """Ask every question without an answer, and return the number of backend errors.

    Raises:
        DataError: The folder has answers to other prompts.
        BackendError: Several questions in a row failed.
        RagbenchError: A model can be asked no more, such as one whose key is missing.
    """
    spending, watch, jobs = spending or Spending(), watch or Watch(), Jobs(grid, packed)
    opened = open_cells(grid, folder, jobs, plan_units(grid), spending, watch)
    return answer_open(grid, folder, opened, jobs, spending, watch)


def answer_open(
    grid: Grid,
    folder: RunPaths,
    opened: Opened,
    jobs: Jobs,
    spending: Spending,
    watch: Watch,
    cache: ReplyCache | None = None,
    *,
    label: str = "answer",
) -> int:
    """Ask every open question, and return the number of backend errors.

    A question with an error is asked again on resume. ``folder`` gets records and prompts, and
    ``spending`` the cost of all answers; once its limit is reached, nothing more is asked.
    ``watch`` gets all answers, and warns. ``cache`` has answers of earlier runs, and gets new ones.
    ``label`` names the stage.

    Raises:
        BackendError: Several questions in a row failed.
        RagbenchError: A model can be asked no more, such as one whose key is missing.
    """
    todo = {name: tasks for name, tasks in opened.items() if any(task.left for task in tasks)}
    total = sum(task.left for tasks in todo.values() for task in tasks)
    drop_torn_line(folder.prompts)
    if not total:
        return 0
    asks = Asks(jobs, cache)
    phases = phases_of(spec for spec in grid.config.models if spec.name in todo)
    # A round before may have left another model in memory.
    first = {name for lane in phases[0] for name in lane}
    before = [s.name for s in grid.config.models if s.name not in first and is_local(s)]
    with closing(Writer(grid.config.seed, folder)) as writer, stage(label, total) as progress:
        session = _Session(grid, asks, writer, progress, spending, watch)
        for phase in phases:
            for name in before:
                grid.models[name].release()
            before = [name for lane in phase for name in lane]
            session.answer([{name: todo[name] for name in lane} for lane in phase])
        spending.left += total - writer.written
        return writer.errors


class _Session:
    """Asks the open questions of lanes, and writes their records."""

    def __init__(
        self,
        grid: Grid,
        asks: Asks,
        writer: Writer,
        progress: Progress,
        spending: Spending,
        watch: Watch,
    ) -> None:
        self._grid = grid
        self._asks = asks
        self._writer = writer
        self._progress = progress
        self._spending = spending
        self._watch = watch

    def answer(self, lanes: Sequence[Opened]) -> None:
        """Ask the open questions of lanes side by side.

        A lane is stopped if several questions in a row fail or a model can be asked no more; the
        others go on to their end.

        Raises:
            RagbenchError: A lane was stopped.
        """
        broken: RagbenchError | None = None
        going: dict[str, Lane[Ask]] = {}
        for lane in lanes:
            going |= dict.fromkeys(lane, Lane(self._every(lane), _limit(self._grid)))
        with closing(self._answers(going, lanes)) as answers:
            for ask, (answer, at) in answers:
                if isinstance(answer, Answer | Known):
                    records = self._write(ask, answer, at)
                    error: RagbenchError | None = _failed(ask, records)
                    if error is None:
                        continue
                else:
                    error = answer
                lane_of = going[ask.model]
                if lane_of.is_stopped:
                    continue
                lane_of.stop()
                if any(lane.is_going for lane in going.values()):
                    label = ask.takers[0].cell.cell.label
                    say(f"{label}: {error.what}; models behind other servers go on")
                broken = broken or error
        if broken is not None:
            raise broken

    def _every(self, lane: Opened) -> Iterator[Ask]:
        """Yield the prompts of a lane that open questions wait for."""
        for name, tasks in lane.items():
            for unit in self._asks.units(name, tasks):
                yield from (ask for ask in unit if ask.takers)

    def _write(self, ask: Ask, answer: Answer | Known, at: float) -> list[Record]:
        """Write the record of each question that takes an answer, and return them."""
        records: list[Record] = []
        for taker in ask.takers:
            if isinstance(answer, Known):
                # The record of the first question with a prompt was lost: it counts again.
                is_lost = answer.record.reused == "run" and taker.job is ask.job
                how = None if is_lost else answer.how
                record = self._writer.reuse(taker, answer.record, how)
            elif not records or records[0].error is not None:
                record = self._writer.write(taker, answer, at)
                if not records:
                    self._asks.keep(ask, record)
            else:
                record = self._writer.reuse(taker, records[0], "run")
            records.append(record)
            self._spending.add(record)
            self._watch.add(taker.cell.cell.task, taker.job.question, record)
            self._progress.advance()
        return records

    def _answers(
        self, going: Mapping[str, Lane[Ask]], lanes: Sequence[Opened]
    ) -> Generator[tuple[Ask, Stamped], None, None]:
        """Yield each prompt with its answer; in this thread if one is asked at a time."""

        def ask_one(ask: Ask) -> Stamped:
            if ask.known is not None:
                return ask.known, time.time()
            answer: Answer | RagbenchError
            try:
                (answer,) = _ask(self._grid.models[ask.model], [ask])
            except RagbenchError as error:  # of the model, not of the question
                answer = error
            return answer, time.time()

        queues = list(dict.fromkeys(going.values()))
        models = [self._grid.models[name] for name in going]
        if any(model.batch_size > 1 for model in models):
            return self._by_units(going, lanes)
        several = any(isinstance(model, Adaptive) or model.concurrency > 1 for model in models)
        how = in_flight if several or len(queues) > 1 else in_turn
        return how(ask_one, queues, may_start=self._spending.may_go_on)

    def _by_units(
        self, going: Mapping[str, Lane[Ask]], lanes: Sequence[Opened]
    ) -> Generator[tuple[Ask, Stamped], None, None]:
        """Yield each prompt with its answer; a model answers those of a unit together."""
        queues = [
            Lane(self._units(lane), lambda unit: self._grid.models[unit[0].model].concurrency)
            for lane in lanes
        ]

        def may_start() -> bool:
            is_stopped = any(lane.is_stopped for lane in going.values())
            return self._spending.may_go_on() and not is_stopped

        several = any(self._grid.models[name].concurrency > 1 for name in going)
        how = in_flight if several or len(queues) > 1 else in_turn
        with closing(how(self._ask_unit, queues, may_start=may_start)) as units:
            for _, answers in units:
                yield from answers

    def _units(self, lane: Opened) -> Iterator[list[Ask]]:
        """Yield the prompts of each unit of a lane that has open questions."""
        for name, tasks in lane.items():
            yield from self._asks.units(name, tasks)

    def _ask_unit(self, unit: list[Ask]) -> list[tuple[Ask, Stamped]]:
        """Return the open prompts of a unit with their answers.

        Prompts that have an answer already are asked beside the others of their unit all the same,
        so that the answers of a resumed run are those of an uninterrupted one.
        """
        found: list[tuple[Ask, Stamped]] = [
            (ask, (ask.known, time.time())) for ask in unit if ask.takers and ask.known is not None
        ]
        if all(ask.known is not None for ask in unit if ask.takers):
            return found
        beside = [ask for ask in unit if ask.is_beside]
        try:
            answers = _ask(self._grid.models[unit[0].model], beside)
        except RagbenchError as error:  # of the model, not of a question
            return [*found, (next(ask for ask in unit if ask.takers), (error, time.time()))]
        at = time.time() - sum(_elapsed(answer) for answer in answers)
        for ask, answer in zip(beside, answers, strict=True):
            at += _elapsed(answer)  # as if they had been answered one after the other
            if ask.takers and ask.known is None:
                found.append((ask, (answer, at)))
        return found


def _failed(ask: Ask, records: Sequence[Record]) -> BackendError | None:
    """Return the error of a cell in which several questions in a row failed; None if none is."""
    for taker, record in zip(ask.takers, records, strict=True):
        if taker.cell.failed_in_a_row(taker.place) >= MAX_ERRORS_IN_A_ROW:
            return BackendError(
                f"{MAX_ERRORS_IN_A_ROW} questions in a row failed; the last: {record.error}",
                where=taker.cell.cell.label,
                fix="fix the cause and run the same command again; answers so far are kept",
            )
    return None


def _limit(grid: Grid) -> Callable[[Ask], int]:
    """Return the function that says how many prompts may be in flight with one of them."""
    adaptive = {name: model for name, model in grid.models.items() if isinstance(model, Adaptive)}

    def limit(ask: Ask) -> int:
        name = ask.model
        return adaptive[name].in_flight_now() if name in adaptive else grid.models[name].concurrency

    return limit


def _elapsed(answer: Answer) -> float:
    return 0.0 if isinstance(answer, BackendError) else answer.elapsed_s


def _ask(model: Model, asks: Sequence[Ask]) -> Sequence[Answer]:
    task = asks[0].task.task
    if task.scoring == "generate":
        return model.generate_batch([ask.job.prompt for ask in asks], limit=task.reply_limit)
    return model.score_batch(
        [Choice(ask.job.prompt, continuations(ask.job.question, task.scoring)) for ask in asks]
    )
