"""What the tasks of CLUE (Dada et al. 2024) share: files, few-shot examples, modes.

``clue-2024`` is the harness at the time of the published figures, ``clue-2025`` its rewrite. Both
take the first rows of the evaluated file as examples, the one in file order, the other shuffled
with seed 1. ``correct`` draws the examples and takes with them, out of what is scored, all
questions of their clusters.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from ragbench import home
from ragbench.corpora.tables import Shape, table_rows
from ragbench.errors import AbsentError, DataError
from ragbench.files import read_jsonl, sha256_file
from ragbench.records import Mode, Question
from ragbench.tasks.task import About, TaskInfo, TaskOptions

MODES: tuple[Mode, ...] = ("correct", "clue-2024", "clue-2025")
SHUFFLE_SEED = 1  # of both harnesses
TABLES = (".csv", ".tsv", ".xlsx", ".parquet")
Located = tuple[str, dict[str, Any]]


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
            return draw_examples(rows, shots)
        if self.mode in self.SHUFFLED:
            random.Random(SHUFFLE_SEED).shuffle(rows)  # noqa: S311 - theirs
        taken = tuple((q.id, "few-shot example") for q in rows[:shots])
        return Drawn(tuple(rows[shots:]), tuple(rows[:shots]), taken)

    def _with_examples_of(self, rows: list[Question], shots: int) -> Drawn:
        """Take the first examples from a file of their own; none may be scored."""
        path = self._at(self._option("examples"))
        if self.mode != "correct":
            raise DataError(
                f"the mode {self.mode!r} takes its examples from the evaluated file",
                where=f"tasks: {self.NAME}: options: examples",
                fix="leave the option out",
            )
        found = self._read(path)[:shots]
        if len(found) < shots:
            raise DataError(f"there are fewer than {shots} examples", where=str(path))
        texts = {q.text: q.id for q in rows}
        for example in found:
            if example.text in texts:
                raise DataError(
                    f"the example {example.id!r} is the scored question {texts[example.text]!r}",
                    where=str(path),
                    fix="take the examples from another split",
                )
        return Drawn(tuple(rows), tuple(found), ())

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


def file_rows(path: Path, columns: Sequence[str]) -> Iterator[Located]:
    """Yield the rows of a table, a JSON array or JSON lines, each with its place.

    Args:
        path: The file; its ending tells what it is.
        columns: The columns of a table that are read.

    Yields:
        The place and the fields of each row.

    Raises:
        DataError: The file cannot be read, or a row is not an object.
    """
    if path.suffix.lower() in TABLES:
        for where, values in table_rows(path, list(columns), Shape()):
            yield where, dict(zip(columns, values, strict=True))
    elif _opens_with_bracket(path):
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"the file is not JSON: {error}", where=str(path)) from None
        for number, row in enumerate(value, 1):
            where = f"{path}, record {number}"
            if not isinstance(row, dict):
                raise DataError("the record is not an object", where=where)
            yield where, row
    else:
        for number, row in read_jsonl(path):
            yield f"{path}:{number}", row


def _opens_with_bracket(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(256).lstrip()[:1] == b"["


def text_of(row: Mapping[str, Any], names: Sequence[str], where: str) -> str:
    """Return the text of the first of some fields that the row has.

    Args:
        row: The row.
        names: The names that the field goes by.
        where: The place, for messages.

    Returns:
        The text, white space around it cut.

    Raises:
        DataError: None of them is there, or it is empty or not text.
    """
    name = next((name for name in names if name in row), None)
    value = row.get(name) if name is not None else None
    if not isinstance(value, str) or not value.strip():
        what = "is missing" if name is None else "is empty or not text"
        raise DataError(
            f"the field {' or '.join(map(repr, names))} {what}",
            where=where,
            fix=f"the row has the fields: {', '.join(map(str, row)) or '(none)'}",
        )
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise DataError(f"the field {name!r} holds half of a surrogate pair", where=where)
    return value.strip()
