"""Questions of the user's own whose answers are texts: JSON lines, or a table by its columns.

One line of JSON is ``{id, question, reference, context?, query?, gold_doc_ids?, stratum?, cluster?,
split?}``. ``reference`` is the right answer, which the metrics compare the reply with. ``context``
is part of the question in every arm's prompt. The retriever sees ``query``, or the question alone
where there is none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from ragbench.base.records import Question
from ragbench.tasks.files import fields
from ragbench.tasks.files.jsonltask import SHOTS
from ragbench.tasks.mcq import McqOptions, McqTask, read_asked
from ragbench.tasks.task import TEXT_METRICS, TaskInfo, TaskOptions

KNOWN = {
    *("id", "question", "reference", "context", "gold_doc_ids"),
    *("query", "stratum", "cluster", "split"),
}


class GenerationOptions(McqOptions):
    """Options for questions of the user's own whose answers are texts.

    Attributes:
        metrics: Metrics of the replies; effects are of the first.
    """

    metrics: tuple[str, ...] = Field(TEXT_METRICS, min_length=1)


class GenerationTask(McqTask):
    """Reads the questions of a file."""

    Options: ClassVar[type[TaskOptions]] = GenerationOptions
    options: GenerationOptions
    about: ClassVar[TaskInfo] = TaskInfo(
        instruction="You are an experienced physician. Answer the question concisely. "
        "Reply with the answer alone.",
        default_corpus="",
        licence=McqTask.about.licence,
        data_use=McqTask.about.data_use,
        scoring="generate",
        metrics=TEXT_METRICS,
        answers="text",
        shots=SHOTS,
        query="the field query, else the question without its context",
        file="PATH (the option path; JSON lines, or a table: id, question, reference, context?, "
        "query?, gold_doc_ids?, stratum?, cluster?, split?)",
        access=McqTask.about.access,
    )
    KIND = "generation"

    def _info(self) -> TaskInfo:
        return replace(super()._info(), metrics=self.options.metrics)

    def _question(self, row: fields.Row, where: str, number: int) -> Question:
        fields.check_names(row, KNOWN, where, extra=self.options.extra_fields)
        question = read_asked(row, where)
        return replace(question, reference=fields.text(row, "reference", where))
