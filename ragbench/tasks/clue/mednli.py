"""MedNLI: how a hypothesis relates to a sentence of a clinical note.

Data: Romanov and Shivade 2018 (EMNLP), on PhysioNet under a data-use agreement:
``mli_test_v1.jsonl`` with the fields ``sentence1``, ``sentence2`` and ``gold_label``. Three
hypotheses share a premise, which is the cluster.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import ClassVar

from ragbench.base.errors import DataError
from ragbench.base.records import Question
from ragbench.tasks.clue.clue import MODES, ClueTask
from ragbench.tasks.files import fields
from ragbench.tasks.task import TaskInfo

LABELS = ("entailment", "contradiction", "neutral")


class MednliTask(ClueTask):
    """Premise and hypothesis; the reply is one of three labels."""

    SHOTS = 3
    about: ClassVar[TaskInfo] = TaskInfo(
        instruction=(
            "You are a medical assistant. You are given SENTENCE_1, from a clinical note, and "
            "SENTENCE_2. Name the logical relation of the second to the first: ENTAILMENT if "
            "it must be true, CONTRADICTION if it cannot be, NEUTRAL if it may be. Reply with "
            "one of these three words alone."
        ),
        default_corpus="",
        licence="PhysioNet Credentialed Health Data License 1.5.0",
        data_use="restricted",
        scoring="generate",
        cluster_unit="premise",
        answers="label",
        reply_limit=32,
        modes=MODES,
        shots="3, drawn from the file with all of their premises (or from the option examples)",
        query="premise and hypothesis",
        size=1419,
        file="data/mednli/mli_test_v1.jsonl (JSON lines: sentence1, sentence2, gold_label, pairID)",
        access="MedNLI 1.0.0 is on PhysioNet for credentialed users: "
        "https://physionet.org/content/mednli/1.0.0/",
    )

    def _info(self) -> TaskInfo:
        published = self.mode != "correct"
        return replace(
            super()._info(),
            reader="clue-label" if published else "",
            reply_limit=20 if published else self.about.reply_limit,
            double_first=published,
        )

    def _question(self, row: fields.Row, where: str, number: int) -> Question:
        premise = fields.text(row, "sentence1", where)
        hypothesis = fields.text(row, "sentence2", where)
        label = fields.text(row, "gold_label", where).lower()
        if label not in LABELS:
            raise DataError(
                f"the gold_label {label!r} is none of {', '.join(LABELS)}",
                where=where,
                fix="take the published file; pairs without a gold label are not in its test set",
            )
        digest = hashlib.sha256(premise.encode("utf-8")).hexdigest()
        return Question(
            id=f"mednli-{number:04d}",
            text=f"SENTENCE_1: {premise}\nSENTENCE_2: {hypothesis}",
            options=LABELS,
            answer=LABELS.index(label),
            query=f"{premise} {hypothesis}",
            cluster=digest[:12],
        )
