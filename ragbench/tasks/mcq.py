"""Multiple-choice questions of the user's own: JSON lines.

One line is ``{id, question, options, answer, context?, gold_doc_ids?, stratum?, cluster?,
split?}``. ``options`` is an object from letter to text, or a list of texts. ``answer`` is a
letter, or the text of an option. ``context`` is part of the question and stands in every arm's
prompt; the retriever sees the question alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from ragbench.base.errors import AbsentError
from ragbench.base.records import DataUse, Question
from ragbench.tasks.files import lines
from ragbench.tasks.files.questionfile import SHOTS, FileOptions, FileTask
from ragbench.tasks.task import About, TaskInfo, TaskOptions, check_options

KNOWN = {
    *("id", "question", "options", "answer", "context", "gold_doc_ids"),
    *("stratum", "cluster", "split"),
}
INSTRUCTION = (
    "You are an experienced physician. Answer the multiple-choice question. "
    "Reply with the answer alone."
)


class McqOptions(FileOptions):
    """Where the questions lie and how they are put.

    Attributes:
        path: The JSONL file, plain or gzip; a relative path starts from RAGBENCH_HOME.
        instruction: The system turn of every prompt.
        licence: Terms of the questions.
        data_use: ``restricted`` for anything under a data-use agreement.
        cluster_unit: What the lines' ``cluster`` names, such as ``patient``.
    """

    path: str
    instruction: str = INSTRUCTION
    licence: str = "not stated"
    data_use: DataUse = "bring-your-own"
    cluster_unit: str | None = None


class McqTask(FileTask):
    """Reads the questions of a file."""

    Options: ClassVar[type[TaskOptions]] = McqOptions
    options: McqOptions
    about: ClassVar[About] = About(
        licence="as the option licence states",
        data_use="bring-your-own",
        scoring="letters",
        shots=SHOTS,
        query="the question, without its context and options",
        file="PATH (the option path; JSON lines: id, question, options, answer, context?, "
        "gold_doc_ids?, stratum?, cluster?, split?)",
        access="questions of your own",
    )

    def _info(self) -> TaskInfo:
        return TaskInfo(
            instruction=self.options.instruction,
            default_corpus=self.options.corpus,
            licence=self.options.licence,
            data_use=self.options.data_use,
            scoring="letters",
            cluster_unit=self.options.cluster_unit,
        )

    def _lacking(self, path: Path) -> AbsentError:
        return AbsentError(
            "the file of questions is not there",
            where=str(path),
            fix="one JSON object a line: id, question, options {A: ..., B: ...}, answer (a "
            "letter), and, if you have them, context and gold_doc_ids",
        )

    def _question(self, line: Mapping[str, Any], where: str) -> Question:
        lines.check_fields(line, KNOWN, where, extra=self.options.extra_fields)
        question = read_question(line, where, cluster_unit=self.options.cluster_unit)
        check_options(question.options, question.answer, where=where)
        return question


def read_question(line: Mapping[str, Any], where: str, *, cluster_unit: str | None) -> Question:
    """Return the question of a line; its options are not yet told apart.

    Args:
        line: The line.
        where: Its place.
        cluster_unit: What its ``cluster`` names; None where each question stands alone.

    Returns:
        The question.

    Raises:
        DataError: A field is missing or wrong.
    """
    texts = lines.options(line.get("options"), where)
    answer = lines.answer(line.get("answer"), texts, where)
    question = lines.text(line, "question", where)
    context = lines.optional_text(line, "context", where)
    return Question(
        id=lines.identifier(line.get("id"), where),
        text=f"{context}\n\n{question}" if context else question,
        options=texts,
        answer=answer,
        query=question,
        gold_doc_ids=lines.ids(line, "gold_doc_ids", where),
        stratum=lines.plain(line, "stratum", where),
        cluster=lines.cluster(line, cluster_unit, where),
    )
