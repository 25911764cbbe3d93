"""MeDiSumQA: a patient's question about a discharge letter, answered briefly.

Data: from MIMIC-IV-Note under a data-use agreement. Three versions exist (500 pairs as filtered by
machine, 453 in CLUE of June 2024, 416 on PhysioNet after review), whose scores do not compare;
the digest of the file is recorded. Fields as in either revision of CLUE: ``Question``, ``Answer``
and ``discharge_summary``, or ``without_discharge_summary``: the letter less its instructions to the
patient, which the answers come from.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from ragbench.base.records import Mode, Question
from ragbench.tasks.clue.clue import MODES, TEXT_READERS, ClueTask
from ragbench.tasks.files import fields
from ragbench.tasks.task import TEXT_METRICS, TaskInfo

# ``with_discharge_summary`` is never read: it holds the answers.
LETTER = ["without_discharge_summary", "without_summary", "discharge_summary"]


class MedisumqaTask(ClueTask):
    """Letter and question; the reply is a short text for a lay person."""

    SHOTS = 1
    SHUFFLED: ClassVar[tuple[Mode, ...]] = ("clue-2024", "clue-2025")
    about: ClassVar[TaskInfo] = TaskInfo(
        instruction=(
            "You help lay people to understand their discharge letters. Answer the question "
            "from the letter, briefly and in plain words; say what measurements mean rather "
            "than quote them. Reply with the answer alone."
        ),
        default_corpus="",
        licence="PhysioNet Credentialed Health Data License 1.5.0",
        data_use="restricted",
        scoring="generate",
        metrics=TEXT_METRICS,
        answers="text",
        reply_limit=200,
        modes=MODES,
        shots="1, drawn from the file (or from the option examples): a whole letter, a long prompt",
        query="the question, without the letter",
        file="data/medisumqa/MeDiSumQA.json (a JSON array or JSON lines: discharge_summary or "
        "without_discharge_summary, Question, Answer)",
        access="MeDiSumQA 1.0.0 is on PhysioNet for credentialed users: "
        "https://doi.org/10.13026/f566-h049",
    )

    def _info(self) -> TaskInfo:
        old = self.mode == "clue-2024"
        return replace(
            super()._info(),
            reader=TEXT_READERS[self.mode],
            reply_limit=512 if self.mode == "clue-2025" else self.about.reply_limit,
            cue="Answer: " if old else "",
            double_first=old,
        )

    def _question(self, row: fields.Row, where: str, number: int) -> Question:
        letter = fields.text(row, LETTER, where)
        question = fields.text(row, ["Question", "question"], where)
        put = f"Question: {question}" if self.mode == "clue-2024" else question
        return Question(
            id=f"medisumqa-{number:04d}",
            text=f"<letter>\n{letter}\n</letter>\n\n{put}",
            options=(),
            answer=-1,
            query=question,
            reference=fields.text(row, ["Answer", "answer"], where),
        )
