"""Multiple-choice questions of the user's own: JSON lines.

One line is ``{id, question, options, answer, context?, gold_doc_ids?, stratum?, cluster?,
split?}``. ``options`` is an object from letter to text, or a list of texts. ``answer`` is a
letter, or the text of an option. ``context`` is part of the question and stands in every arm's
prompt; the retriever sees the question alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from string import ascii_uppercase
from typing import Any, ClassVar

from ragbench import home
from ragbench.errors import DataError
from ragbench.files import read_jsonl
from ragbench.records import DataUse, Question
from ragbench.tasks.task import TaskInfo, TaskOptions, check_options

KNOWN = {
    *("id", "question", "options", "answer", "context", "gold_doc_ids"),
    *("stratum", "cluster", "split"),
}


class McqOptions(TaskOptions):
    """Where the questions lie and how they are put.

    Attributes:
        path: The JSONL file, plain or gzip; a relative path starts from RAGBENCH_HOME.
        split: Only lines whose ``split`` is this; all lines if None.
        instruction: The system turn of every prompt.
        corpus: What ``corpus: task`` means.
        licence: Terms of the questions.
        data_use: ``restricted`` for anything under a data-use agreement.
        cluster_unit: What the lines' ``cluster`` names, such as ``patient``.
        extra_fields: Whether lines may have further fields, which are not read.
    """

    path: str
    split: str | None = None
    instruction: str = (
        "You are an experienced physician. Answer the multiple-choice question. "
        "Reply with the answer alone."
    )
    corpus: str = ""
    licence: str = "not stated"
    data_use: DataUse = "bring-your-own"
    cluster_unit: str | None = None
    extra_fields: bool = False


class McqTask:
    """Reads the questions of a file."""

    Options: ClassVar[type[TaskOptions]] = McqOptions

    def __init__(self, options: TaskOptions) -> None:
        self.options = McqOptions.model_validate(options.model_dump())

    @property
    def info(self) -> TaskInfo:
        """What the options state about the questions."""
        return TaskInfo(
            instruction=self.options.instruction,
            default_corpus=self.options.corpus,
            licence=self.options.licence,
            data_use=self.options.data_use,
            scoring="letters",
            cluster_unit=self.options.cluster_unit,
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
        path = home.home() / home.expand(self.options.path)
        found: list[Question] = []
        places: dict[str, str] = {}
        for where, line in self._lines(path):
            question = _question(line, where, self.options)
            if question.id in places:
                raise DataError(
                    f"the id {question.id!r} stands twice",
                    where=f"{places[question.id]} and {where}",
                    fix="give each question its own id",
                )
            places[question.id] = where
            found.append(question)
        if not found:
            split = f" of the split {self.options.split!r}" if self.options.split else ""
            raise DataError(f"the file holds no question{split}", where=str(path))
        if limit is not None and limit > len(found):
            raise DataError(
                f"there are {len(found):,} questions, fewer than {limit:,}",
                where=f"{path}; tasks: limit",
                fix=f"set limit to {len(found)} or less",
            )
        return found[:limit]

    def _lines(self, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        if not path.is_file():
            raise DataError(
                "the file of questions is not there",
                where=str(path),
                fix="one JSON object a line: id, question, options {A: ..., B: ...}, answer (a "
                "letter), and, if you have them, context and gold_doc_ids",
            )
        for number, line in read_jsonl(path):
            if self.options.split is None or line.get("split") == self.options.split:
                yield f"{path}:{number}", line


def _question(line: Mapping[str, Any], where: str, options: McqOptions) -> Question:
    unknown = sorted(line.keys() - KNOWN)
    if unknown and not options.extra_fields:
        raise DataError(
            f"the line has a field {unknown[0]!r}, which is not read",
            where=where,
            fix=f"the fields are {', '.join(sorted(KNOWN))}; set the task's option "
            "extra_fields: true to pass over others",
        )
    texts = _options(line.get("options"), where)
    answer = _answer(line.get("answer"), texts, where)
    check_options(texts, answer, where=where)
    question = _text(line, "question", where)
    context = _text(line, "context", where) if line.get("context") is not None else ""
    identifier = _identifier(line.get("id"), where)
    gold = line.get("gold_doc_ids") or []
    if not isinstance(gold, list) or not all(isinstance(i, str | int) for i in gold):
        raise DataError("gold_doc_ids is not a list of ids", where=where)
    cluster = line.get("cluster")
    if options.cluster_unit is not None and not isinstance(cluster, str | int):
        raise DataError(
            f"the question has no cluster, but the task says that each belongs to one "
            f"({options.cluster_unit})",
            where=where,
        )
    return Question(
        id=identifier,
        text=f"{context}\n\n{question}" if context else question,
        options=texts,
        answer=answer,
        query=question,
        gold_doc_ids=tuple(dict.fromkeys(_whole(str(i), "gold_doc_ids", where) for i in gold)),
        stratum=_plain(line, "stratum", where),
        cluster=_plain(line, "cluster", where) if options.cluster_unit is not None else None,
    )


def _text(line: Mapping[str, Any], name: str, where: str) -> str:
    value = line.get(name)
    if not isinstance(value, str) or not value.strip():
        raise DataError(
            f"the field {name!r} is missing, empty or not text",
            where=where,
            fix=f"the line has the fields: {', '.join(sorted(line)) or '(none)'}",
        )
    return _whole(value, name, where).strip()


def _plain(line: Mapping[str, Any], name: str, where: str) -> str:
    value = line.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
        raise DataError(f"the field {name!r} is neither text nor a whole number", where=where)
    return _whole("" if value is None else str(value), name, where)


def _whole(value: str, name: str, where: str) -> str:
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise DataError(f"the field {name!r} holds half of a surrogate pair", where=where)
    return value


def _identifier(value: object, where: str) -> str:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not text or not text.isprintable() or any(c.isspace() for c in text):
        raise DataError(
            f"the id {value!r} is missing, or has white space or control characters",
            where=where,
            fix="ids stand in TREC run files, whose columns are parted by blanks",
        )
    return text


def _options(value: object, where: str) -> tuple[str, ...]:
    if isinstance(value, dict):
        wanted = list(ascii_uppercase[: len(value)])
        if sorted(value) != wanted:
            raise DataError(
                f"the options have the letters {', '.join(map(str, value)) or '(none)'}",
                where=where,
                fix=f"letters run from A without a gap: {', '.join(wanted) or 'A, B, ...'}",
            )
        value = [value[letter] for letter in wanted]
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise DataError(
            "the options are not texts under letters",
            where=where,
            fix='write "options": {"A": "...", "B": "..."} or a list of texts',
        )
    if len(value) > len(ascii_uppercase):
        raise DataError(f"there are {len(value)} options, more than letters", where=where)
    return tuple(_whole(text, "options", where).strip() for text in value)


def _answer(value: object, options: tuple[str, ...], where: str) -> int:
    if isinstance(value, str):
        letter = ascii_uppercase.find(value.strip()) if len(value.strip()) == 1 else -1
        if 0 <= letter < len(options):
            return letter
        same = [i for i, option in enumerate(options) if option == value.strip()]
        if len(same) == 1:
            return same[0]
    shown = ", ".join(f"{ascii_uppercase[i]} ({o[:30]})" for i, o in enumerate(options))
    raise DataError(
        f"the answer {value!r} is not among the options",
        where=where,
        fix=f"give a letter, or the text of an option: {shown}",
    )
