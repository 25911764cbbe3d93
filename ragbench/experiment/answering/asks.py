"""The distinct prompts of a unit, and the open questions that take the answer of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ragbench.experiment.answering.cache import CacheKey, ReplyCache
from ragbench.experiment.answering.opening import Jobs, OpenTask
from ragbench.experiment.answering.units import Unit
from ragbench.experiment.answering.writing import Job, Open, OpenCell
from ragbench.experiment.stages.prompts import continuations
from ragbench.runfolder.records import Record, Reused, read_records


@dataclass(frozen=True, slots=True)
class Known:
    """An answer that is there already, and where it is from."""

    record: Record
    how: Reused


@dataclass(eq=False, slots=True)
class Ask:
    """One distinct prompt of a unit.

    Attributes:
        model: The model's name.
        task: The task and its cells.
        job: The first question with the prompt, in the order of the plan.
        takers: The open questions that get the answer, in that order.
        is_beside: Whether the prompt is answered beside the others of its unit. That of an arm of
            a finished run is not when arms are added.
        known: Its answer, if it has one.
    """

    model: str
    task: OpenTask
    job: Job
    takers: list[Open] = field(default_factory=list)
    is_beside: bool = False
    known: Known | None = None


class Asks:
    """The prompts of units, rendered when their turn comes."""

    def __init__(self, jobs: Jobs, cache: ReplyCache | None) -> None:
        self._jobs = jobs
        self._cache = cache
        self._earlier: dict[OpenCell, dict[str, Record]] = {}

    def units(self, model: str, tasks: Sequence[OpenTask]) -> Iterator[list[Ask]]:
        """Yield the distinct prompts of each unit with open questions."""
        for task in tasks:
            self._earlier.clear()
            beside = set(_beside(task.cells))
            for unit in task.units:
                places = range(unit.start, unit.end)
                if any(place in cell.open for cell in task.cells for place in places):
                    yield self._unit(model, task, unit, beside)

    def _unit(self, model: str, task: OpenTask, unit: Unit, beside: set[OpenCell]) -> list[Ask]:
        found: dict[tuple[str, tuple[str, ...]], Ask] = {}
        holders: dict[Ask, tuple[OpenCell, str]] = {}
        part = task.task
        for place in range(unit.start, unit.end):
            question = part.questions[place]
            replies = () if part.scoring == "generate" else continuations(question, part.scoring)
            for cell in task.cells:
                job = self._jobs.job(cell.cell, question)
                ask = found.setdefault((job.prompt, replies), Ask(model, task, job))
                ask.is_beside |= cell in beside
                if place in cell.open:
                    ask.takers.append(Open(cell, cell.open[place], job))
                else:
                    holders.setdefault(ask, (cell, question.id))
        for ask in found.values():
            if ask.takers:
                ask.known = self._known(ask, holders.get(ask))
        return list(found.values())

    def _known(self, ask: Ask, holder: tuple[OpenCell, str] | None) -> Known | None:
        if holder is not None:
            return Known(self._answered(holder[0])[holder[1]], "run")
        if self._cache is None:
            return None
        record = self._cache.find(self.key(ask))
        return None if record is None else Known(record, "cache")

    def _answered(self, cell: OpenCell) -> dict[str, Record]:
        """Return the earlier answers of a cell by question, read once."""
        if cell not in self._earlier:
            self._earlier[cell] = {
                record.question_id: record
                for path in cell.files
                for record in read_records(path)
                if record.error is None
            }
        return self._earlier[cell]

    def key(self, ask: Ask) -> CacheKey:
        """Return what an answer depends on."""
        part = ask.task.task
        is_written = part.scoring == "generate"
        return CacheKey(
            model=self._jobs.model_digest(ask.model),
            prompt=ask.job.prompt,
            continuations=None if is_written else continuations(ask.job.question, part.scoring),
            reply_limit=part.reply_limit if is_written else None,
        )

    def keep(self, ask: Ask, record: Record) -> None:
        """Store an answer for later runs, if the config asks for it."""
        if self._cache is not None:
            self._cache.store(self.key(ask), record)


def _beside(cells: Sequence[OpenCell]) -> Sequence[OpenCell]:
    """Return the cells that are answered together: only the new ones of an extended run."""
    untouched = [cell for cell in cells if not cell.before]
    done = [cell for cell in cells if cell.before >= len(cell.cell.task.questions)]
    return untouched if len(untouched) + len(done) == len(cells) and done else cells
