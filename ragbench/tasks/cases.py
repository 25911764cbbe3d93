"""Case challenges of NEJM and JAMA: a published case, a question, lettered options.

The cases are copyrighted by the journals: no file is carried, and whoever asks them brings their
own, within the journals' terms. JSON lines ``{id, source, published, case_text, question, options,
answer, image_required?, specialty?, human_distribution?, query?, cluster?}``: ``published`` is a
date or null, ``options`` may be any number, ``human_distribution`` says how the journal's readers
voted, ``query`` is the text to search with instead of case and question.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from string import ascii_uppercase
from typing import ClassVar

from pydantic import Field

from ragbench.base.errors import DataError
from ragbench.base.records import Mode, Question
from ragbench.tasks.files import fields
from ragbench.tasks.files.jsonltask import SHOTS, JsonlOptions, JsonlTask
from ragbench.tasks.task import TaskInfo, TaskOptions, check_options

KNOWN = {
    *("id", "source", "published", "case_text", "question", "options", "answer"),
    *("image_required", "specialty", "human_distribution", "query", "split", "cluster"),
}
LAYOUT = (
    "JSON lines: id, source (nejm or jama), published (YYYY-MM-DD or null), case_text, question, "
    "options {A: ..., B: ...}, answer (a letter), image_required?, specialty?, "
    "human_distribution?, query?, cluster?"
)
NO_IMAGE = (
    "(This case was published with an image that belongs to the question. The image is missing "
    "here: only the text is given.)"
)
UNDATED = "undated"
MOST_VOTES = 2**53


class CaseOptions(JsonlOptions):
    """Where the cases are and how they are divided.

    Attributes:
        path: The file; a relative path starts from RAGBENCH_HOME.
        cutoff: First day of the stratum ``after``, such as the end of a model's training data;
            earlier cases are ``before``. By default the year of publication is the stratum.
    """

    cutoff: date | None = Field(None)


class CaseTask(JsonlTask):
    """Reads the cases of one journal; a subclass names it."""

    Options: ClassVar[type[TaskOptions]] = CaseOptions
    options: CaseOptions
    SOURCE: ClassVar[str]

    def __init__(self, options: TaskOptions, *, mode: Mode = "correct") -> None:
        super().__init__(options, mode=mode)
        # The share of readers who chose the right option, by case; filled by reading.
        self._votes: dict[str, float] = {}

    def _info(self) -> TaskInfo:
        return replace(super()._info(), note=self._note())

    def _note(self) -> str:
        """Return how readers voted, and how many cases are missing their image."""
        asked = self._selected.questions
        parts = []
        if votes := [self._votes[q.id] for q in asked if q.id in self._votes]:
            mean = 100 * sum(votes) / len(votes)
            parts.append(
                f"of the journal's readers {mean:.1f} % chose the right option (mean over "
                f"{len(votes):,} cases of the file that tell)"
            )
        if missing := sum(NO_IMAGE in q.text for q in asked):
            parts.append(f"{missing:,} of {len(asked):,} cases lack the image that they need")
        return "; ".join(parts)

    def _question(self, row: fields.Row, where: str, number: int) -> Question:
        fields.check_names(row, KNOWN, where, extra=self.options.extra_fields)
        if row.get("source") != self.SOURCE:
            raise DataError(
                f"the source is {row.get('source')!r}, not {self.SOURCE!r}",
                where=where,
                fix=f"keep the cases of one journal in one file; write source: {self.SOURCE}",
            )
        options = fields.options(row.get("options"), where)
        answer = fields.answer(row.get("answer"), options, where, reading=self.options.answers)
        check_options(options, answer, where=where)
        case = fields.text(row, "case_text", where)
        asked = fields.text(row, "question", where)
        fields.optional_text(row, "specialty", where)
        identifier = fields.identifier(row.get("id"), where)
        share = right_share(row.get("human_distribution"), len(options), answer, where)
        if share is not None:
            self._votes[identifier] = share
        parts = [case, *([NO_IMAGE] if _needs_image(row, where) else []), asked]
        return Question(
            id=identifier,
            text="\n\n".join(parts),
            options=options,
            answer=answer,
            query=fields.optional_text(row, "query", where) or f"{case}\n\n{asked}",
            stratum=stratum(row.get("published"), self.options.cutoff, where),
        )


def stratum(published: object, cutoff: date | None, where: str) -> str:
    """Return the stratum of a case: ``undated``, the year, or ``before`` or ``after`` the cutoff.

    Raises:
        DataError: The date of publication is not an ISO date.

    >>> stratum("2023-01-01", date(2023, 1, 1), ""), stratum("2022-12-31", None, "")
    ('after', '2022')
    """
    if published is None:
        return UNDATED
    try:
        day = date.fromisoformat(published) if isinstance(published, str) else None
    except ValueError:
        day = None
    if day is None:
        raise DataError(
            f"the field 'published' is {published!r}, which is not a date",
            where=where,
            fix="write YYYY-MM-DD, or null where it is not known",
        )
    if cutoff is None:
        return f"{day.year:04d}"
    return "before" if day < cutoff else "after"


def right_share(value: object, n_options: int, answer: int, where: str) -> float | None:
    """Return the share of the journal's readers who chose the right option; None if not known.

    The value holds votes, percentages or shares by letter.

    Raises:
        DataError: It is something else, or has letters that are no options.
    """
    if value is None:
        return None
    known = ascii_uppercase[:n_options]
    if not isinstance(value, dict) or not all(
        letter in list(known)
        and isinstance(votes, int | float)
        and not isinstance(votes, bool)
        and 0 <= votes <= MOST_VOTES
        for letter, votes in value.items()
    ):
        raise DataError(
            "the field 'human_distribution' is not a number of votes by letter",
            where=where,
            fix=f'write {{"A": 12, "B": 30, ...}} with letters from A to {known[-1]}',
        )
    total = float(sum(value.values()))
    if total <= 0:
        raise DataError("the field 'human_distribution' has no votes", where=where)
    return float(value.get(known[answer], 0)) / total


def _needs_image(row: fields.Row, where: str) -> bool:
    value = row.get("image_required")
    if value is not None and not isinstance(value, bool):
        raise DataError(
            f"the field 'image_required' is {value!r}, neither true nor false", where=where
        )
    return bool(value)


def _about(path: str, licence: str, access: str) -> TaskInfo:
    return TaskInfo(
        instruction="You are an experienced physician. Read the case of a patient, then answer the "
        "multiple-choice question on the diagnosis or management. Reply with the answer alone.",
        default_corpus="",
        licence=licence,
        data_use="bring-your-own",
        scoring="letters",
        shots=SHOTS,
        query="the field query, else case and question without the options",
        file=f"{path} ({LAYOUT})",
        access=access,
    )


class NejmTask(CaseTask):
    """Case challenges of the New England Journal of Medicine."""

    SOURCE = "nejm"
    about = _about(
        "data/cases/nejm.jsonl",
        "copyright Massachusetts Medical Society; no redistribution",
        "NEJM cases are copyrighted and not carried: write the file yourself from cases that you "
        "may use; the terms of NEJM hold for it and for where its prompts are sent",
    )


class JamaTask(CaseTask):
    """Clinical challenges of JAMA and its network journals."""

    SOURCE = "jama"
    about = _about(
        "data/cases/jama.jsonl",
        "copyright American Medical Association; no redistribution",
        "JAMA cases are copyrighted and not carried: write the file yourself from cases that you "
        "may use; the terms of the JAMA Network hold for it and for where its prompts are sent",
    )
