"""LongHealth: questions on long, fictional patient records (Adams et al. 2024, arXiv 2401.14490).

Task 1 asks of the patient's own documents. Tasks 2 and 3 add documents of ten others: in task 2 the
answer is among them, in task 3 it is not, and the right option is the sixth, that the question
cannot be answered. Each question is drawn several times; the draw is part of its id, and the
patient is the cluster. The documents are not part of the question: the arm ``documents`` gives them
whole, a retriever ``within: documents`` the best passages of them, ``oracle`` those that hold the
answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from ragbench.base import home
from ragbench.base.errors import DataError
from ragbench.base.files import sha256_file
from ragbench.base.records import UNANSWERABLE, Mode, Question
from ragbench.corpora.readers.longhealth import LAYOUT, document_id, read_patients
from ragbench.tasks.clue.clue import MODES
from ragbench.tasks.files.filetask import first
from ragbench.tasks.task import TaskInfo, TaskOptions, check_options

LETTERS = "abcde"
CLUE_RULE = (
    "Begin your reply with the words 'The correct answer is', then give the letter, a colon and "
    "the text of the option, in one sentence, such as: The correct answer is B: Aspirin. The "
    "letters are A, B, C, D and E."
)
NO_PLACE = "no document is named for the answer"


class LonghealthOptions(TaskOptions):
    """Where the records are, and how often a question is drawn.

    Attributes:
        path: ``benchmark_v5.json``; a relative path starts from RAGBENCH_HOME.
        draws: Number of times that each question is asked, with its documents drawn anew.
        distractors: Number of documents of other patients that tasks 2 and 3 add.
        corpus: Corpus that ``corpus: task`` names: the documents, not chunked.
    """

    path: str = "data/longhealth/benchmark_v5.json"
    draws: int = Field(5, gt=0, le=100)
    distractors: int = Field(10, gt=0)
    corpus: str = "longhealth"


class _LonghealthTask:
    """What the three tasks share."""

    Options: ClassVar[type[TaskOptions]] = LonghealthOptions
    TASK: ClassVar[int]
    about: ClassVar[TaskInfo]

    def __init__(self, options: TaskOptions, *, mode: Mode = "correct") -> None:
        self.options = LonghealthOptions.model_validate(options.model_dump())
        self.mode = mode

    @property
    def info(self) -> TaskInfo:
        """What the task states about itself; the file need not be there."""
        info = replace(self.about, default_corpus=self.options.corpus)
        if self._path.is_file():
            sources = ((self._path.name, sha256_file(self._path)),)
            info = replace(info, excluded=self._excluded, sources=sources)
        if self.mode == "correct":
            return info
        return replace(
            info,
            scoring="generate",
            reader="clue-longhealth",
            rule=CLUE_RULE,
            reply_limit=50,
        )

    @property
    def _path(self) -> Path:
        return home.home() / home.expand(self.options.path)

    @cached_property
    def _patients(self) -> dict[str, dict[str, Any]]:
        return read_patients(self._path)

    def questions(self, *, limit: int | None, seed: int) -> list[Question]:
        """Return the questions in file order, all draws of a question together.

        The limit counts draws. A draw depends on seed, patient, question and its number.

        Raises:
            DataError: The file or a question of it is wrong, or there are fewer than ``limit``.
        """
        left_out = {identifier for identifier, _ in self._excluded}
        found = [
            self._drawn(patient, number, draw, seed)
            for patient, record in self._patients.items()
            for number in range(len(record["questions"]))
            if question_id(patient, number) not in left_out
            for draw in range(self.options.draws)
        ]
        return first(found, limit, self._path)

    @cached_property
    def _excluded(self) -> tuple[tuple[str, str], ...]:
        """What task 2 cannot ask: questions without a document that holds the answer."""
        if self.TASK != 2 or self.mode != "correct":
            return ()
        return tuple(
            (question_id(patient, number), NO_PLACE)
            for patient, record in self._patients.items()
            for number, row in enumerate(record["questions"])
            if not row.get("answer_location")
        )

    def _drawn(self, patient: str, number: int, draw: int, seed: int) -> Question:
        record = self._patients[patient]
        where = f"{self._path}, {patient}, question {number + 1}"
        row = record["questions"][number]
        options, answer = self._options(row, where)
        spans = _spans(row, record["texts"], patient, where)
        answers = [d for t in record["texts"] if (d := document_id(patient, t)) in dict(spans)]
        if self.TASK != 1:
            options = (*options, UNANSWERABLE)
        if self.TASK == 1:
            own = _documents(patient, record)
            documents = [*answers, *(d for d in own if d not in answers)]
        else:
            others = self._others(patient, number, draw, seed)
            documents = others if self.TASK == 3 else [*answers, *others]
        answerable = self.TASK != 3
        return Question(
            id=f"{question_id(patient, number)}-d{draw + 1}",
            text=str(row["question"]).strip(),
            options=options,
            answer=answer if answerable else len(options) - 1,
            query=str(row["question"]).strip(),
            gold_doc_ids=tuple(answers) if answerable else (),
            cluster=patient,
            documents=tuple(documents),
            gold_spans=tuple((d, a, b) for d, a, b in _flat(spans)) if answerable else (),
        )

    def _others(self, patient: str, number: int, draw: int, seed: int) -> list[str]:
        """Draw documents of other patients, by seed, patient, question and draw."""
        pool = [
            document
            for other, record in self._patients.items()
            if other != patient
            for document in _documents(other, record)
        ]
        if len(pool) < self.options.distractors:
            raise DataError(
                f"the other patients have {len(pool)} documents, fewer than "
                f"{self.options.distractors}",
                where=str(self._path),
                fix="set the task's option distractors to less",
            )
        key = f"{seed} {self.TASK} {patient} {number} {draw}".encode()
        draws = np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest()[:8], "big"))
        chosen = draws.choice(len(pool), size=self.options.distractors, replace=False)
        return [pool[i] for i in chosen]

    def _options(self, row: Mapping[str, Any], where: str) -> tuple[tuple[str, ...], int]:
        """Return the options and the index of the one whose text is the right answer's."""
        options = []
        for letter in LETTERS:
            text = row.get(f"answer_{letter}")
            if not isinstance(text, str) or not text.strip():
                raise DataError(
                    f"the field 'answer_{letter}' is missing or not text", where=where, fix=LAYOUT
                )
            options.append(text.strip())
        correct = str(row.get("correct") or "").strip()
        found = [i for i, option in enumerate(options) if option == correct]
        if self.mode != "correct":  # both harnesses look for the text within the options
            found = [i for i, option in enumerate(options) if correct in option] if correct else []
            found = found[-1:] if self.mode == "clue-2024" else found[:1]
        if len(found) != 1:
            raise DataError(
                f"the field 'correct' ({correct[:60]!r}) is the text of {len(found)} options",
                where=where,
                fix="it must be that of exactly one",
            )
        check_options(tuple(options), found[0], where=where)
        return tuple(options), found[0]


def question_id(patient: str, number: int) -> str:
    """Return the id of a question without its draw; ``number`` counts from 0.

    >>> question_id("patient_01", 0)
    'patient_01-q01'
    """
    return f"{patient}-q{number + 1:02d}"


def _documents(patient: str, record: Mapping[str, Any]) -> list[str]:
    """Return a patient's documents; the corpus holds no empty ones."""
    return [document_id(patient, name) for name, text in record["texts"].items() if text.strip()]


def _spans(
    row: Mapping[str, Any], texts: Mapping[str, str], patient: str, where: str
) -> list[tuple[str, list[tuple[int, int]]]]:
    """Return where the answer is, as characters of each document."""
    places = row.get("answer_location") or {}
    wrong = DataError(
        "the field 'answer_location' is wrong",
        where=where,
        fix='it is {"text_0": {"start": [0.1], "end": [0.2]}, ...}, in shares of the text',
    )
    if not isinstance(places, dict):
        raise wrong
    found = []
    for text, ends in places.items():
        starts = ends.get("start") if isinstance(ends, dict) else None
        stops = ends.get("end") if isinstance(ends, dict) else None
        if not texts.get(text, "").strip():
            raise wrong
        if not isinstance(starts, list) or not isinstance(stops, list):
            raise wrong
        if len(starts) != len(stops):
            raise wrong
        size = len(texts[text])
        pairs = []
        for start, stop in zip(starts, stops, strict=True):
            if not (_is_share(start) and _is_share(stop) and start <= stop):
                raise DataError(
                    f"a place of 'answer_location' in {text!r} ({start!r} to {stop!r}) is no part "
                    "of the text",
                    where=where,
                    fix="start and end are shares of the text's length, from 0 to 1",
                )
            # Rounded: a share such as 29/100 times 100 falls short of 29.
            pairs.append((round(start * size), round(stop * size)))
        found.append((document_id(patient, text), pairs))
    return found


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _flat(spans: list[tuple[str, list[tuple[int, int]]]]) -> list[tuple[str, int, int]]:
    return [(doc, start, stop) for doc, pairs in spans for start, stop in pairs]


def _about(what: str, *metrics: str) -> TaskInfo:
    return TaskInfo(
        instruction=(
            "You are a careful assistant who answers questions about patients' discharge "
            "letters. Be accurate and concise, keep to the documents that are given, and "
            "weigh them together."
        ),
        default_corpus="longhealth",
        licence="Apache-2.0 (as stated by a re-user; check the repository)",
        data_use="open",
        scoring="letters",
        metrics=("accuracy", *metrics),
        cluster_unit="patient",
        reply_limit=64,
        note="Each question is asked in several draws; intervals go by patient.",
        modes=MODES,
        size=2000,
        file=f"data/longhealth/benchmark_v5.json ({what})",
        access="benchmark_v5.json is in the repository https://github.com/kbressem/LongHealth, "
        "folder data",
    )


class Longhealth1Task(_LonghealthTask):
    """The patient's own documents."""

    TASK = 1
    about = _about("5 draws of 400 questions, 5 options")


class Longhealth2Task(_LonghealthTask):
    """The documents with the answer among those of other patients."""

    TASK = 2
    about = _about("5 draws of 400 questions, answerable, 6 options", "over_refusal")


class Longhealth3Task(_LonghealthTask):
    """Other patients' documents alone: the question cannot be answered."""

    TASK = 3
    about = _about("5 draws of 400 questions, not answerable, 6 options", "hallucination")
