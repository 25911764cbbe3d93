"""Recorded facts of tasks, indexes and corpora; ``ragbench.base.modelfacts`` has models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ragbench.base.records import Question, Scoring
from ragbench.runfolder.schema import SPARSE


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """Recorded facts of a task.

    Attributes:
        digest: Digest of all questions and few-shot examples.
        n: Number of questions.
        arms: Names of its arms, in the config's order.
        sources: Names of its rankings in ``retrieval/``; None if unknown.
        scoring: How its answers were taken.
        reply_limit: Maximum tokens of a generated reply; None if options were scored.
        metrics: Its metrics; effects use the first.
        answers: ``option``, ``label`` or ``text``.
        classes: The options that all of its questions share; None if they differ.
        reader: The registered reader of replies.
        examples: Ids of the few-shot examples.
        excluded: (question id, reason) of each question that was not asked.
        double_first: Whether CLUE's accumulator counted the first question twice.
        sources_of_questions: Digest by name of the files of questions.
        cluster_unit: Name of a cluster of questions, such as ``patient``; None if the task does
            not name it.
        note: Caveat for readers of the results.
        licence: Terms of the questions.
        data_use: Who may see the questions; None if unknown.
        cite: Whether replies were asked to name their passages; written only then.
        abstain: Whether the last option of every question is that the passages do not say;
            written only then.
    """

    digest: str = ""
    n: int
    arms: tuple[str, ...]
    sources: tuple[str, ...] | None = None
    scoring: Scoring
    reply_limit: int | None = None
    metrics: tuple[str, ...]
    answers: str = "option"
    classes: tuple[str, ...] | None = None
    reader: str = "option"
    examples: tuple[str, ...] = ()
    excluded: tuple[tuple[str, str], ...] = ()
    double_first: bool = False
    sources_of_questions: Mapping[str, str] = field(default_factory=dict)
    cluster_unit: str | None = None
    note: str = ""
    licence: str = ""
    data_use: str | None = None
    cite: bool | None = field(default=None, metadata=SPARSE)
    abstain: bool | None = field(default=None, metadata=SPARSE)


def shared_options(questions: Sequence[Question]) -> tuple[str, ...] | None:
    """Return the options that all questions share; None if they differ or have none."""
    shared = {question.options for question in questions}
    return shared.pop() or None if len(shared) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedCorpus:
    """The corpus that an index was built over."""

    name: str
    digest: str = ""
    n: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFacts:
    """Recorded facts of an index."""

    digest: str
    corpus: IndexedCorpus
    dtype: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusFacts:
    """Recorded facts of a corpus of passages.

    Attributes:
        n: Number of passages.
        licence: Terms of the passages.
        data_use: Who may see the passages; None if unknown.
        members: Digest by name of the members of a union; None for any other corpus.
    """

    digest: str = ""
    n: int = 0
    licence: str = ""
    data_use: str | None = None
    members: Mapping[str, str] | None = field(default=None, metadata=SPARSE)
