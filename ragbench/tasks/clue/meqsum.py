"""MeQSum: a consumer's health inquiry, as one short question.

Data: Ben Abacha and Demner-Fushman 2019 (ACL), CC BY 4.0: a workbook with the columns ``File``,
``CHQ`` and ``Summary``, or JSON lines with ``id``, ``question`` and ``summary``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ragbench.base.records import Question
from ragbench.tasks.clue.clue import MODES, ClueTask
from ragbench.tasks.files.rows import id_of, text_of
from ragbench.tasks.task import TEXT_METRICS, About, TaskInfo


class MeqsumTask(ClueTask):
    """An inquiry; the reply is its summary."""

    NAME = "meqsum"
    SHOTS = 3
    COLUMNS = ("File", "CHQ", "Summary")
    about: ClassVar[About] = About(
        licence="CC BY 4.0",
        data_use="open",
        scoring="generate",
        metrics=TEXT_METRICS,
        modes=MODES,
        shots="3, drawn from the file (or from the option examples)",
        query="the inquiry",
        file="data/MeQSum_ACL2019_BenAbacha_Demner-Fushman.xlsx (columns File, CHQ, Summary; or "
        "JSON lines: id, question, summary)",
        access="the workbook is in the repository https://github.com/abachaa/MeQSum",
    )

    def _info(self) -> TaskInfo:
        old = self.mode == "clue-2024"
        return TaskInfo(
            instruction=(
                "You help patients to put their questions. Condense the inquiry into one concise "
                "question that keeps what must be known to answer it. Reply with that question "
                "alone."
            ),
            default_corpus=self._option("corpus"),
            licence=self.about.licence,
            data_use=self.about.data_use,
            scoring=self.about.scoring,
            metrics=TEXT_METRICS,
            answers="text",
            reader={"correct": "", "clue-2024": "clue-text"}.get(self.mode, "raw"),
            reply_limit=512 if self.mode == "clue-2025" else 200,
            cue="Question: " if old else "",
            double_first=old,
        )

    def _question(self, row: Mapping[str, Any], number: int, where: str) -> Question:
        inquiry = text_of(row, ["CHQ", "question"], where)
        return Question(
            id=id_of(row, ["File", "id"], where) or f"meqsum-{number:04d}",
            text=f"<inquiry>\n{inquiry}\n</inquiry>",
            options=(),
            answer=-1,
            query=inquiry,
            reference=text_of(row, ["Summary", "summary"], where),
        )
