"""PubMedQA: yes, no or maybe to the question of an abstract's title.

Data: the expert-labelled set PQA-L (Jin et al. 2019, EMNLP), in one of three layouts: JSON lines
in the format of the ``mcq`` task; as published, ``ori_pqal.json`` with ``test_ground_truth.json``
beside it, whose ids are the 500 test questions; or MIRAGE's ``benchmark.json``, which holds these
500. The abstract is never part of the question: it can only be retrieved, as in MIRAGE (Xiong et
al. 2024), and is the gold document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from ragbench.base.errors import DataError
from ragbench.base.records import DataUse
from ragbench.tasks.files.rows import Located, json_object
from ragbench.tasks.mcq import McqOptions
from ragbench.tasks.mirage import Dataset, MirageTask, about_of
from ragbench.tasks.mirage_file import TASKS
from ragbench.tasks.task import TaskInfo, TaskOptions

OPTIONS = {"A": "yes", "B": "no", "C": "maybe"}
TEST_IDS = "test_ground_truth.json"
PATH = "data/pubmedqa.jsonl"
LICENCE = "MIT (questions and labels, pubmedqa/pubmedqa)"


class PubmedqaOptions(McqOptions):
    """Where the questions are.

    Attributes:
        path: The JSONL file, ``ori_pqal.json`` or ``benchmark.json``.
        split: ``test`` is the published 500.
    """

    path: str = PATH
    split: str | None = "test"
    licence: str = LICENCE
    data_use: DataUse = "open"


class PubmedqaTask(MirageTask):
    """Reads the questions in any of the layouts."""

    Options: ClassVar[type[TaskOptions]] = PubmedqaOptions
    options: PubmedqaOptions
    SET = Dataset(
        key="pubmedqa",
        about=about_of(
            LICENCE,
            "ori_pqal.json and test_ground_truth.json are in the repository "
            "https://github.com/pubmedqa/pubmedqa",
            instruction=(
                "You are an experienced physician who reads the biomedical literature. Answer the "
                "research question with yes, no or maybe. Reply with the answer alone."
            ),
            corpus="pubmedqa",
            size=500,
            file=f"{PATH} (JSON lines: id, question, options, answer, gold_doc_ids, split; or "
            "ori_pqal.json with test_ground_truth.json beside it; or MIRAGE's benchmark.json)",
        ),
    )
    about = SET.about

    def _info(self) -> TaskInfo:
        chosen = self.options
        return replace(super()._info(), licence=chosen.licence, data_use=chosen.data_use)

    def _unit(self) -> str | None:
        return self.options.cluster_unit

    def _files(self) -> list[Path]:
        beside = self._path.with_name(TEST_IDS)
        is_published = self._path.suffix == ".json" and beside.is_file()
        return [*super()._files(), *([beside] if is_published else [])]

    def _records(
        self, path: Path, value: Mapping[str, Any], split: str | None
    ) -> Iterator[Located]:
        if any(name in value for name in TASKS):
            yield from super()._records(path, value, split)
            return
        test = set(json_object(path.with_name(TEST_IDS))) if split else set()
        for number, (pmid, record) in enumerate(value.items(), 1):
            where = f"{path}, record {number} ({pmid})"
            if split and (pmid in test) != (split == "test"):
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
                    "cluster": record.get("cluster"),
                },
            )
