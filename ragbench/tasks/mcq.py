"""Multiple-choice questions of the user's own: JSON lines, or a table by its columns.

One line of JSON is ``{id, question, options, answer, context?, query?, gold_doc_ids?, stratum?,
cluster?, split?}``. ``options`` is an object from letter to text, or a list of texts. ``answer`` is
a letter, or the text of an option. ``context`` is part of the question in every arm's prompt. The
retriever sees ``query``, or the question alone where there is none. The columns of a table, or
other names of fields, are those of ``ragbench.tasks.files.columns``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from ragbench.base.records import DataUse, Question
from ragbench.tasks.files import fields
from ragbench.tasks.files.columns import Columns, question_rows
from ragbench.tasks.files.jsonltask import SHOTS, JsonlOptions, JsonlTask
from ragbench.tasks.files.rows import Located
from ragbench.tasks.task import TaskInfo, TaskOptions, check_options

KNOWN = {
    *("id", "question", "options", "answer", "context", "gold_doc_ids"),
    *("query", "stratum", "cluster", "split"),
}
INSTRUCTION = (
    "You are an experienced physician. Answer the multiple-choice question. "
    "Reply with the answer alone."
)


class McqOptions(JsonlOptions):
    """Options for questions of the user's own.

    Attributes:
        path: JSON lines (plain or gzip), or a table (CSV, TSV, Parquet, Excel); a relative path
            starts from RAGBENCH_HOME.
        columns: Which column or field holds what; those of a table are found by their usual names.
        licence: Terms of the questions.
        data_use: ``restricted`` for anything under a data-use agreement.
        cluster_unit: Name of what ``cluster`` stands for, such as ``patient``; every line must then
            have a cluster.
    """

    path: str
    columns: Columns | None = None
    licence: str = "not stated"
    data_use: DataUse = "bring-your-own"
    cluster_unit: str | None = None


class McqTask(JsonlTask):
    """Reads the questions of a file."""

    Options: ClassVar[type[TaskOptions]] = McqOptions
    options: McqOptions
    about: ClassVar[TaskInfo] = TaskInfo(
        instruction=INSTRUCTION,
        default_corpus="",
        licence="as the option licence states",
        data_use="bring-your-own",
        scoring="letters",
        shots=SHOTS,
        query="the field query, else the question without its context and options",
        file="PATH (the option path; JSON lines, or a table: id, question, options, answer, "
        "context?, query?, gold_doc_ids?, stratum?, cluster?, split?)",
        access="questions of your own",
    )
    KIND: ClassVar[str] = "mcq"

    def _rows(self, path: Path, split: str | None) -> Iterator[Located]:
        for where, row in question_rows(path, self.options.columns, self.KIND):
            if split is None or row.get("split") == split:
                yield where, row

    def _info(self) -> TaskInfo:
        return replace(
            super()._info(),
            licence=self.options.licence,
            data_use=self.options.data_use,
        )

    def _unit(self) -> str | None:
        return self.options.cluster_unit

    def _question(self, row: fields.Row, where: str, number: int) -> Question:
        fields.check_names(row, KNOWN, where, extra=self.options.extra_fields)
        question = read_question(row, where, self.options.answers)
        check_options(question.options, question.answer, where=where)
        return question


def read_question(row: fields.Row, where: str, reading: fields.Reading = "either") -> Question:
    """Return the question of a row; two of its options may still have the same text.

    Raises:
        DataError: A field is missing or wrong.
    """
    texts = fields.options(row.get("options"), where)
    answer = fields.answer(row.get("answer"), texts, where, reading=reading)
    return replace(read_asked(row, where), options=texts, answer=answer)


def read_asked(row: fields.Row, where: str) -> Question:
    """Return the question of a row without its options and answer."""
    question = fields.text(row, "question", where)
    context = fields.optional_text(row, "context", where)
    return Question(
        id=fields.identifier(row.get("id"), where),
        text=f"{context}\n\n{question}" if context else question,
        options=(),
        answer=-1,
        query=fields.optional_text(row, "query", where) or question,
        gold_doc_ids=fields.ids(row, "gold_doc_ids", where),
        stratum=fields.text_or_number(row, "stratum", where),
        cluster=fields.cluster(row, where),
    )
