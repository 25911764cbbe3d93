"""Questions of the user's own whose answers are texts: JSON lines.

One line is ``{id, question, reference, context?, gold_doc_ids?, stratum?, cluster?, split?}``.
``reference`` is the right answer, which the metrics compare the reply with. ``context`` is part of
the question and stands in every arm's prompt; the retriever sees the question alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from ragbench.base.records import DataUse, Question
from ragbench.tasks.files import lines
from ragbench.tasks.files.questionfile import SHOTS, FileOptions, FileTask
from ragbench.tasks.task import TEXT_METRICS, About, TaskInfo, TaskOptions

KNOWN = {
    *("id", "question", "reference", "context", "gold_doc_ids"),
    *("stratum", "cluster", "split"),
}


class GenerationOptions(FileOptions):
    """Where the questions lie and how they are put.

    Attributes:
        path: The JSONL file, plain or gzip; a relative path starts from RAGBENCH_HOME.
        instruction: The system turn of every prompt.
        licence: Terms of the questions.
        data_use: ``restricted`` for anything under a data-use agreement.
        cluster_unit: What the lines' ``cluster`` names, such as ``patient``.
        metrics: What replies are measured by; effects are of the first.
    """

    path: str
    instruction: str = (
        "You are an experienced physician. Answer the question concisely. "
        "Reply with the answer alone."
    )
    licence: str = "not stated"
    data_use: DataUse = "bring-your-own"
    cluster_unit: str | None = None
    metrics: tuple[str, ...] = Field(TEXT_METRICS, min_length=1)


class GenerationTask(FileTask):
    """Reads the questions of a file."""

    Options: ClassVar[type[TaskOptions]] = GenerationOptions
    options: GenerationOptions
    about: ClassVar[About] = About(
        licence="as the option licence states",
        data_use="bring-your-own",
        scoring="generate",
        metrics=TEXT_METRICS,
        shots=SHOTS,
        query="the question, without its context",
        file="PATH (the option path; JSON lines: id, question, reference, context?, "
        "gold_doc_ids?, stratum?, cluster?, split?)",
        access="questions of your own",
    )

    def _info(self) -> TaskInfo:
        return TaskInfo(
            instruction=self.options.instruction,
            default_corpus=self.options.corpus,
            licence=self.options.licence,
            data_use=self.options.data_use,
            scoring="generate",
            cluster_unit=self.options.cluster_unit,
            metrics=self.options.metrics,
            answers="text",
        )

    def _question(self, line: Mapping[str, Any], where: str) -> Question:
        lines.check_fields(line, KNOWN, where, extra=self.options.extra_fields)
        question = lines.text(line, "question", where)
        context = lines.optional_text(line, "context", where)
        return Question(
            id=lines.identifier(line.get("id"), where),
            text=f"{context}\n\n{question}" if context else question,
            options=(),
            answer=-1,
            query=question,
            gold_doc_ids=lines.ids(line, "gold_doc_ids", where),
            stratum=lines.plain(line, "stratum", where),
            cluster=lines.cluster(line, self.options.cluster_unit, where),
            reference=lines.text(line, "reference", where),
        )
