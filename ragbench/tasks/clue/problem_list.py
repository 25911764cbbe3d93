"""Problem List Summarization: the active problems of a progress note.

Data: ProbSum, BioNLP 2023 task 1A (Gao et al. 2023), on PhysioNet under a data-use agreement:
``BioNLP2023-1A-Test.csv`` with the columns ``Subjectives``, ``Assessment`` and ``Summary``, whose
problems are separated by semicolons.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from ragbench.base.errors import DataError
from ragbench.base.records import Question
from ragbench.tasks.clue.clue import MODES, TEXT_READERS, ClueTask
from ragbench.tasks.files import fields
from ragbench.tasks.task import TaskInfo

METRICS = ("rougeL", "rouge1", "rouge2", "problem_f1")


class ProblemListTask(ClueTask):
    """Subjective part and assessment; the reply is the list of problems."""

    SHOTS = 3
    COLUMNS = ("Subjectives", "Assessment", "Summary")
    about: ClassVar[TaskInfo] = TaskInfo(
        instruction=(
            "You are a physician. From the subjective part and the assessment of a progress "
            "note, list the diagnoses and problems that led to the stay in hospital. Reply "
            "with the list alone, its members parted by commas."
        ),
        default_corpus="",
        licence="PhysioNet Contributor Review Health Data License 1.5.0",
        data_use="restricted",
        scoring="generate",
        metrics=METRICS,
        answers="text",
        reply_limit=200,
        modes=MODES,
        shots="3, drawn from the file (or from the option examples, such as the training notes)",
        query="the assessment",
        size=234,
        file="data/probsum/BioNLP2023-1A-Test.csv (columns Subjectives, Assessment, Summary)",
        access="BioNLP workshop 2023 task 1A is on PhysioNet, on review by the contributors: "
        "https://physionet.org/content/bionlp-workshop-2023-task-1a/2.0.0/",
    )

    def _info(self) -> TaskInfo:
        old = self.mode == "clue-2024"
        limits = {"clue-2024": 100, "clue-2025": 512}
        return replace(
            super()._info(),
            reader=TEXT_READERS[self.mode],
            reply_limit=limits.get(self.mode, self.about.reply_limit),
            cue="Diagnoses/Patient problems: " if old else "",
            double_first=old,
        )

    def _question(self, row: fields.Row, where: str, number: int) -> Question:
        subjective = fields.text(row, "Subjectives", where)
        assessment = fields.text(row, "Assessment", where)
        summary = fields.text(row, "Summary", where)
        if self.mode == "correct":
            problems = [part.strip() for part in summary.split(";")]
            reference = ", ".join(part for part in problems if part)
        else:
            reference = summary.replace(";", ", ")  # which leaves a comma at the end of some
        if not reference:
            raise DataError("the field 'Summary' names no problem", where=where)
        return Question(
            id=f"probsum-{number:04d}",
            text=f"<note>\n{subjective}\n\n{assessment}\n</note>\n\nGive only the list.",
            options=(),
            answer=-1,
            query=assessment,
            reference=reference,
        )
