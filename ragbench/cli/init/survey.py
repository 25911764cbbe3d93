"""What files and folders hold: questions, corpora and models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from ragbench.base import home
from ragbench.base.errors import DataError, near
from ragbench.base.records import Question
from ragbench.cli.init.corpora import (
    FoundCorpus,
    columns_of,
    corpus_file,
    corpus_folder,
    naming,
    slug,
)
from ragbench.cli.init.models import is_model, local_reason
from ragbench.corpora.formats.tables import ending, header_of, table_rows
from ragbench.tasks import generation, mcq
from ragbench.tasks.files.columns import FIXED, Columns, match, near_names, recognised
from ragbench.tasks.files.rows import file_rows
from ragbench.tasks.generation import GenerationOptions, GenerationTask
from ragbench.tasks.mcq import McqOptions, McqTask

OWN = {"runs", "indexes", "corpora", "node_modules", "site-packages"}  # never searched for data
READABLE = "JSON lines, CSV, TSV, Excel (.xlsx) and Parquet"
VALUES = 500  # answers that are looked at


@dataclass(frozen=True, slots=True)
class QuestionFile:
    """A file of questions.

    Attributes:
        name: A legal name for the task.
        path: The file.
        kind: ``mcq`` or ``generation``.
        columns: Which column holds what; None for JSON lines with ragbench's own fields.
        questions: All of them, as the task reads them.
        unread: Columns of the file that the task does not read.
    """

    name: str
    path: Path
    kind: str
    columns: Columns | None
    questions: Sequence[Question]
    unread: Sequence[str]


@dataclass(slots=True)
class Survey:
    """What was found.

    Attributes:
        questions: Files of questions.
        corpora: Corpora.
        models: Folders and files of models.
        unused: (path, reason) of data that was not recognised.
        refused: Errors about files that were nearly recognised.
        columns: Every column that was seen.
    """

    questions: list[QuestionFile] = field(default_factory=list)
    corpora: list[FoundCorpus] = field(default_factory=list)
    models: list[Path] = field(default_factory=list)
    unused: list[tuple[Path, str]] = field(default_factory=list)
    refused: list[DataError] = field(default_factory=list)
    columns: set[str] = field(default_factory=set)


Named = TypeVar("Named", QuestionFile, FoundCorpus)
Given = Mapping[str, str | tuple[str, ...]]


def survey(paths: Sequence[Path], named: Given) -> Survey:
    """Return what paths hold; without any, the current folder is searched.

    Args:
        paths: Files, and folders, which are searched with the folders in them.
        named: Columns of the questions by field, in place of the usual names; of options possibly
            one column each.

    Raises:
        DataError: A path is missing, or a given file is neither questions nor a corpus.
    """
    found = Survey()
    for path in paths:
        if not path.is_file() and not path.is_dir():  # a pipe would be read without end
            raise DataError(
                "there is no such file or folder", where=str(path), fix="check the path"
            )
        if path.is_dir():
            _folder(path, found, named, documents=True)
        else:
            before = len(found.unused)
            _file(path, found, named, given=True)
            if len(found.unused) > before:
                raise _unknown(path, found.unused[-1][1])
    if not paths:
        _folder(Path(), found, named, documents=False)
    wanted = (name for value in named.values() for name in _each(value))
    absent = next((name for name in wanted if name not in found.columns), None)
    if absent is not None:
        raise _absent(absent, found.columns)
    if found.refused and not (found.questions and not paths):
        raise found.refused[0]
    found.questions = _apart(found.questions)
    found.corpora = _apart(found.corpora)
    return found


def _apart(found: list[Named]) -> list[Named]:
    """Return what was found with the folder's name before a name that is there already."""
    seen: set[str] = set()
    named = []
    for member in found:
        name = member.name
        if name in seen and member.path is not None:
            name = slug(f"{member.path.resolve().parent.name}-{name}")
        seen.add(name)
        named.append(replace(member, name=name))
    return named


def _unknown(path: Path, reason: str) -> DataError:
    return DataError(
        f"the file is neither questions nor a corpus: {reason}",
        where=str(path),
        fix=f"questions ({READABLE}) need columns question, options (or A, B, ...) and answer, or "
        "`--column question=NAME`; a corpus needs id and text, or "
        f"{naming(path)}",
    )


def _absent(name: str, names: Iterable[str]) -> DataError:
    return DataError(
        f"no file has the column {name!r}, which --column names", fix=near(name, names)
    )


def _each(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _folder(path: Path, found: Survey, named: Given, *, documents: bool) -> None:
    """Take in a folder: a model, a corpus as a whole, or else its files and folders."""
    if is_model(path):
        found.models.append(path)
        return
    entries = sorted(p for p in path.iterdir() if p.name[0] != "." and p.name not in OWN)
    data = [p for p in entries if p.is_file() and _may_hold_rows(p)]
    whole = corpus_folder(path, documents=documents and not data)
    if whole is not None:
        found.corpora.append(whole)
        return
    for entry in data:
        _file(entry, found, named, given=False)
    found.models += [p for p in entries if p.suffix.lower() == ".gguf"]
    for folder in filter(Path.is_dir, entries):
        if is_model(folder):
            found.models.append(folder)
        elif (folder / "config.json").is_file():
            found.unused.append((folder, local_reason(folder)))
        elif inner := corpus_folder(folder, documents=True):
            found.corpora.append(inner)
        else:
            for entry in sorted(p for p in folder.iterdir() if p.is_file() and _may_hold_rows(p)):
                _file(entry, found, named, given=False)


def _may_hold_rows(path: Path) -> bool:
    name = path.name.lower()
    return name[0] not in ".~" and (
        ending(path) is not None or name.endswith((".jsonl", ".jsonl.gz", ".json"))
    )


def _file(path: Path, found: Survey, named: Given, *, given: bool) -> None:
    """Take in a file: questions, a corpus, a model, or none of them."""
    if path.suffix.lower() == ".gguf":
        found.models.append(path)
        return
    if not _may_hold_rows(path):
        found.unused.append((path, f"its ending is not one of those of {READABLE}"))
        return
    names = columns_of(path)
    if not names:
        found.unused.append((path, "it has no columns"))
        return
    found.columns.update(names)
    try:
        mine = {k: v for k, v in named.items() if set(_each(v)) & set(names)}
        questions = question_file(path, names, mine)
        corpus = None if questions else corpus_file(path, names)
    except DataError as error:
        if given:
            raise
        found.refused.append(error)
        return
    if questions is not None:
        found.questions.append(questions)
    elif corpus is not None:
        found.corpora.append(corpus)
    else:
        found.unused.append((path, f"its columns are {', '.join(names[:12])}{_nearly(names)}"))


def _nearly(names: Sequence[str]) -> str:
    close = {f: near_names(names, f) for f in ("question", "options", "answer")}
    hints = [f"{c[0]!r} is nearly {f}" for f, c in close.items() if c]
    return f" ({', '.join(hints)})" if hints else ""


def question_file(path: Path, names: Sequence[str], named: Given) -> QuestionFile | None:
    """Return the questions of a file that has a column of questions; None for any other file.

    Raises:
        DataError: A column of answers is missing, or a row is wrong.
    """
    found = {**match(names), **named}
    if "question" not in found:
        return None
    if absent := [name for v in named.values() for name in _each(v) if name not in names]:
        raise _absent(absent[0], names)
    choices: tuple[str, ...] | None = None
    kind = "mcq"
    if "options" not in found and ("answer" in found or "reference" in found):
        kind = "generation"
        answer = str(found.get("answer", ""))
        values = set(_values(path, answer)) if answer else set()
        if values and {value.casefold() for value in values} <= set(FIXED):
            kind, choices = "mcq", tuple(sorted(values, key=lambda v: FIXED.index(v.casefold())))
    if kind == "mcq" and choices is not None and len(choices) > 1:
        kept = {key: name for key, name in found.items() if key not in ("reference", "options")}
        columns = Columns.model_validate({**kept, "choices": choices})
    else:
        kind = "generation" if choices is not None else kind
        if kind == "generation" and "reference" not in found:
            raise _no_options(path, names, str(found["answer"]))
        columns = recognised(
            *(names, kind), where=str(path), given=named, how="with", form="--column {}=NAME"
        )
    if kind == "mcq" and choices is None:
        columns = columns.model_copy(update={"answers_from": _first_number(path, columns)})
    as_is = ending(path) is None and not named and _is_own(columns, kind)
    used = None if as_is else columns
    name = slug(path.name.partition(".")[0])
    own = mcq.KNOWN if kind == "mcq" else generation.KNOWN
    read = own if used is None else columns.names()
    unread = [column for column in names if column not in read]
    return QuestionFile(name, path, kind, used, read_questions(path, kind, used), unread)


def _no_options(path: Path, names: Sequence[str], answer: str) -> DataError:
    return DataError(
        "no option columns were found",
        where=str(path),
        fix=f"the columns are {', '.join(names)}; name those of options, between commas, with "
        "--column options=NAME,NAME; for questions with text answers give "
        f"--column reference={answer}",
    )


def read_questions(path: Path, kind: str, columns: Columns | None) -> list[Question]:
    """Return the questions of a file as the task reads them."""
    given: dict[str, Any] = {"path": str(path.resolve()), "columns": columns}
    if columns is None:
        given["extra_fields"] = True
    if kind == "generation":
        return GenerationTask(GenerationOptions.model_validate(given)).questions(limit=None, seed=0)
    return McqTask(McqOptions.model_validate(given)).questions(limit=None, seed=0)


def _is_own(columns: Columns, kind: str) -> bool:
    """Return whether every column has the name of ragbench's own field."""
    fields = columns.model_dump(exclude_none=True)
    needed = {"mcq": ("options", "answer"), "generation": ("reference",)}[kind]
    return all(value == key for key, value in fields.items()) and all(
        name in fields for name in ("id", *needed)
    )


def _values(path: Path, column: str) -> Iterator[str]:
    """Yield the first cells of a column that are not empty."""
    if ending(path) is not None:
        cells: Iterable[object] = (v[0] for _, v in table_rows(path, [column], header_of(path)[1]))
    else:
        cells = (row.get(column) for _, row in file_rows(path))
    yield from (str(cell).strip() for cell in islice(cells, VALUES) if cell not in (None, ""))


def _first_number(path: Path, columns: Columns) -> int | None:
    """Return whether numbers as answers count options from 0 or from 1; None for other answers.

    Raises:
        DataError: Both are possible.
    """
    values = list(_values(path, columns.answer or "answer"))
    if not values or not all(v.removesuffix(".0").isdigit() for v in values):
        return None
    rows = islice(_options(path, columns), VALUES)
    if any(v.removesuffix(".0") in options for v, options in zip(values, rows, strict=False)):
        return None  # the texts of options are numbers
    numbers = [int(v.removesuffix(".0")) for v in values]
    if 0 in numbers:
        return 0
    sizes = [len(options) for options in islice(_options(path, columns), VALUES)]
    if any(number == size for number, size in zip(numbers, sizes, strict=False)):
        return 1
    raise DataError(
        "the answers are numbers, which could count the options from 0 or from 1",
        where=str(path),
        fix="write letters (A, B, ...) or the texts of the options",
    )


def _options(path: Path, columns: Columns) -> Iterator[list[str]]:
    """Yield the options of each row."""
    if ending(path) is not None:
        names = columns.names()
        rows = (
            (where, dict(zip(names, values, strict=True)))
            for where, values in table_rows(path, names, header_of(path)[1])
        )
    else:
        rows = ((where, row) for where, row in file_rows(path))
    for number, (where, row) in enumerate(rows, 1):
        yield columns.read(row, where, number).get("options", [])


def relative(path: Path) -> str:
    """Return a path relative to the home folder where it is in it."""
    whole = path.resolve()
    inside = whole.is_relative_to(home.home())
    return str(whole.relative_to(home.home())) if inside else str(whole)
