"""PubMedQA: yes, no or maybe to the question of an abstract's title.

Data: the expert-labelled set PQA-L (Jin et al. 2019, EMNLP), either as JSON lines in the format
of the ``mcq`` task or as published: ``ori_pqal.json`` with ``test_ground_truth.json`` beside
it, whose ids are the 500 test questions. The abstract never stands in the question: it can only
be retrieved, as in MIRAGE (Xiong et al. 2024), and is the gold document.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from ragbench.errors import DataError
from ragbench.records import DataUse
from ragbench.tasks.mcq import McqOptions, McqTask
from ragbench.tasks.task import TaskOptions

OPTIONS = {"A": "yes", "B": "no", "C": "maybe"}
TEST_IDS = "test_ground_truth.json"


class PubmedqaOptions(McqOptions):
    """Where the questions lie.

    Attributes:
        path: The JSONL file or ``ori_pqal.json``.
        split: ``test`` is the published 500.
    """

    path: str = "data/pubmedqa.jsonl"
    split: str | None = "test"
    instruction: str = (
        "You are an experienced physician who reads the biomedical literature. Answer the "
        "research question with yes, no or maybe. Reply with the answer alone."
    )
    corpus: str = "pubmedqa"
    licence: str = "MIT (questions and labels, pubmedqa/pubmedqa)"
    data_use: DataUse = "open"


class PubmedqaTask(McqTask):
    """Reads the questions in either layout."""

    Options: ClassVar[type[TaskOptions]] = PubmedqaOptions

    def __init__(self, options: TaskOptions) -> None:
        self.options = PubmedqaOptions.model_validate(options.model_dump())

    def _lines(self, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        if not path.is_file():
            raise DataError(
                "the questions of PubMedQA are not there",
                where=str(path),
                fix="take ori_pqal.json and test_ground_truth.json from the repository "
                "pubmedqa/pubmedqa (MIT) and set the task's option path to the former",
            )
        if path.suffix != ".json":
            yield from super()._lines(path)
            return
        records = _object(path)
        test = set(_object(path.with_name(TEST_IDS))) if self.options.split else set()
        for number, (pmid, record) in enumerate(records.items(), 1):
            where = f"{path}, record {number} ({pmid})"
            if self.options.split and (pmid in test) != (self.options.split == "test"):
                continue
            if not isinstance(record, dict):
                raise DataError("the record is not an object", where=where)
            yield (
                where,
                {
                    "id": pmid,
                    "question": record.get("QUESTION"),
                    "options": OPTIONS,
                    "answer": record.get("final_decision"),
                    "gold_doc_ids": [pmid],
                },
            )


def _object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"the file cannot be read: {error}", where=str(path)) from None
    if not isinstance(value, dict):
        raise DataError("the file does not hold an object of records", where=str(path))
    return value
