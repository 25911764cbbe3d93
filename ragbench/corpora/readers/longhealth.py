"""LongHealth: one passage for each document of a patient's record.

Source: Adams et al. 2024 (arXiv 2401.14490); ``data/benchmark_v5.json`` of the repository
https://github.com/kbressem/LongHealth. An object of patients by id, each with ``texts`` and
``questions``; members that are no objects, such as the canary string, are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from ragbench.base.errors import AbsentError, DataError
from ragbench.base.files import plain_file, strict_json
from ragbench.base.records import Passage
from ragbench.corpora.reader import FileReader, Located, ReaderOptions, Skipped

LAYOUT = (
    "an object of patients by id, each with texts {text_0: ..., ...} and questions "
    "[{question, answer_a ... answer_e, correct, answer_location}]"
)
ORIGIN = "https://github.com/kbressem/LongHealth"


class LonghealthOptions(ReaderOptions):
    """The reader has no options."""


class LonghealthReader(FileReader[LonghealthOptions]):
    """Streams the documents of every patient, in file order."""

    Options: ClassVar[type[ReaderOptions]] = LonghealthOptions
    path_holds: ClassVar[str] = "benchmark_v5.json"

    def sources(self) -> list[Path]:
        """Return the file.

        Raises DataError if it is not there.
        """
        if not self.path.is_file():
            raise AbsentError(
                "the file of LongHealth is not there",
                where=str(self.path),
                fix=f"take data/benchmark_v5.json from {ORIGIN}",
            )
        return [self.path]

    def read_file(self, path: Path) -> Iterator[Located | Skipped]:
        """Yield every document; an empty one is skipped."""
        for patient, record in read_patients(path).items():
            for name, text in record["texts"].items():
                where = f"{path}, {patient}, {name}"
                identifier = document_id(patient, name)
                if not text.strip():
                    yield Skipped("empty document", where)
                    continue
                meta = {"patient": patient}
                yield Located(Passage(identifier, identifier, "", text, meta), where)


def document_id(patient: str, text: str) -> str:
    """Return the id of a document.

    >>> document_id("patient_01", "text_0")
    'patient_01/text_0'
    """
    return f"{patient}/{text}"


def read_patients(path: Path) -> dict[str, dict[str, Any]]:
    """Read the file and check its layout.

    Args:
        path: ``benchmark_v5.json``.

    Returns:
        By patient, the record with ``texts`` (texts by name) and ``questions`` (objects).

    Raises:
        DataError: The file is not there, is not JSON, or a patient has no texts or questions.
    """
    if not path.is_file():
        raise AbsentError(
            "the file of LongHealth is not there",
            where=str(path),
            fix=f"take data/benchmark_v5.json from {ORIGIN} (Apache-2.0); layout: {LAYOUT}",
        )
    try:
        value = strict_json.decode(plain_file(path).read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"the file is not JSON: {error}", where=str(path), fix=LAYOUT) from None
    if not isinstance(value, dict):
        raise DataError("the file does not hold an object", where=str(path), fix=LAYOUT)
    patients = {key: record for key, record in value.items() if isinstance(record, dict)}
    if not patients:
        raise DataError("the file holds no patient", where=str(path), fix=LAYOUT)
    for key, record in patients.items():
        _check(record, f"{path}, {key}")
        for name in (key, *record["texts"]):
            if not name or not name.isprintable() or any(c.isspace() for c in name):
                raise DataError(
                    f"the id {name!r} of a patient or text is empty or has white space",
                    where=f"{path}, {key}",
                    fix="documents are found by it: write '_' instead",
                )
    return patients


def _check(record: dict[str, Any], where: str) -> None:
    texts, questions = record.get("texts"), record.get("questions")
    if (
        not isinstance(texts, dict)
        or not texts
        or not all(isinstance(text, str) for text in texts.values())
    ):
        raise DataError("the field 'texts' is no object of texts", where=where, fix=LAYOUT)
    if not isinstance(questions, list) or not all(isinstance(q, dict) for q in questions):
        raise DataError("the field 'questions' is no list of objects", where=where, fix=LAYOUT)
    for number, question in enumerate(questions, 1):
        text = question.get("question")
        if not isinstance(text, str) or not text.strip():
            raise DataError(
                "the field 'question' is missing or not text",
                where=f"{where}, question {number}",
                fix=LAYOUT,
            )
