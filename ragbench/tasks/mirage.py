"""MIRAGE's question sets (Xiong et al. 2024, arXiv 2402.13178): one format, five sets.

A file is MIRAGE's ``benchmark.json``, whose ids are asked in sorted order, or JSON lines in the
format of the ``mcq`` task. Options are hidden from the retriever, as in MIRAGE.

Unlike questions of the user's own, published ones may give two options one text. The mode
``correct`` excludes those whose right option is such a one, for they have no single right answer;
the mode ``mirage`` asks them all, with MIRAGE's contents of the prompt and its reading of replies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from ragbench.base.errors import DataError
from ragbench.base.records import DataUse, Mode, Question
from ragbench.tasks.files import fields
from ragbench.tasks.files.jsonltask import SHOTS, JsonlOptions, JsonlTask
from ragbench.tasks.files.rows import Located, json_object
from ragbench.tasks.mcq import INSTRUCTION, KNOWN
from ragbench.tasks.mirage_file import is_ambiguous, read_record, records
from ragbench.tasks.task import TaskInfo, TaskOptions

BENCHMARK = "data/mirage/benchmark.json"
SAME_TEXT = "its right option has the same text as another"
PUBLISHED = (
    "You are a medical expert who answers multiple-choice questions. Think step by step, then "
    "choose one option. Your reply is read by a program: write nothing but a JSON object with two "
    'fields, "step_by_step_thinking", a text with your reasoning, and "answer_choice", the letter '
    "of the option that you choose."
)
PUBLISHED_RULE = "Think step by step, then reply with the JSON object."
REPLY_LIMIT = 1024


@dataclass(frozen=True, slots=True)
class Dataset:
    """One of the sets.

    Attributes:
        key: Its name in ``benchmark.json``.
        about: What its task states.
        fields: Fields that its JSON lines may have beside those of ``mcq``.
        by_subject: Whether the subject is the stratum.
    """

    key: str
    about: TaskInfo
    fields: frozenset[str] = frozenset()
    by_subject: bool = False


def about_of(
    licence: str,
    access: str,
    *,
    data_use: DataUse = "open",
    instruction: str = INSTRUCTION,
    corpus: str = "",
    file: str = "",
    size: int | None = None,
) -> TaskInfo:
    """Return what all sets have in common, with what is particular to one."""
    return TaskInfo(
        instruction=instruction,
        default_corpus=corpus,
        licence=licence,
        data_use=data_use,
        scoring="letters",
        modes=("correct", "mirage"),
        shots=SHOTS,
        file=file
        or f"{BENCHMARK} (MIRAGE's benchmark.json; or JSON lines: id, question, options, answer)",
        access=access,
        size=size,
    )


REPOSITORY = "benchmark.json is in the repository https://github.com/Teddy-XiongGZ/MIRAGE"
DATASETS = {
    "mmlu_med": Dataset(
        key="mmlu",
        about=about_of("MIT (hendrycks/test)", REPOSITORY, size=1089),
        fields=frozenset({"subject"}),
        by_subject=True,
    ),
    "medqa_us": Dataset(
        key="medqa",
        about=about_of("MIT (jind11/MedQA)", REPOSITORY, size=1273),
        fields=frozenset({"meta"}),
    ),
    "medmcqa": Dataset(
        key="medmcqa",
        about=about_of("MIT (medmcqa/medmcqa)", REPOSITORY, size=4183),
        fields=frozenset({"subject", "choice_type"}),
    ),
    "bioasq_yn": Dataset(
        key="bioasq",
        about=about_of(
            "the terms of BioASQ (registration)",
            f"register at http://participants-area.bioasq.org; {REPOSITORY}",
            data_use="bring-your-own",
            instruction=(
                "You are an experienced physician who reads the biomedical literature. Answer the "
                "question with yes or no. Reply with the answer alone."
            ),
            corpus="pubmed",
            size=618,
        ),
    ),
}


class MirageOptions(JsonlOptions):
    """Where the questions are.

    Attributes:
        path: ``benchmark.json``, or JSON lines; a relative path starts from RAGBENCH_HOME.
    """

    path: str = BENCHMARK


class MirageTask(JsonlTask):
    """Reads the questions of one set; a subclass names it."""

    Options: ClassVar[type[TaskOptions]] = MirageOptions
    SET: ClassVar[Dataset]

    def __init__(self, options: TaskOptions, *, mode: Mode = "correct") -> None:
        super().__init__(options, mode=mode)
        for name in ("instruction", "examples"):
            if mode == "mirage" and name in self.options.model_fields_set:
                raise DataError(
                    f"the mode 'mirage' takes no {name} but MIRAGE's own",
                    where=f"tasks: options: {name}",
                    fix="leave the option out, or write `mode: correct`",
                )

    def _info(self) -> TaskInfo:
        info = super()._info()
        if self.mode == "correct":
            return info
        return replace(
            info,
            instruction=PUBLISHED,
            rule=PUBLISHED_RULE,
            scoring="generate",
            reader="mirage",
            reply_limit=REPLY_LIMIT,
            note="a reply that none of MIRAGE's rules reads counts as the answer A",
        )

    def _rows(self, path: Path, split: str | None) -> Iterator[Located]:
        if path.name.removesuffix(".gz").endswith(".json"):
            return self._records(path, json_object(path), split)
        return super()._rows(path, split)

    def _records(
        self, path: Path, value: Mapping[str, Any], split: str | None
    ) -> Iterator[Located]:
        """Yield the records of the set in MIRAGE's file, in the order of their ids."""
        if split not in (None, "test"):
            raise DataError(
                f"MIRAGE's file has no split {split!r}: it holds what MIRAGE asks",
                where=str(path),
                fix="leave the option split out, or give another file",
            )
        return records(path, value, self.SET.key)

    def _question(self, row: fields.Row, where: str, number: int) -> Question:
        known = KNOWN | self.SET.fields | {"PMID"}
        fields.check_names(row, known, where, extra=self.options.extra_fields)
        question = read_record(row, where, self.options.answers)
        if self.SET.by_subject and not question.stratum:
            subject = fields.text_or_number(row, "subject", where)
            return replace(question, stratum=subject or question.id.rpartition("-")[0])
        return question

    def _reason(self, question: Question) -> str:
        return SAME_TEXT if self.mode == "correct" and is_ambiguous(question) else ""


class MmluMedTask(MirageTask):
    """MMLU's six medical subjects."""

    SET = DATASETS["mmlu_med"]
    about = SET.about


class MedqaUsTask(MirageTask):
    """Questions in the style of the US licensing examination."""

    SET = DATASETS["medqa_us"]
    about = SET.about


class MedmcqaTask(MirageTask):
    """Questions of Indian entrance examinations."""

    SET = DATASETS["medmcqa"]
    about = SET.about


class BioasqYnTask(MirageTask):
    """Yes-or-no questions of BioASQ, with the articles that answer them as gold documents."""

    SET = DATASETS["bioasq_yn"]
    about = SET.about
