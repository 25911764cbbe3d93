"""The arm ``documents``: a question's own whole documents, up to the budget."""

from __future__ import annotations

import re
from collections.abc import Callable

from ragbench.base.errors import DataError
from ragbench.base.records import Passage, Question
from ragbench.corpora.cleaned import source_offset
from ragbench.corpora.corpus import Corpus
from ragbench.experiment.config.spec import ArmSpec
from ragbench.experiment.stages.arms import Context, Delivery
from ragbench.experiment.stages.prompts import passage_entry

CUT = re.compile(r"\[:\d+\]$")


def whole(identifier: str) -> str:
    """Return the id of the document that a delivered id is from, whether cut or not.

    >>> whole("patient_01/text_0[:812]")
    'patient_01/text_0'
    """
    return CUT.sub("", identifier)


class Documents:
    """The question's documents in a random order; the document at the end of the budget is cut.

    The budget is spent in the order of ``Question.documents``, where documents with the answer come
    first. The order in the prompt is then drawn by the run's seed, the task and the question, so
    that it gives nothing away.
    """

    def __init__(self, spec: ArmSpec) -> None:
        self.spec = spec

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return the documents, and whether one with the answer was cut or excluded."""
        chosen: list[Passage] = []
        total = 0
        truncated = False
        wanted = {doc for doc, _, _ in question.gold_spans} | set(question.gold_doc_ids)
        for place, identifier in enumerate(question.documents):
            document = _document(context.corpus, identifier, question)
            number = len(question.documents)  # entry numbers are drawn later; the widest is counted
            size = context.count_tokens(passage_entry(number, document))
            if total + size > context.budget_tokens:
                part = _cut(document, number, context.budget_tokens - total, context.count_tokens)
                if part is not None:
                    chosen.append(part)
                truncated = _loses(question, identifier, part) or bool(
                    wanted & set(question.documents[place + 1 :])
                )
                break
            chosen.append(document)
            total += size
        draw = context.generator("documents", question)
        ordered = tuple(chosen[i] for i in draw.permutation(len(chosen)))
        n = len(question.documents)
        entries = (passage_entry(place, passage) for place, passage in enumerate(ordered, 1))
        return Delivery(
            ordered,
            sum(context.count_tokens(entry) for entry in entries),
            requested=n,
            left_out=n - len(chosen),
            answer_truncated=bool(truncated),
        )


def _document(corpus: Corpus | None, identifier: str, question: Question) -> Passage:
    row = None if corpus is None else corpus.match(identifier)
    if corpus is None or row is None:
        name = corpus.name if corpus else ""
        chunked = corpus is not None and bool(corpus.match_doc(identifier))
        raise DataError(
            f"the document {identifier!r} of question {question.id!r} is not in the corpus "
            f"{name!r}" + (" as a whole: the corpus is chunked" if chunked else ""),
            fix="give the arm `corpus:` with the unchunked corpus of the task's documents",
        )
    return corpus[row]


def _cut(
    document: Passage, number: int, rest: int, count_tokens: Callable[[str], int]
) -> Passage | None:
    """Return the longest beginning in whole words that fits the rest of the budget."""
    ends = [m.end() for m in re.finditer(r"\S+", document.text)]
    low, high = 0, len(ends)
    while low < high:  # the number of tokens grows with the text
        middle = (low + high + 1) // 2
        part = _beginning(document, ends[middle - 1])
        if count_tokens(passage_entry(number, part)) <= rest:
            low = middle
        else:
            high = middle - 1
    return _beginning(document, ends[low - 1]) if low else None


def _beginning(document: Passage, end: int) -> Passage:
    return Passage(
        id=f"{document.id}[:{end}]",
        doc_id=document.doc_id,
        title=document.title,
        text=document.text[:end],
        meta=document.meta,
    )


def _loses(question: Question, identifier: str, part: Passage | None) -> bool:
    """Say whether a cut removes part of the answer."""
    kept = 0 if part is None else source_offset(part.meta, len(part.text))
    spans = [end for doc, _, end in question.gold_spans if doc == identifier]
    if spans:
        return max(spans) > kept
    return identifier in question.gold_doc_ids
