"""Gold passages: rows of a corpus that contain a question's answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragbench.base.errors import DataError
from ragbench.base.records import Passage, Question
from ragbench.corpora.cleaned import source_offset
from ragbench.corpora.corpus import Corpus


@dataclass(frozen=True)
class Gold:
    """The gold passages of a task in one corpus.

    Attributes:
        level: ``passage`` or ``document`` for what the gold ids match, ``passage, by the place of
            the answer`` for chunks found by offsets, ``no gold`` if the task has none, or ``not in
            this corpus``.
        rows: Rows in text order by question id; questions without gold are absent.
        ids: Gold ids found in the corpus, by question id.
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
    prefer: str = "",
) -> Gold:
    """Return the gold passages of a task in a corpus.

    Gold ids match passage ids if any of them does, else document ids. In a union they match with
    or without the name of their corpus.

    Args:
        questions: The task's questions.
        corpus: Corpus to search.
        task: The task's name, for messages.
        own: Whether this is the task's own corpus, which must contain every gold document.
        only: Whether the task has no corpus of its own, so that this one must contain some.
        prefer: The task's own corpus: ids in a union without a corpus name refer to it.

    Raises:
        DataError: A gold document is missing from the task's own corpus, or all are missing from
            the only one.
    """
    gold = {q.id: q.gold_doc_ids for q in questions if q.gold_doc_ids}
    if not gold:
        return Gold("no gold", {}, {})
    every = sorted({identifier for ids in gold.values() for identifier in ids})
    rows: dict[str, tuple[int, ...]] = {}
    level = "passage"
    for identifier in every:
        row = corpus.match(identifier, prefer=prefer)
        if row is not None:
            rows[identifier] = (row,)
    if not rows:
        level = "document"
        for identifier in every:
            if found := corpus.match_doc(identifier, prefer=prefer):
                rows[identifier] = tuple(found)
    missing = [identifier for identifier in every if identifier not in rows]
    if missing and (own or (only and not rows)):
        raise DataError(
            f"{len(missing):,} of {len(every):,} gold ids of the task {task!r} are not in the "
            f"corpus {corpus.name!r}: {', '.join(missing[:5])}",
            where=str(corpus.folder),
            fix="give the task a corpus that holds its gold documents, from the same edition",
        )
    if not rows:
        return Gold("not in this corpus", {}, {})
    if level == "document" and any(q.gold_spans for q in questions):
        return _by_place(questions, corpus, rows)
    held = {q: tuple(i for i in ids if i in rows) for q, ids in gold.items()}
    held = {q: ids for q, ids in held.items() if ids}
    names = _names(corpus, rows, level)
    return Gold(
        level,
        {q: tuple(sorted({r for i in ids for r in rows[i]})) for q, ids in held.items()},
        {q: tuple(dict.fromkeys(names[i] for i in ids)) for q, ids in held.items()},
    )


def _names(corpus: Corpus, rows: dict[str, tuple[int, ...]], level: str) -> dict[str, str]:
    """Return the corpus's own ids by the ids as the task writes them."""
    pairs = corpus.ids_of([found[0] for found in rows.values()])
    part = 1 if level == "document" else 0
    return {written: pair[part] for written, pair in zip(rows, pairs, strict=True)}


def _by_place(
    questions: Sequence[Question], corpus: Corpus, rows_of: dict[str, tuple[int, ...]]
) -> Gold:
    """Return the chunks that overlap the offsets of the answers."""
    wanted: dict[str, list[tuple[str, int, int]]] = {}
    for question in questions:
        spans = {doc for doc, _, _ in question.gold_spans}
        whole = [(doc, 0, -1) for doc in question.gold_doc_ids if doc not in spans]
        wanted[question.id] = [*question.gold_spans, *whole]
    chunks = {
        doc: [(row, *_place(corpus[row])) for row in rows_of.get(doc, ())]
        for doc in {doc for places in wanted.values() for doc, _, _ in places}
    }
    rows: dict[str, tuple[int, ...]] = {}
    for identifier, places in wanted.items():
        found = {
            row
            for doc, start, end in places
            for row, first, last in chunks[doc]
            if end < 0 or (first < max(end, start + 1) and start < last)
        }
        if found:
            rows[identifier] = tuple(sorted(found))
    ids = {q: tuple(i for i, _ in corpus.ids_of(found)) for q, found in rows.items()}
    return Gold("passage, by the place of the answer", rows, ids)


def _place(passage: Passage) -> tuple[int, int]:
    """Return the offsets of a chunk in its document's source; the whole range if unknown."""
    start, end = passage.meta.get("start", ""), passage.meta.get("end", "")
    if start.isdigit() and end.isdigit():
        return source_offset(passage.meta, int(start)), source_offset(passage.meta, int(end))
    return 0, 2**62
