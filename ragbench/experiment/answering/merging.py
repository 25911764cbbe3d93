"""Answers of shards -> records of the run; each is compared with the plan before it is copied."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from ragbench.base.errors import DataError
from ragbench.base.files import JsonlAppender, drop_torn_line, locked, sha256_text
from ragbench.experiment.answering.opening import Jobs, Opened, cells
from ragbench.experiment.answering.units import Shard, numbers
from ragbench.experiment.answering.writing import Cell, Job
from ragbench.experiment.grid.grid import Grid
from ragbench.runfolder.passages import PromptLine, prompt_lines
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.questions import question_digest
from ragbench.runfolder.records import (
    Record,
    read_records,
    record_to_json,
    records_with_places,
)
from ragbench.runfolder.schema import to_json


@dataclass(slots=True)
class Merged:
    """What a merge has found.

    Attributes:
        shards: The shards that are there, in the order of the merge.
        copied: Number of answers that the run did not have before.
        twice: Number of answers to questions that had one already.
        differ: Number of those that are not the same.
    """

    shards: list[Shard] = field(default_factory=list)
    copied: int = 0
    twice: int = 0
    differ: int = 0

    def sentence(self) -> str:
        """Return what was found, in words; empty without shards."""
        if not self.shards:
            return ""
        text = f"merged {self.copied:,} answers of {len(self.shards):,} shards"
        if self.twice:
            text += (
                f"; {self.twice:,} questions were answered twice, {self.differ:,} of them "
                "differently: the first answer counts"
            )
        return text


def shards_of(folder: RunPaths) -> list[tuple[Shard, RunPaths]]:
    """Return the shards of a run folder, in the order in which they are merged.

    Raises:
        DataError: A folder there has another name than a shard.
    """
    found = []
    for paths in folder.shards():
        number, _, of = paths.name.partition("-of-")
        is_one = number.isascii() and number.isdigit() and of.isascii() and of.isdigit()
        shard = Shard(int(of), int(number)) if is_one else None
        if shard is None or shard.folder != paths.name or not 1 <= shard.number <= shard.of:
            raise DataError(
                f"{paths.name!r} is not the name of a shard",
                where=str(paths.path),
                fix="move it out of the run folder",
            )
        found.append((shard, paths))
    return sorted(found, key=lambda pair: pair[0])


def merge_shards(grid: Grid, folder: RunPaths, jobs: Jobs) -> Merged:
    """Append the answers of all shards that the run does not have, and return what was found.

    Errors are not copied. A killed merge goes on where it was. The folders of shards stay.

    Raises:
        DataError: A record is not of this run, has changed, or its shard is being answered.
    """
    merged = Merged()
    found = shards_of(folder)
    if not found:
        return merged
    merged.shards = [shard for shard, _ in found]
    with ExitStack() as stack:
        for shard, paths in found:
            stack.enter_context(locked(paths.path, what=f"the shard {shard}"))
        merger = _Merger(folder, jobs, merged)
        stack.callback(merger.close)
        known = set[str]()
        for cell in cells(grid):
            path = folder.records(cell.model_name, cell.task.spec.name, cell.arm)
            known.add(path.name)
            merger.merge(cell, path, [paths for _, paths in found])
        for _, paths in found:
            for path in paths.all_records():
                if path.name not in known:
                    raise _foreign(path.name, str(path), "is of no cell of the run")
    return merged


class _Merger:
    def __init__(self, folder: RunPaths, jobs: Jobs, merged: Merged) -> None:
        self._jobs = jobs
        self._merged = merged
        drop_torn_line(folder.prompts)
        self._stored = {line.digest for line in prompt_lines(folder.prompts)}
        self._prompts = JsonlAppender(folder.prompts)

    def close(self) -> None:
        self._prompts.close()

    def merge(self, cell: Cell, path: Path, shards: list[RunPaths]) -> None:
        """Append the answers to a cell."""
        questions = {question.id: question for question in cell.task.questions}
        files = [paths.path / "records" / path.name for paths in shards]
        files = [file for file in files if file.exists()]
        if not files:
            return
        with JsonlAppender(path) as records:
            answered = {r.question_id: (r.sum, _said(r)) for r in read_records(path) if not r.error}
            for file in files:
                drop_torn_line(file)
                for where, record in records_with_places(file):
                    if record.error is not None:
                        continue
                    question = questions.get(record.question_id)
                    if question is None:
                        what = f"the question {record.question_id!r}"
                        raise _foreign(what, where, "is not asked in the run")
                    before = answered.get(record.question_id)
                    if before is not None and before[0] == record.sum:
                        continue
                    job = self._jobs.job(cell, question)
                    _check(record, cell, job, where)
                    if before is not None:
                        self._merged.twice += 1
                        self._merged.differ += before[1] != _said(record)
                        continue
                    self._store(job, record.prompt)
                    records.append(record_to_json(record))
                    answered[record.question_id] = record.sum, _said(record)
                    self._merged.copied += 1

    def _store(self, job: Job, digest: str) -> None:
        if digest not in self._stored:
            self._prompts.append(to_json(PromptLine(digest=digest, text=job.prompt)))
            self._stored.add(digest)


def _said(record: Record) -> str:
    """Return a digest of what the model answered."""
    return sha256_text(repr((record.reply, record.log_likelihoods, record.finish)))


def _check(record: Record, cell: Cell, job: Job, where: str) -> None:
    """Refuse a record that is not the answer to a question of a cell, as the plan asks it."""
    names = (record.model, record.task, record.arm)
    if names != (cell.model_name, cell.task.spec.name, cell.arm) or record.sum is None:
        raise _record(record, where, "is not of its cell, or has no sum")
    if (
        record.key != job.key
        or record.prompt != sha256_text(job.prompt)
        or record.question != question_digest(job.question)
        or record.passages != tuple(job.passages)
    ):
        raise _record(record, where, "answers another prompt than the run's, or another model's")


def _record(record: Record, where: str, what: str) -> DataError:
    return _foreign(f"the record of question {record.question_id!r}", where, what)


def _foreign(name: str, where: str, what: str) -> DataError:
    return DataError(
        f"{name} {what}",
        where=where,
        fix="the shard is of another experiment, or was changed: remove its folder and answer it "
        "again",
    )


def missing_by_shard(opened: Opened, of: int) -> dict[Shard, int]:
    """Return how many answers are missing in each of ``of`` shards; none where none is."""
    found: Counter[Shard] = Counter()
    for tasks in opened.values():
        units = [(task, unit) for task in tasks for unit in task.units]
        for (task, unit), number in zip(units, numbers([u for _, u in units], of), strict=True):
            places = range(unit.start, unit.end)
            left = sum(place in cell.open for cell in task.cells for place in places)
            if left:
                found[Shard(of, number)] += left
    return dict(sorted(found.items()))
