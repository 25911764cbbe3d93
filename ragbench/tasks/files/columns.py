"""Columns of the user's own questions: which column or field of a file holds what.

A table (CSV, TSV, Parquet, Excel) is read by the columns that the task's option ``columns`` names,
or else by their usual names. JSON lines are read by name only where the option is given.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal

from pydantic import ConfigDict, Field

from ragbench.base.errors import DataError
from ragbench.base.yamlfile import Fields
from ragbench.corpora.formats.tables import ending, header_of, table_rows
from ragbench.tasks.files.fields import Row
from ragbench.tasks.files.rows import Located, file_rows

# Usual names of columns, without case, blanks and punctuation; the first that a file has is taken.
USUAL: dict[str, tuple[str, ...]] = {
    "id": ("id", "qid", "questionid", "uid"),
    "question": ("question", "stem", "questiontext", "prompt", "item"),
    "options": ("options", "choices", "alternatives"),
    "answer": (
        *("answer", "answeridx", "answerletter", "answerkey", "correctanswer", "correctoption"),
        *("correct", "rightanswer", "cop", "key", "label", "solution"),
    ),
    "reference": ("reference", "referenceanswer", "longanswer", "idealanswer", "answer"),
    "context": ("context", "vignette", "case"),
    "query": ("query", "searchquery"),
    "gold_doc_ids": (
        *("golddocids", "golddocid", "golddocs", "golddoc", "goldids", "goldid", "gold"),
        *("docids", "docid", "documentid", "sourceid", "pmid"),
    ),
    "stratum": ("stratum", "subset"),
    "cluster": ("cluster", "patient", "patientid"),
    "split": ("split",),
}
NEEDED = {"mcq": ("question", "options", "answer"), "generation": ("question", "reference")}
# One column per option: A, option_a, opa, choice1, answer_b; the prefix and the letter or number.
ONE_OPTION = re.compile(r"(option|opt|op|choice|answer|alternative|)([a-j]|[0-9])")
LETTER = re.compile(r"\(?([A-Za-z])[).:]?")
SEPARATOR = re.compile(r"[\s,;|]+")
FIXED = ("yes", "no", "maybe", "true", "false")  # answers of questions that list no options


class Columns(Fields):
    """The task's option ``columns``.

    Attributes:
        id: Column of the id; without one, the questions are q1, q2, ...
        question: Column of the question.
        options: One column per option, or a single column with JSON, or with texts between ``|``.
        choices: The options of every question, in place of ``options``, such as yes and no.
        answer: Column of the right option: its letter, its text, or its number.
        answers_from: Number of the first option where answers are numbers.
        reference: Column of the right answer where answers are texts.
        context: Column of a text before the question.
        query: Column of the text that the retriever sees.
        gold_doc_ids: Column of the ids of the documents with the answer, between blanks, commas,
            semicolons or ``|``.
        stratum: Column of the subset.
        cluster: Column of what the question belongs to, such as a patient.
        split: Column of the split.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str | None = None
    question: str = "question"
    options: str | tuple[str, ...] | None = None
    choices: tuple[str, ...] | None = Field(None, min_length=2)
    answer: str | None = None
    answers_from: Literal[0, 1] | None = None
    reference: str | None = None
    context: str | None = None
    query: str | None = None
    gold_doc_ids: str | None = None
    stratum: str | None = None
    cluster: str | None = None
    split: str | None = None

    def names(self) -> list[str]:
        """Return every column that is read, each once."""
        found: list[str] = []
        for field in USUAL:
            value = getattr(self, field)
            found += value if isinstance(value, tuple) else [value] if value else []
        return list(dict.fromkeys(found))

    def read(self, row: Row, where: str, number: int) -> dict[str, Any]:
        """Return a row under the names of ragbench's own fields; empty cells are left out.

        Raises:
            DataError: A column that the task needs is missing in the row, or its cell has a form
                that cannot be read.
        """
        found: dict[str, Any] = {"id": self._cell(row, self.id) if self.id else f"q{number}"}
        for field in ("question", "answer", "reference", "context", "query", "stratum"):
            found[field] = self._cell(row, getattr(self, field))
        found["cluster"], found["split"] = (
            self._cell(row, self.cluster),
            self._cell(row, self.split),
        )
        gold = row.get(self.gold_doc_ids or "")
        if isinstance(gold, list):
            found["gold_doc_ids"] = gold
        elif text := _text(gold):
            found["gold_doc_ids"] = [name for name in SEPARATOR.split(text) if name]
        if self.reference is None:
            found["options"] = options = self._options(row, where)
            found["answer"] = self._answer(found["answer"], options)
        return {name: value for name, value in found.items() if value is not None}

    @staticmethod
    def _cell(row: Row, name: str | None) -> str | None:
        return _text(row.get(name)) if name else None

    def _options(self, row: Row, where: str) -> list[str]:
        if self.choices:
            return list(self.choices)
        if isinstance(self.options, tuple):
            texts = [_text(row.get(name)) for name in self.options]
            while texts and texts[-1] is None:
                texts.pop()
            if None in texts:
                raise DataError(
                    f"the option in column {self.options[texts.index(None)]!r} is empty, and one "
                    "after it is not",
                    where=where,
                    fix="fill it, or move the others up and correct the answer",
                )
            return [text for text in texts if text is not None]
        value = row.get(self.options or "options")
        if isinstance(value, str):
            value = _listed(value)
        if isinstance(value, dict):
            given = {str(key).strip().upper(): item for key, item in value.items()}
            if sorted(given) == list(ascii_uppercase[: len(given)]):
                value = [given[letter] for letter in sorted(given)]
        if not isinstance(value, list):
            raise DataError(
                f"the options in column {self.options or 'options'!r} cannot be read",
                where=where,
                fix="write one column per option, a JSON list, or texts between |",
            )
        return [_text(item) or "" for item in value]

    def _answer(self, given: str | None, options: Sequence[str]) -> str | None:
        """Return an answer as a capital letter or as the text of an option."""
        if given is None or given in options:
            return given
        if self.answers_from is not None and given.isascii() and given.isdigit():
            place = int(given) - self.answers_from
            return ascii_uppercase[place] if 0 <= place < len(options) else given
        letter = LETTER.fullmatch(given)
        return letter[1].upper() if letter else given


def question_rows(path: Path, columns: Columns | None, kind: str) -> Iterator[Located]:
    """Yield the rows of a file of questions under the names of ragbench's own fields.

    Args:
        path: JSON lines, a JSON array or a table.
        columns: Which column holds what; found by the usual names if None.
        kind: ``mcq`` or ``generation``.

    Raises:
        DataError: The file cannot be read, or a column is missing.
    """
    if ending(path) is None:
        for number, (where, row) in enumerate(file_rows(path), 1):
            yield where, row if columns is None else columns.read(row, where, number)
        return
    names, shape = header_of(path)
    found = columns or recognised(names, kind, where=str(path))
    wanted = found.names()
    _check_there(wanted, names, path)
    for number, (where, values) in enumerate(table_rows(path, wanted, shape), 1):
        yield where, found.read(dict(zip(wanted, values, strict=True)), where, number)


def recognised(
    names: Sequence[str],
    kind: str,
    *,
    where: str,
    given: Mapping[str, str | tuple[str, ...]] | None = None,
    how: str = "in the task's option columns, such as",
    form: str = "{{{}: NAME}}",
) -> Columns:
    """Return which columns hold what, by their usual names and those that are given.

    ``how`` and ``form`` say in messages how a column is named.

    Raises:
        DataError: Nothing has the usual name of a column that the task needs; columns with nearly
            such a name are named.
    """
    found = {**match(names), **(given or {})}
    needed = NEEDED[kind]
    missing = [field for field in needed if field not in found]
    if missing:
        close = {field: near_names(names, field) for field in missing}
        hints = [f"{' or '.join(map(repr, c))} as {field}" for field, c in close.items() if c]
        raise DataError(
            f"no column has a usual name of: {', '.join(missing)}",
            where=where,
            fix=(f"did you mean {'; '.join(hints)}? " if hints else "")
            + f"the columns are {', '.join(names) or '(none)'}; rename them, or name them {how} "
            + " ".join(form.format(field) for field in missing),
        )
    unread = {"mcq": ("reference",), "generation": ("options", "answer")}[kind]
    return Columns.model_validate({k: v for k, v in found.items() if k not in unread})


def match(names: Sequence[str]) -> dict[str, str | tuple[str, ...]]:
    """Return the columns with usual names, by field; of options possibly one column each."""
    plain = {normal(name): name for name in reversed(names)}  # of equal names the first
    found: dict[str, str | tuple[str, ...]] = {}
    for field, usual in USUAL.items():
        if hit := next((plain[name] for name in usual if name in plain), None):
            found[field] = hit
    several = _option_columns(names)
    if several and "options" not in found:
        found["options"] = several
    return found


def near_names(names: Sequence[str], field: str) -> list[str]:
    """Return the columns whose names are nearly a usual one of a field."""
    usual = USUAL[field]
    return [name for name in names if get_close_matches(normal(name), usual, n=1, cutoff=0.75)]


def normal(name: str) -> str:
    """Return a column's name in lower case, without blanks and punctuation."""
    return re.sub(r"[\W_]+", "", name.casefold())


def _option_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of single options in their order: the longest run of one prefix."""
    groups: dict[str, dict[str, str]] = {}
    for name in names:
        part = ONE_OPTION.fullmatch(normal(name))
        if part and (part[1] or part[2].isalpha()):
            groups.setdefault(part[1], {})[part[2]] = name
    runs = []
    for group in groups.values():
        for first in ("abcdefghij", "0123456789", "123456789"):
            run = []
            for sign in first:
                if sign not in group:
                    break
                run.append(group[sign])
            runs.append(tuple(run))
    best = max(runs, key=len, default=())
    return best if len(best) > 1 else ()


def _check_there(wanted: Sequence[str], names: Sequence[str], path: Path) -> None:
    missing = next((name for name in wanted if name not in names), None)
    if missing is not None:
        close = get_close_matches(missing, names, n=3)
        raise DataError(
            f"there is no column {missing!r}",
            where=str(path),
            fix=(f"did you mean {' or '.join(map(repr, close))}? " if close else "")
            + f"the columns are {', '.join(names)}",
        )


def _text(value: object) -> str | None:
    """Return a cell as text; None where it is empty."""
    if value is None or (isinstance(value, float | Decimal) and math.isnan(value)):
        return None
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value).strip() or None


def _listed(text: str) -> object:
    """Return the options in one cell: JSON, or texts between ``|``."""
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return None
    return [part.strip() for part in text.split("|")] if "|" in text else None
