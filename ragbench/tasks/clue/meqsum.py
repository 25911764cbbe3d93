"""MeQSum: a consumer's health inquiry, as one short question.

Data: Ben Abacha and Demner-Fushman 2019 (ACL), CC BY 4.0: a workbook with the columns ``File``,
``CHQ`` and ``Summary``, or JSON lines with ``id``, ``question`` and ``summary``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from ragbench.base.records import Question
from ragbench.tasks.clue.clue import MODES, TEXT_READERS, ClueTask
from ragbench.tasks.files import fields
from ragbench.tasks.task import TEXT_METRICS, TaskInfo


class MeqsumTask(ClueTask):
    """An inquiry; the reply is its summary."""

    SHOTS = 3
    COLUMNS = ("File", "CHQ", "Summary")
    about: ClassVar[TaskInfo] = TaskInfo(
        instruction=(
            "You help patients to put their questions. Condense the inquiry into one concise "
            "question that keeps what must be known to answer it. Reply with that question "
            "alone."
        ),
        default_corpus="",
        licence="CC BY 4.0",
        data_use="open",
        scoring="generate",
        metrics=TEXT_METRICS,
        answers="text",
        reply_limit=200,
        modes=MODES,
        shots="3, drawn from the file (or from the option examples)",
        query="the inquiry",
        size=997,
        file="data/MeQSum_ACL2019_BenAbacha_Demner-Fushman.xlsx (columns File, CHQ, Summary; or "
        "JSON lines: id, question, summary)",
        access="the workbook is in the repository https://github.com/abachaa/MeQSum",
    )

    def _info(self) -> TaskInfo:
        old = self.mode == "clue-2024"
        return replace(
            super()._info(),
            reader=TEXT_READERS[self.mode],
            reply_limit=512 if self.mode == "clue-2025" else self.about.reply_limit,
            cue="Question: " if old else "",
            double_first=old,
        )

    def _question(self, row: fields.Row, where: str, number: int) -> Question:
        inquiry = fields.text(row, ["CHQ", "question"], where)
        return Question(
            id=fields.optional_id(row, ["File", "id"], where) or f"meqsum-{number:04d}",
            text=f"<inquiry>\n{inquiry}\n</inquiry>",
            options=(),
            answer=-1,
            query=inquiry,
            reference=fields.text(row, ["Summary", "summary"], where),
        )
