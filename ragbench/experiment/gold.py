"""Gold passages: which rows of a corpus hold a question's answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragbench.corpora.store import Corpus
from ragbench.errors import DataError
from ragbench.records import Question


@dataclass(frozen=True)
class Gold:
    """The gold passages of a task in one corpus.

    Attributes:
        level: ``passage`` or ``document``: what the gold ids match; ``no gold`` where the task
            knows none; ``not in this corpus`` where another corpus holds them.
        rows: Rows in text order by question id; questions without any are left out.
        ids: The gold ids found, by question id.
    """

    level: str
    rows: dict[str, tuple[int, ...]]
    ids: dict[str, tuple[str, ...]]


def find_gold(
    questions: Sequence[Question],
    corpus: Corpus,
    *,
    task: str,
    own: bool = False,
    only: bool = False,
) -> Gold:
    """Look the gold ids of a task up in a corpus.

    They match passage ids if any of them does, else document ids.

    Args:
        questions: The task's questions.
        corpus: Where to look.
        task: The task's name, for messages.
        own: Whether this is the task's own corpus, which must hold every gold document.
        only: Whether the task has no corpus of its own, so that this one must hold some.

    Returns:
        What was found.

    Raises:
        DataError: The task's own corpus lacks a gold document, or the only one lacks all.
    """
    gold = {q.id: q.gold_doc_ids for q in questions if q.gold_doc_ids}
    if not gold:
        return Gold("no gold", {}, {})
    every = sorted({identifier for ids in gold.values() for identifier in ids})
    rows: dict[str, tuple[int, ...]] = {}
    level = "passage"
    for identifier in every:
        row = corpus.find(identifier)
        if row is not None:
            rows[identifier] = (row,)
    if not rows:
        level = "document"
        for identifier in every:
            if found := corpus.rows_of_doc(identifier):
                rows[identifier] = tuple(found)
    lacking = [identifier for identifier in every if identifier not in rows]
    if lacking and (own or (only and not rows)):
        raise DataError(
            f"{len(lacking):,} of {len(every):,} gold ids of the task {task!r} are not in the "
            f"corpus {corpus.name!r}: {', '.join(lacking[:5])}",
            where=str(corpus.folder),
            fix="give the task a corpus that holds its gold documents, from the same edition",
        )
    if not rows:
        return Gold("not in this corpus", {}, {})
    held = {q: tuple(i for i in ids if i in rows) for q, ids in gold.items()}
    held = {q: ids for q, ids in held.items() if ids}
    return Gold(
        level,
        {q: tuple(sorted({r for i in ids for r in rows[i]})) for q, ids in held.items()},
        held,
    )
