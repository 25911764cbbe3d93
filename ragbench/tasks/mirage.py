"""MIRAGE's question sets (Xiong et al. 2024, arXiv 2402.13178): one format, five sets.

A file is MIRAGE's ``benchmark.json``, ``{set: {id: {question, options, answer, PMID?}}}``, whose
ids are asked in sorted order, or JSON lines in the format of the ``mcq`` task. Options are hidden
from the retriever, as in MIRAGE.

Unlike questions of the user's own, published ones may give two options one text. In the mode
``correct`` those whose right option is such a one are not asked, for no answer can be told; the
mode ``mirage`` asks them all, with MIRAGE's contents of the prompt and its reading of replies.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from ragbench.base.errors import DataError
from ragbench.base.records import DataUse, Mode, Question
from ragbench.tasks.files import lines
from ragbench.tasks.files.questionfile import SHOTS, FileOptions, FileTask, Located
from ragbench.tasks.mcq import INSTRUCTION, KNOWN, read_question
from ragbench.tasks.task import About, TaskInfo, TaskOptions

MODES: tuple[Mode, ...] = ("correct", "mirage")
BENCHMARK = "data/mirage/benchmark.json"
SETS = ("mmlu", "medqa", "medmcqa", "pubmedqa", "bioasq")
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
    """What is stated of a set.

    Attributes:
        key: Its name in ``benchmark.json``.
        about: What ``ragbench list tasks`` tells of it.
        fields: What its JSON lines may hold beside the fields of ``mcq``.
        instruction: The system turn of the mode ``correct``.
        corpus: What ``corpus: task`` means.
        by_subject: Whether the subject is the stratum.
    """

    key: str
    about: About
    fields: frozenset[str] = frozenset()
    instruction: str = INSTRUCTION
    corpus: str = ""
    by_subject: bool = False


def about_of(licence: str, access: str, *, data_use: DataUse = "open", file: str = "") -> About:
    """Return what is told of a set.

    Args:
        licence: Terms of the questions.
        access: How to get them.
        data_use: Who may see them.
        file: Where the file is expected, if it is not MIRAGE's.

    Returns:
        What all sets have in common, with these.
    """
    return About(
        licence=licence,
        data_use=data_use,
        scoring="letters",
        modes=MODES,
        shots=SHOTS,
        file=file
        or f"{BENCHMARK} (MIRAGE's benchmark.json; or JSON lines: id, question, options, answer)",
        access=access,
    )


REPOSITORY = "benchmark.json is in the repository https://github.com/Teddy-XiongGZ/MIRAGE"
DATASETS = {
    "mmlu_med": Dataset(
        key="mmlu",
        about=about_of("MIT (hendrycks/test)", REPOSITORY),
        fields=frozenset({"subject"}),
        by_subject=True,
    ),
    "medqa_us": Dataset(
        key="medqa",
        about=about_of("MIT (jind11/MedQA)", REPOSITORY),
        fields=frozenset({"meta"}),
    ),
    "medmcqa": Dataset(
        key="medmcqa",
        about=about_of("MIT (medmcqa/medmcqa)", REPOSITORY),
        fields=frozenset({"subject", "choice_type"}),
    ),
    "bioasq_yn": Dataset(
        key="bioasq",
        about=about_of(
            "the terms of BioASQ (registration)",
            f"register at http://participants-area.bioasq.org; {REPOSITORY}",
            data_use="bring-your-own",
        ),
        instruction=(
            "You are an experienced physician who reads the biomedical literature. Answer the "
            "question with yes or no. Reply with the answer alone."
        ),
        corpus="pubmed",
    ),
}


class MirageOptions(FileOptions):
    """Where the questions lie.

    Attributes:
        path: ``benchmark.json``, or JSON lines; a relative path starts from RAGBENCH_HOME.
    """

    path: str = BENCHMARK


class MirageTask(FileTask):
    """Reads the questions of one set; a subclass names it."""

    Options: ClassVar[type[TaskOptions]] = MirageOptions
    modes: ClassVar[tuple[Mode, ...]] = MODES
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
        info = TaskInfo(
            instruction=self.options.instruction or self.SET.instruction,
            default_corpus=self.options.corpus or self.SET.corpus,
            licence=self.about.licence,
            data_use=self.about.data_use,
            scoring="letters",
            cluster_unit=self._unit(),
            note=repeats(self._read[0]),
        )
        if self.mode == "correct":
            return info
        default = "a reply that none of MIRAGE's rules reads counts as the answer A"
        return replace(
            info,
            instruction=PUBLISHED,
            rule=PUBLISHED_RULE,
            scoring="generate",
            reader="mirage",
            reply_limit=REPLY_LIMIT,
            note="; ".join(filter(None, [info.note, default])),
        )

    def _unit(self) -> str | None:
        return None

    def _lines(self, path: Path, split: str | None) -> Iterator[Located]:
        if path.name.removesuffix(".gz").endswith(".json"):
            return self._records(path, lines.json_object(path), split)
        return super()._lines(path, split)

    def _records(
        self, path: Path, value: Mapping[str, Any], split: str | None
    ) -> Iterator[Located]:
        """Yield the records of the set in MIRAGE's file, in the order of their ids."""
        records = value.get(self.SET.key)
        if not isinstance(records, dict):
            raise DataError(
                f"the file holds no set {self.SET.key!r}, but {', '.join(value) or 'nothing'}",
                where=str(path),
                fix="give MIRAGE's benchmark.json, {set: {id: {question, options, answer}}}, or "
                "JSON lines in a file that ends in .jsonl",
            )
        if split not in (None, "test"):
            raise DataError(
                f"MIRAGE's file has no split {split!r}: it holds what MIRAGE asks",
                where=str(path),
                fix="leave the option split out, or give another file",
            )
        for name, record in sorted(records.items()):
            where = f"{path}, {self.SET.key}, {name}"
            if not isinstance(record, dict):
                raise DataError("the record is not an object", where=where)
            yield where, {**record, "id": name}

    def _question(self, line: Mapping[str, Any], where: str) -> Question:
        known = KNOWN | self.SET.fields | {"PMID"}
        lines.check_fields(line, known, where, extra=self.options.extra_fields)
        question = read_question(line, where, cluster_unit=self._unit())
        for option in question.options:
            if not option:
                raise DataError("an option is empty", where=where, fix="give it a text")
        if len(question.options) < 2:
            raise DataError(f"the question has {len(question.options)} options", where=where)
        if self.SET.by_subject and not question.stratum:
            subject = lines.plain(line, "subject", where) or question.id.rpartition("-")[0]
            question = replace(question, stratum=subject)
        gold = question.gold_doc_ids or lines.ids(line, "PMID", where)
        return replace(question, gold_doc_ids=gold)

    def _reason(self, question: Question) -> str:
        right = _bare(question.options[question.answer])
        same = sum(_bare(option) == right for option in question.options) > 1
        return SAME_TEXT if same and self.mode == "correct" else ""


class MmluMedTask(MirageTask):
    """MMLU's six medical subjects."""

    SET = DATASETS["mmlu_med"]
    about: ClassVar[About] = SET.about


class MedqaUsTask(MirageTask):
    """Questions in the style of the US licensing examination."""

    SET = DATASETS["medqa_us"]
    about: ClassVar[About] = SET.about


class MedmcqaTask(MirageTask):
    """Questions of Indian entrance examinations."""

    SET = DATASETS["medmcqa"]
    about: ClassVar[About] = SET.about


class BioasqYnTask(MirageTask):
    """Yes-or-no questions of BioASQ, with the articles that answer them as gold documents."""

    SET = DATASETS["bioasq_yn"]
    about: ClassVar[About] = SET.about


def _bare(text: str) -> str:
    return " ".join(text.split()).casefold()


def repeats(questions: Sequence[Question]) -> str:
    """Return how many questions repeat another, but for case, blanks and punctuation.

    Args:
        questions: The questions; those that repeat one have its options in any order.

    Returns:
        A sentence; nothing where there is none.
    """
    groups: dict[tuple[str, frozenset[str]], list[str]] = defaultdict(list)
    for question in questions:
        options = frozenset(_letters(option) for option in question.options)
        groups[_letters(question.text), options].append(_letters(question.options[question.answer]))
    extra = sum(len(keys) - 1 for keys in groups.values())
    other = sum(len(set(keys)) > 1 for keys in groups.values())
    if not extra:
        return ""
    differ = f", {other:,} with another key" if other else ""
    return (
        f"{extra:,} of the {len(questions):,} questions of the file repeat another{differ}; all "
        "are asked, and intervals take them as independent"
    )


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text.casefold())
