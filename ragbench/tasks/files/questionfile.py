"""A task whose questions stand in a file: what is asked, what is left out, few-shot examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from pydantic import Field

from ragbench.base import home
from ragbench.base.errors import AbsentError, DataError
from ragbench.base.files import read_jsonl, sha256_file
from ragbench.base.records import Mode, Question
from ragbench.tasks.task import About, TaskInfo, TaskOptions

Located = tuple[str, dict[str, Any]]
MOST_SHOTS = 16  # that are taken unasked: more is a forgotten `shots`
SHOTS = "none; the options examples (a file of this layout) and shots give some"


class FileOptions(TaskOptions):
    """What every task with a file of questions takes.

    Attributes:
        path: The file, plain or gzip; a relative path starts from RAGBENCH_HOME. Where it is
            empty, the place that ``ragbench list tasks`` names.
        split: Only lines whose ``split`` is this; all lines if None.
        instruction: The system turn of every prompt; the task's own where it is empty.
        corpus: What ``corpus: task`` means.
        extra_fields: Whether lines may have further fields, which are not read.
        examples: A file of the same layout to take few-shot examples from; none is scored.
        examples_split: Only its lines whose ``split`` is this.
        shots: How many of them: the first, or all if None.
        shots_seed: Draws them with this seed instead.
    """

    path: str = ""
    split: str | None = None
    instruction: str = ""
    corpus: str = ""
    extra_fields: bool = False
    examples: str | None = None
    examples_split: str | None = None
    shots: int | None = Field(None, gt=0)
    shots_seed: int | None = Field(None, ge=0)


class FileTask:
    """Reads a file of questions.

    A task says how a line becomes a question (``_question``), states itself (``_info``), and may
    say how its file gives lines (``_lines``) and which questions it does not ask (``_reason``).

    Args:
        options: The task's options.
        mode: How it is asked and scored.
    """

    Options: ClassVar[type[TaskOptions]] = FileOptions
    modes: ClassVar[tuple[Mode, ...]] = ("correct",)
    about: ClassVar[About]
    options: FileOptions

    def __init__(self, options: TaskOptions, *, mode: Mode = "correct") -> None:
        given = options.model_dump(exclude_unset=True)
        self.options = cast("FileOptions", type(self).Options.model_validate(given))
        self.mode = mode

    @property
    def info(self) -> TaskInfo:
        """What the task states about itself; reads its file."""
        return replace(
            self._info(),
            examples=self._examples,
            excluded=self._read[1],
            sources=self._sources,
        )

    def questions(self, *, limit: int | None, seed: int) -> list[Question]:
        """Return the first questions of the file.

        Args:
            limit: How many; all if None.
            seed: Not used: the order is the file's.

        Returns:
            The questions in file order.

        Raises:
            DataError: The file or a line of it is wrong (the place is named), or there are
                fewer questions than ``limit``.
        """
        found = self._read[0]
        if limit is not None and limit > len(found):
            raise DataError(
                f"there are {len(found):,} questions, fewer than {limit:,}",
                where=f"{self._path}; tasks: limit",
                fix=f"set limit to {len(found)} or less",
            )
        return found[:limit]

    def _info(self) -> TaskInfo:
        raise NotImplementedError

    def _question(self, line: Mapping[str, Any], where: str) -> Question:
        raise NotImplementedError

    def _reason(self, question: Question) -> str:
        """Return why a question is not asked; nothing where it is."""
        return ""

    def _lines(self, path: Path, split: str | None) -> Iterator[Located]:
        for number, line in read_jsonl(path):
            if split is None or line.get("split") == split:
                yield f"{path}:{number}", line

    def _lacking(self, path: Path) -> AbsentError:
        """Return what is said of a file that is not there."""
        return AbsentError(
            "the file of questions is not there",
            where=str(path),
            fix=f"{self.about.access}; the layout is {self.about.file.partition(' ')[2]}; "
            "another place goes into the task's option path",
        )

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
    def _read(self) -> tuple[list[Question], tuple[tuple[str, str], ...]]:
        """The questions that are asked, and what is left out with the reason."""
        every = self._all(self._path, self.options.split)
        reasons = {question.id: self._reason(question) for question in every}
        excluded = tuple((name, reason) for name, reason in reasons.items() if reason)
        return [question for question in every if not reasons[question.id]], excluded

    def _all(self, path: Path, split: str | None) -> list[Question]:
        if not path.is_file():
            raise self._lacking(path)
        found: list[Question] = []
        places: dict[str, str] = {}
        for where, line in self._lines(path, split):
            question = self._question(line, where)
            if question.id in places:
                raise DataError(
                    f"the id {question.id!r} stands twice",
                    where=f"{places[question.id]} and {where}",
                    fix="give each question its own id",
                )
            places[question.id] = where
            found.append(question)
        if not found:
            of = f" of the split {split!r}" if split else ""
            raise DataError(f"the file holds no question{of}", where=str(path))
        return found

    @cached_property
    def _examples(self) -> tuple[Question, ...]:
        chosen = self.options
        if chosen.examples is None:
            for name in ("examples_split", "shots", "shots_seed"):
                if getattr(chosen, name) is not None:
                    raise DataError(
                        f"the option {name} says nothing without the option examples",
                        where=f"tasks: options: {name}",
                        fix="give examples: FILE, a file of the same layout",
                    )
            return ()
        path = self._at(chosen.examples)
        every = [q for q in self._all(path, chosen.examples_split) if not self._reason(q)]
        n = len(every) if chosen.shots is None else chosen.shots
        if n > len(every) or (chosen.shots is None and n > MOST_SHOTS):
            raise DataError(
                f"the file holds {len(every):,} examples"
                + (f", fewer than {n:,}" if n > len(every) else ", which are many for a prompt"),
                where=str(path),
                fix="set the task's option shots",
            )
        if chosen.shots_seed is not None:
            draw = np.random.default_rng(chosen.shots_seed).permutation(len(every))
            every = [every[i] for i in draw]
        return self._unscored(every[:n], path)

    def _unscored(self, examples: list[Question], path: Path) -> tuple[Question, ...]:
        """Refuse examples that are scored questions, by their ids or by their texts."""
        questions = self._read[0]
        names = {question.id for question in questions}
        texts = {" ".join(q.text.split()).casefold(): q.id for q in questions}
        for example in examples:
            same = texts.get(" ".join(example.text.split()).casefold())
            if example.id in names or same is not None:
                raise DataError(
                    f"the example {example.id!r} is the scored question {same or example.id!r}",
                    where=str(path),
                    fix="take examples from another split (the option examples_split), under "
                    "ids of their own",
                )
        return tuple(examples)
