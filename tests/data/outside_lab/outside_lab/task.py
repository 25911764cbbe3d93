"""Pain, graded from 0 to 3: JSON lines {patient, grade, gold_doc_ids?}."""

from dataclasses import replace
from typing import ClassVar

from ragbench.base.records import DataUse, Question
from ragbench.tasks.files import fields
from ragbench.tasks.files.filetask import FileOptions, FileTask
from ragbench.tasks.task import TaskInfo, TaskOptions

GRADES = ("none", "mild", "moderate", "severe")


class PainOptions(FileOptions):
    """Options of the task.

    Attributes:
        data_use: ``restricted`` where the notes are under a data-use agreement.
    """

    data_use: DataUse = "open"


class PainTask(FileTask):
    """One question per patient; the reply is read by ``reply.py``, scored by ``metric.py``."""

    Options: ClassVar[type[TaskOptions]] = PainOptions
    options: PainOptions
    about: ClassVar[TaskInfo] = TaskInfo(
        instruction="Grade the pain from 0 to 3. Reply with `Grade: N`.",
        default_corpus="",  # the task has no corpus of its own
        licence="CC0",
        data_use="open",
        scoring="generate",
        answers="label",  # the prompt lists no options
        reader="grade",
        metrics=("closeness", "accuracy"),
        query="the word `pain` and the patient",
        file="data/pain.jsonl (JSON lines: patient, grade, gold_doc_ids?)",
        access="grades of your own patients",
    )

    def _info(self) -> TaskInfo:
        return replace(super()._info(), data_use=self.options.data_use)

    def _question(self, row: fields.Row, where: str, number: int) -> Question:
        patient = fields.text(row, "patient", where)
        return Question(
            id=patient,
            text=f"How bad is the pain of {patient}?",
            options=GRADES,
            answer=fields.answer(row.get("grade"), GRADES, where),
            query=f"pain {patient}",
            gold_doc_ids=fields.ids(row, "gold_doc_ids", where),
        )
