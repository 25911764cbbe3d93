"""Warnings while a run asks: a server that changes, and cells whose answers say little."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from ragbench.base.errors import DataError
from ragbench.base.progress import say
from ragbench.base.records import Question, coarse_grid, coarse_remark
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.stages.score import read_answer
from ragbench.runfolder.records import Record
from ragbench.runfolder.runfile import Answerers

MANY = 0.05  # a share of a cell's answers that is worth a warning
MOST_NEWS = 5  # changes of one server that are reported one by one
KINDS = {
    "truncated": "ended at the limit of tokens before an answer",
    "empty": "are empty",
    "refused": "were stopped by a content filter",
    "tied": "tie between options, so that the first was picked",
}


@dataclass(slots=True)
class _Tally:
    """Answers of one cell: how many are to come, have come, and are of each kind."""

    left: int
    answers: int = 0
    kinds: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    letters: list[tuple[float, ...]] = field(default_factory=list)


class Watch:
    """Counts a run's answers as they arrive, and warns at once and at the end of each cell.

    Args:
        served: Models behind servers, whose log-likelihoods may be rounded.
    """

    def __init__(self, served: Collection[str] = ()) -> None:
        self.served = sorted(served)
        self._tallies: dict[tuple[str, str, str], _Tally] = {}
        self._news: dict[str, int] = {}
        self.answerers: dict[str, Answerers] = {}

    def begin(
        self,
        cell: tuple[str, TaskPart, str],
        earlier: Iterable[tuple[Question, Record]],
        left: int,
    ) -> None:
        """Take down the answers of earlier sessions to a cell, and how many are to come.

        ``cell`` is the model, the task and the arm.
        """
        model, task, arm = cell
        tally = self._tallies[model, task.spec.name, arm] = _Tally(left)
        for question, record in earlier:
            self._take_down(record)
            self._count(tally, task, question, record)

    def add(self, task: TaskPart, question: Question, record: Record) -> None:
        """Count a new answer, or an error, and print the warnings that are due."""
        key = (record.model, record.task, record.arm)
        tally = self._tallies.setdefault(key, _Tally(0))
        tally.left -= 1
        if record.error is None:
            if news := self._take_down(record):
                self._report_news(record, news)
            self._count(tally, task, question, record)
        if tally.left == 0:
            self._report(key, tally)
            tally.letters.clear()

    def _take_down(self, record: Record) -> str:
        """Take down what answered, and return in words how it differs from before."""
        known = self.answerers.get(record.model, Answerers())
        self.answerers[record.model] = known.with_answer(record.by)
        return known.news(record.by)

    def _report_news(self, record: Record, news: str) -> None:
        seen = self._news[record.model] = self._news.get(record.model, 0) + 1
        if seen <= MOST_NEWS:
            say(
                f"warning: {record.model}: from question {record.question_id} of {record.task}, "
                f"{record.arm} on, the server's answers name {news}; the run has answers of both"
            )

    def _count(self, tally: _Tally, task: TaskPart, question: Question, record: Record) -> None:
        try:
            read = read_answer(
                question,
                record,
                task.scoring,
                task.info.reads,
                record.opened or "",
                cites=task.spec.cite,
            )
        except DataError:  # the scoring reports it
            return
        tally.answers += 1
        empty = record.reply is not None and not record.reply.strip()
        empty = empty and read.outcome != "refused"
        for kind, is_one in (
            ("truncated", read.outcome == "truncated"),
            ("empty", empty),
            ("refused", read.outcome == "refused"),
            ("tied", read.tied),
        ):
            tally.kinds[kind] += is_one
        if set(record.option_tokens or ()) == {1} and record.model in self.served:
            tally.letters.append(record.log_likelihoods or ())

    def _report(self, key: tuple[str, str, str], tally: _Tally) -> None:
        for kind, count in tally.kinds.items():
            if count > MANY * tally.answers:
                say(
                    f"warning: {', '.join(key)}: {count:,} of {tally.answers:,} answers "
                    f"{KINDS[kind]}"
                )
        grid = coarse_grid(tally.letters)
        if grid is not None:
            say(f"warning: {', '.join(key)}: {coarse_remark(grid)}")
