"""What the tasks of CLUE (Dada et al. 2024) share: files, few-shot examples, modes.

``clue-2024`` is the harness at the time of the published figures, ``clue-2025`` its rewrite. Both
take the first rows of the evaluated file as examples, the one in file order, the other shuffled
with seed 1. ``correct`` draws the examples and takes with them, out of what is scored, all
questions of their clusters.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from ragbench.base import home
from ragbench.base.errors import AbsentError, DataError
from ragbench.base.files import sha256_file
from ragbench.base.records import Mode, Question
from ragbench.tasks.files.rows import file_rows
from ragbench.tasks.task import About, TaskInfo, TaskOptions

MODES: tuple[Mode, ...] = ("correct", "clue-2024", "clue-2025")
SHUFFLE_SEED = 1  # of both harnesses


class ClueOptions(TaskOptions):
    """What every task of CLUE takes.

    Attributes:
        path: The file; a relative path starts from RAGBENCH_HOME.
        shots: How many examples a prompt has; the published number by default.
        examples: A file of the same layout to take them from, in the mode ``correct``.
        corpus: What ``corpus: task`` means.
    """

    path: str = ""
    shots: int | None = Field(None, ge=0)
    examples: str | None = None
    corpus: str = ""


@dataclass(frozen=True)
class Drawn:
    """The questions that are scored, the examples, and what is left out with the reason."""

    questions: tuple[Question, ...]
    examples: tuple[Question, ...]
    excluded: tuple[tuple[str, str], ...]


class ClueTask:
    """Reads a file and parts its questions from the examples.

    A task says how its rows become questions (``_question``), and states itself (``_info``).
    """

    Options: ClassVar[type[TaskOptions]] = ClueOptions
    modes: ClassVar[tuple[Mode, ...]] = MODES
    about: ClassVar[About]
    NAME: ClassVar[str]
    SHOTS: ClassVar[int]
    COLUMNS: ClassVar[tuple[str, ...]] = ()
    SHUFFLED: ClassVar[tuple[Mode, ...]] = ("clue-2025",)

    def __init__(self, options: TaskOptions, *, mode: Mode = "correct") -> None:
        self.options = type(self).Options.model_validate(options.model_dump())
        self.mode = mode

    @property
    def info(self) -> TaskInfo:
        """What the task states about itself; reads its file."""
        drawn = self._drawn
        return replace(
            self._info(),
            examples=drawn.examples,
            excluded=drawn.excluded,
            sources=self._sources,
        )

    def questions(self, *, limit: int | None, seed: int) -> list[Question]:
        """Return the first questions that are scored.

        Args:
            limit: How many; all if None.
            seed: Not used: the order is the mode's.

        Returns:
            The questions in file order, or as the mode shuffles them.

        Raises:
            DataError: The file or a row of it is wrong, or there are fewer than ``limit``.
        """
        found = list(self._drawn.questions)
        if limit is not None and limit > len(found):
            raise DataError(
                f"there are {len(found):,} questions, fewer than {limit:,}",
                where=f"{self._path}; tasks: limit",
                fix=f"set limit to {len(found)} or less",
            )
        return found[:limit]

    def _info(self) -> TaskInfo:
        raise NotImplementedError

    def _question(self, row: Mapping[str, Any], number: int, where: str) -> Question:
        """Return the question of a row; ``number`` counts from 0."""
        raise NotImplementedError

    @property
    def _path(self) -> Path:
        return self._at(str(self._option("path") or self.about.file.split(" ")[0]))

    def _option(self, name: str) -> Any:
        return getattr(self.options, name)

    def _at(self, path: str) -> Path:
        return home.home() / home.expand(path)

    @cached_property
    def _sources(self) -> tuple[tuple[str, str], ...]:
        paths = [self._path, *([self._at(p)] if (p := self._option("examples")) else [])]
        return tuple((path.name, sha256_file(path)) for path in paths)

    @cached_property
    def _drawn(self) -> Drawn:
        return self._select(self._read(self._path))

    def _select(self, rows: list[Question]) -> Drawn:
        shots = self.SHOTS if self._option("shots") is None else int(self._option("shots"))
        if self._option("examples"):
            return self._with_examples_of(rows, shots)
        if shots >= len(rows):
            raise DataError(
                f"the file has {len(rows)} rows, of which {shots} are to be examples",
                where=str(self._path),
                fix="set the task's option shots to less",
            )
        if self.mode == "correct":
            return self._draw(rows, shots)
        if self.mode in self.SHUFFLED:
            random.Random(SHUFFLE_SEED).shuffle(rows)  # noqa: S311 - theirs
        taken = tuple((q.id, "few-shot example") for q in rows[:shots])
        return Drawn(tuple(rows[shots:]), tuple(rows[:shots]), taken)

    def _draw(self, rows: list[Question], shots: int) -> Drawn:
        """Draw the examples; they must be as many as asked, and leave questions to score."""
        drawn = draw_examples(rows, shots)
        if len(drawn.examples) == shots and drawn.questions:
            return drawn
        unit = self.about.cluster_unit or "question"
        raise DataError(
            f"{shots} examples, each with its {unit}, leave none of {len(rows)} rows to score",
            where=str(self._path),
            fix="set the task's option shots to less, or take the examples from another split "
            "with its option examples",
        )

    def _with_examples_of(self, rows: list[Question], shots: int) -> Drawn:
        """Take the first examples from a file of their own; none may be scored."""
        path = self._at(self._option("examples"))
        if self.mode != "correct":
            raise DataError(
                f"the mode {self.mode!r} takes its examples from the evaluated file",
                where=f"tasks: {self.NAME}: options: examples",
                fix="leave the option out",
            )
        found = [q for q in self._read(path) if self._has_gold(q)][:shots]
        if len(found) < shots:
            raise DataError(
                f"the file holds {len(found)} examples, fewer than {shots}",
                where=str(path),
                fix="set the task's option shots to less",
            )
        seen = {key: q.id for q in rows for key in (q.text, q.cluster) if key is not None}
        for example in found:
            for key in (example.text, example.cluster):
                if key in seen:
                    what = (
                        "is"
                        if key == example.text
                        else f"shares its {self.about.cluster_unit} with"
                    )
                    raise DataError(
                        f"the example {example.id!r} {what} the scored question {seen[key]!r}",
                        where=str(path),
                        fix="take the examples from another split",
                    )
        named = (replace(q, id=f"{path.stem}:{q.id}") for q in found)  # apart from what is scored
        return Drawn(tuple(rows), tuple(named), ())

    def _has_gold(self, question: Question) -> bool:
        return bool(question.reference or question.options)

    def _read(self, path: Path) -> list[Question]:
        if not path.is_file():
            raise AbsentError(
                f"the file of {self.NAME} is not there",
                where=str(path),
                fix=f"{self.about.access}; expected: {self.about.file}; another place goes into "
                "the task's option path",
            )
        found: list[Question] = []
        places: dict[str, str] = {}
        for number, (where, row) in enumerate(file_rows(path, self.COLUMNS)):
            question = self._question(row, number, where)
            if question.id in places:
                raise DataError(
                    f"the id {question.id!r} stands twice",
                    where=f"{places[question.id]} and {where}",
                )
            places[question.id] = where
            found.append(question)
        if not found:
            raise DataError("the file holds no question", where=str(path))
        return found


def draw_examples(rows: Sequence[Question], shots: int) -> Drawn:
    """Draw examples by the hash of their ids, and take their clusters out of what is scored.

    Args:
        rows: All questions.
        shots: How many examples; of different clusters where there are any.

    Returns:
        The rest in the given order, the examples, and what was left out.
    """
    order = sorted(rows, key=lambda q: hashlib.sha256(q.id.encode("utf-8")).digest())
    examples: list[Question] = []
    used: set[str] = set()
    for question in order:
        if len(examples) == shots:
            break
        if question.cluster is None or question.cluster not in used:
            examples.append(question)
            if question.cluster is not None:
                used.add(question.cluster)
    ids = {example.id for example in examples}
    excluded = [(example.id, "few-shot example") for example in examples]
    kept = []
    for question in rows:
        if question.id in ids:
            continue
        if question.cluster is not None and question.cluster in used:
            excluded.append((question.id, "shares its cluster with a few-shot example"))
        else:
            kept.append(question)
    return Drawn(tuple(kept), tuple(examples), tuple(excluded))
