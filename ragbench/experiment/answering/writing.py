"""Records of answers, written by one thread to one file per cell that is being answered."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from ragbench.base.errors import BackendError, FilteredError
from ragbench.base.files import JsonlAppender, sha256_text
from ragbench.base.progress import say
from ragbench.base.records import OptionScores, Question, Reply
from ragbench.base.words import replace_surrogates
from ragbench.experiment.grid.parts import TaskPart
from ragbench.runfolder.passages import PromptLine, prompt_lines
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.questions import question_digest
from ragbench.runfolder.records import Record, Reused, record_to_json, sealed, with_answer
from ragbench.runfolder.schema import to_json

Answer = Reply | OptionScores | BackendError


@dataclass(frozen=True)
class Cell:
    """One model, task and arm."""

    model_name: str
    task: TaskPart
    arm: str

    @property
    def label(self) -> str:
        """Model, task and arm, as a message names them."""
        return f"{self.model_name}, {self.task.spec.name}, {self.arm}"


@dataclass(frozen=True)
class Job:
    """One question of one cell, ready to ask."""

    question: Question
    prompt: str
    passages: list[str]
    key: str


@dataclass(eq=False, slots=True)
class OpenCell:
    """A cell with the questions that it has no answer to.

    Attributes:
        cell: The cell.
        open: Place of each open question, counted over the open ones, by its index in the task.
        before: Number of questions that the run folder had answers to.
        files: Files with those answers, and with the ones of a shard.
        written: Number of the open ones whose record is written.
        failed: Places of those whose record is an error.
        replaced: Halves of characters that were replaced in its replies.
    """

    cell: Cell
    open: Mapping[int, int] = field(default_factory=dict)
    before: int = 0
    files: tuple[Path, ...] = ()
    written: int = 0
    failed: set[int] = field(default_factory=set)
    replaced: int = 0

    def failed_in_a_row(self, place: int) -> int:
        """Return how many questions around a place have failed, in the order of questions.

        The order of answers would not do: of many questions in flight, those that fail come first.
        """
        first = last = place
        while first - 1 in self.failed:
            first -= 1
        while last + 1 in self.failed:
            last += 1
        return last - first + 1 if place in self.failed else 0


@dataclass(frozen=True, slots=True)
class Open:
    """An open question of a cell, at its place among the open ones."""

    cell: OpenCell
    place: int
    job: Job


class Writer:
    """Appends records and their prompts; a file is open from its first record to its last."""

    def __init__(self, seed: int, folder: RunPaths) -> None:
        self._seed = seed
        self._folder = folder
        self._stack = ExitStack()
        self._files: dict[OpenCell, JsonlAppender] = {}
        self._stored = {line.digest for line in prompt_lines(folder.prompts)}
        self._prompts = self._stack.enter_context(JsonlAppender(folder.prompts))
        self.written = 0
        self.errors = 0

    def write(self, question: Open, answer: Answer, at: float) -> Record:
        """Append the record of an answer, after its prompt, and return it."""
        digest = self._store_prompt(question.job)
        return self._append(
            question, self._record(question.cell.cell, question.job, digest, answer, at)
        )

    def reuse(self, question: Open, record: Record, how: Reused | None) -> Record:
        """Append the record of an answer that was given before to an equal prompt."""
        blank = self._blank(question.cell.cell, question.job, self._store_prompt(question.job))
        return self._append(question, with_answer(blank, record, how))

    def _store_prompt(self, job: Job) -> str:
        digest = sha256_text(job.prompt)
        if digest not in self._stored:
            self._prompts.append(to_json(PromptLine(digest=digest, text=job.prompt)))
            self._stored.add(digest)
        return digest

    def _append(self, question: Open, record: Record) -> Record:
        cell = question.cell
        self._file(cell).append(record_to_json(sealed(record)))
        self.written += 1
        cell.written += 1
        cell.replaced += record.replaced or 0
        if record.error is not None:
            self.errors += 1
            cell.failed.add(question.place)
        if cell.written == len(cell.open):
            self._finish(cell)
        return record

    def _file(self, cell: OpenCell) -> JsonlAppender:
        if cell not in self._files:
            names = cell.cell
            path = self._folder.records(names.model_name, names.task.spec.name, names.arm)
            self._files[cell] = JsonlAppender(path)
        return self._files[cell]

    def _finish(self, cell: OpenCell) -> None:
        self._files.pop(cell).close()
        if cell.replaced:
            say(
                f"{cell.cell.label}: the replies had {cell.replaced:,} halves of characters (lone "
                "surrogates), which are stored as U+FFFD"
            )

    def close(self) -> None:
        """Close all files."""
        with self._stack:
            for cell in list(self._files):
                self._stack.callback(self._finish, cell)

    def _blank(self, cell: Cell, job: Job, digest: str) -> Record:
        return Record(
            key=job.key,
            model=cell.model_name,
            task=cell.task.spec.name,
            arm=cell.arm,
            seed=self._seed,
            scoring=cell.task.scoring,
            question_id=job.question.id,
            passages=tuple(job.passages),
            prompt=digest,
            question=question_digest(job.question),
            log_likelihoods=None,
            error=None,
        )

    def _record(self, cell: Cell, job: Job, digest: str, answer: Answer, at: float) -> Record:
        record = self._blank(cell, job, digest)
        if isinstance(answer, FilteredError):
            return replace(record, reply="", finish="filtered")
        if isinstance(answer, BackendError):
            return replace(record, error=replace_surrogates(answer.what)[0], finish="error")
        record = replace(
            record,
            prompt_tokens=answer.prompt_tokens,
            elapsed_s=round(answer.elapsed_s, 4),
            ended_at=round(at, 3),
            cached_tokens=answer.cached_tokens,
            answered_by=answer.by.model or None,
            fingerprint=answer.by.fingerprint or None,
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
                reasoning_tokens=answer.reasoning_tokens,
                model_calls=answer.model_calls,
            )
        return replace(
            record,
            log_likelihoods=answer.log_likelihoods,
            option_tokens=answer.option_tokens,
            requests=answer.requests,
            texts=answer.texts,
            unlisted=answer.unlisted or None,
            finish="scored",
        )
