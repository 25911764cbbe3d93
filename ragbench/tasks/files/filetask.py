"""The base of tasks whose questions are in a file: what is asked, what is not, and the examples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

from pydantic import Field

from ragbench.base import home
from ragbench.base.errors import AbsentError, DataError
from ragbench.base.files import sha256_file
from ragbench.base.records import Mode, Question
from ragbench.base.words import plain_or_whole
from ragbench.tasks.files import fields
from ragbench.tasks.files.rows import Located, file_rows
from ragbench.tasks.task import TaskInfo, TaskOptions

Keys = list[tuple[str, str]]


class FileOptions(TaskOptions):
    """Options of every task whose questions are in a file.

    Attributes:
        path: The file; a relative path starts from RAGBENCH_HOME. By default the place that
            ``ragbench list tasks`` names.
        corpus: Corpus that ``corpus: task`` names.
        examples: File of the same format with few-shot examples; none of them is scored.
        shots: Number of few-shot examples.
    """

    path: str = ""
    corpus: str = ""
    examples: str | None = None
    shots: int | None = Field(None, ge=0)


@dataclass(frozen=True, slots=True)
class Selection:
    """The questions to score, the few-shot examples, and (id, reason) of what is excluded."""

    questions: tuple[Question, ...]
    examples: tuple[Question, ...] = ()
    excluded: tuple[tuple[str, str], ...] = ()


class FileTask(ABC):
    """Reads a file of questions.

    A task states itself (``about``, and ``_info`` where its options or mode change a fact) and
    says how a row becomes a question (``_question``). It may say which questions it does not ask
    (``_reason``), how its file gives rows (``_rows``), and where examples come from (``_select``).

    Args:
        options: The task's options.
        mode: How it is asked and scored.
    """

    Options: ClassVar[type[TaskOptions]] = FileOptions
    about: ClassVar[TaskInfo]
    options: FileOptions
    COLUMNS: ClassVar[tuple[str, ...]] = ()  # to read of a table
    OTHER_EXAMPLES: ClassVar[str] = "take the examples from another split"

    def __init__(self, options: TaskOptions, *, mode: Mode = "correct") -> None:
        given = options.model_dump(exclude_unset=True)
        self.options = cast("FileOptions", type(self).Options.model_validate(given))
        self.mode = mode

    @property
    def info(self) -> TaskInfo:
        """What the task states about itself; reads its file."""
        found = self._selected
        return replace(
            self._info(),
            examples=found.examples,
            excluded=found.excluded,
            sources=self._sources,
        )

    def questions(self, *, limit: int | None, seed: int) -> list[Question]:
        """Return the first questions in the order of the file, or as the mode shuffles them.

        Raises:
            DataError: The file or a row of it is wrong (the place is named), or there are fewer
                questions than ``limit``.
        """
        return first(self._selected.questions, limit, self._path)

    def _info(self) -> TaskInfo:
        """Return ``about`` with what the options and the mode change."""
        return replace(
            self.about,
            default_corpus=self.options.corpus or self.about.default_corpus,
            cluster_unit=self._unit(),
        )

    def _unit(self) -> str | None:
        """Return what a cluster of questions is; every question then belongs to one."""
        return self.about.cluster_unit

    @abstractmethod
    def _question(self, row: Mapping[str, Any], where: str, number: int) -> Question:
        """Return the question of a row; ``number`` counts from 0."""

    def _reason(self, question: Question) -> str:
        """Return why a question is not asked; nothing where it is."""
        return ""

    def _split(self, *, examples: bool) -> str | None:
        """Return which rows are read, by their field ``split``; all of them if None."""
        return None

    def _rows(self, path: Path, split: str | None) -> Iterator[Located]:
        for where, row in file_rows(path, self.COLUMNS):
            if split is None or row.get("split") == split:
                yield where, row

    def _select(self, asked: Sequence[Question]) -> Selection:
        """Return which of the questions that can be asked are scored, and the examples."""
        return Selection(tuple(asked))

    def _files(self) -> list[Path]:
        """Return every file that questions or examples come from."""
        return [self._path, *([self._at(p)] if (p := self.options.examples) else [])]

    def _at(self, path: str) -> Path:
        return home.home() / home.expand(path)

    @property
    def _path(self) -> Path:
        return self._at(self.options.path or self.about.file.partition(" ")[0])

    @cached_property
    def _sources(self) -> tuple[tuple[str, str], ...]:
        return tuple((path.name, sha256_file(path)) for path in dict.fromkeys(self._files()))

    @cached_property
    def _selected(self) -> Selection:
        every = self._read(self._path)
        reasons = {q.id: reason for q in every if (reason := self._reason(q))}
        if len(reasons) == len(every):
            why = next(iter(reasons.values()))
            raise DataError(
                f"none of the {len(every):,} questions can be asked: {why}",
                where=str(self._path),
                fix=self.about.access,
            )
        found = self._select([q for q in every if q.id not in reasons])
        return replace(found, excluded=(*found.excluded, *reasons.items()))

    def _read(self, path: Path, *, examples: bool = False) -> list[Question]:
        """Return all questions of a file."""
        if not path.is_file():
            expected = self.about.file.replace("PATH", str(self.options.path or path), 1)
            raise AbsentError(
                "the file of questions is not there",
                where=str(path),
                fix=f"{self.about.access}; expected: {expected}; another place goes into "
                "the task's option path",
            )
        split = self._split(examples=examples)
        found: list[Question] = []
        seen: dict[str, str] = {}
        for number, (where, row) in enumerate(self._rows(path, split)):
            question = self._clustered(self._question(row, where, number), row, where)
            if question.id in seen:
                raise DataError(
                    f"the id {question.id!r} appears twice",
                    where=f"{seen[question.id]} and {where}",
                    fix="give each question its own id",
                )
            seen[question.id] = where
            found.append(question)
        if not found:
            of = f" of the split {split!r}" if split else ""
            raise DataError(f"the file holds no question{of}", where=str(path))
        return found

    def _clustered(self, question: Question, row: Mapping[str, Any], where: str) -> Question:
        """Return a question with the cluster that its row names, unless it has one already."""
        if question.cluster is None:
            question = replace(question, cluster=fields.cluster(row, where))
        if question.cluster is None and (unit := self._unit()) is not None:
            raise DataError(
                f"the question has no cluster, but the task says that each belongs to one ({unit})",
                where=where,
            )
        return question

    def _candidates(self, path: Path) -> list[Question]:
        """Return the questions of a file of examples that can be shown."""
        return [q for q in self._read(path, examples=True) if not self._reason(q)]

    def _examples(
        self, candidates: Sequence[Question], shots: int, asked: Sequence[Question], path: Path
    ) -> tuple[Question, ...]:
        """Return the first candidates; refuse too few, and one that is scored."""
        if shots > len(candidates):
            raise DataError(
                f"the file holds {len(candidates):,} examples, fewer than {shots:,}",
                where=str(path),
                fix=f"set the task's option shots to {len(candidates)} or less",
            )
        scored = {key: q.id for q in asked for key in self._keys(q)}
        for example in candidates[:shots]:
            for key in self._keys(example):
                if key in scored:
                    shares = f"shares its {self._unit() or 'cluster'} with"
                    raise DataError(
                        f"the example {example.id!r} {shares if key[0] == 'cluster' else 'is'} "
                        f"the scored question {scored[key]!r}",
                        where=str(path),
                        fix=self.OTHER_EXAMPLES,
                    )
        return tuple(candidates[:shots])

    def _keys(self, question: Question) -> Keys:
        """Return what no example may share with a scored question; a text counts by its words."""
        return [
            ("text", plain_or_whole(question.text)),
            ("id", question.id),
            *cluster_keys(question),
        ]


def cluster_keys(question: Question) -> Keys:
    """Return the cluster as what no example may share with a scored question; often none."""
    return [] if question.cluster is None else [("cluster", question.cluster)]


def first(found: Sequence[Question], limit: int | None, path: Path) -> list[Question]:
    """Return the first questions of a file, all of them if the limit is None.

    Raises:
        DataError: There are fewer than the limit.
    """
    if limit is not None and limit > len(found):
        raise DataError(
            f"there are {len(found):,} questions, fewer than {limit:,}",
            where=f"{path}; tasks: limit",
            fix=f"set limit to {len(found)} or less",
        )
    return list(found[:limit])
