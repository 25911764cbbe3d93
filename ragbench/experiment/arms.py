"""What each arm gives a question, and how much of it the budget lets through."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ragbench.corpora.store import Corpus
from ragbench.errors import DataError
from ragbench.experiment.config import ArmSpec
from ragbench.experiment.prompts import passage_entry
from ragbench.records import Passage, Question
from ragbench.registry import Entry, Registry

LENGTH_TOLERANCE = 0.10
MAX_DRAWS = 500


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one question is given in one arm.

    Attributes:
        passages: In prompt order.
        tokens: Their length by the reference tokenizer.
        requested: How many were asked for.
        shortfall_tokens: By how much a control fell short of the arm that it imitates.
    """

    passages: tuple[Passage, ...] = ()
    tokens: int = 0
    requested: int = 0
    shortfall_tokens: int = 0


@dataclass(frozen=True)
class Context:
    """What arms draw from, for one task.

    Attributes:
        task: The task's name.
        corpus: Behind the arm; None for closed-book.
        ranked: Passage ids by question id, best first, of the arm's retriever.
        like: Deliveries by question id of the arm that is imitated.
        count_tokens: The reference tokenizer.
        budget_tokens: The most that may be delivered.
        seed: The run's.
    """

    task: str
    corpus: Corpus | None
    ranked: Mapping[str, list[str]]
    like: Mapping[str, Delivery]
    count_tokens: Callable[[str], int]
    budget_tokens: int
    seed: int


class Arm(Protocol):
    """Gives a question its passages."""

    def __init__(self, spec: ArmSpec) -> None: ...

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return what the question is given; the same context gives the same answer."""


class ClosedBook:
    """No passages."""

    def __init__(self, spec: ArmSpec) -> None:
        self.spec = spec

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return nothing."""
        return Delivery()


class Retrieved:
    """The first k hits of a retriever, best first."""

    def __init__(self, spec: ArmSpec) -> None:
        self.spec = spec

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return the whole passages, in rank order, that the budget holds."""
        k = self.spec.k or 0
        ids = context.ranked.get(question.id, [])[:k]
        passages, tokens = pack((_fetch(context.corpus, i) for i in ids), context)
        return Delivery(passages, tokens, k)


class RandomLike:
    """Placebo: passages drawn from the same corpus, none of them gold, as long as another arm's.

    Whole passages are drawn until their tokens are within 10 % of what the imitated arm
    delivered; one that would overshoot is passed over. What is lacking after 500 draws is
    recorded as the shortfall.
    """

    def __init__(self, spec: ArmSpec) -> None:
        self.spec = spec

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Draw the passages, by the run's seed, the task, the arm and the question."""
        target = context.like[question.id]
        corpus = context.corpus
        if corpus is None or target.tokens == 0:
            return Delivery(requested=target.requested)
        draw = np.random.default_rng(_seed(context.seed, context.task, self.spec.name, question.id))
        used = {row for doc in question.gold_doc_ids for row in corpus.rows_of_doc(doc)}
        chosen: list[Passage] = []
        tokens = 0
        for _ in range(MAX_DRAWS):
            if tokens >= target.tokens * (1 - LENGTH_TOLERANCE) or len(used) >= len(corpus):
                break
            row = int(draw.integers(len(corpus)))
            if row in used:
                continue
            used.add(row)
            passage = corpus[row]
            size = context.count_tokens(passage_entry(len(chosen) + 1, passage))
            if tokens + size <= min(target.tokens * (1 + LENGTH_TOLERANCE), context.budget_tokens):
                chosen.append(passage)
                tokens += size
        shortfall = (
            0 if tokens >= target.tokens * (1 - LENGTH_TOLERANCE) else target.tokens - tokens
        )
        return Delivery(tuple(chosen), tokens, target.requested, shortfall)


arms: Registry[type[Arm]] = Registry(
    "arms",
    {
        "closed-book": Entry("ragbench.experiment.arms:ClosedBook", "no passages"),
        "retriever": Entry("ragbench.experiment.arms:Retrieved", "the first k of a retriever"),
        "random": Entry(
            "ragbench.experiment.arms:RandomLike",
            "placebo: drawn passages, none of them gold, as long as another arm's",
        ),
    },
    source=__file__,
)


def pack(passages: Iterable[Passage], context: Context) -> tuple[tuple[Passage, ...], int]:
    """Return the passages that fit the budget whole, up to the first that does not."""
    chosen: list[Passage] = []
    total = 0
    for passage in passages:
        size = context.count_tokens(passage_entry(len(chosen) + 1, passage))
        if total + size > context.budget_tokens:
            break
        chosen.append(passage)
        total += size
    return tuple(chosen), total


def _fetch(corpus: Corpus | None, identifier: str) -> Passage:
    row = None if corpus is None else corpus.find(identifier)
    if corpus is None or row is None:
        raise DataError(
            f"the run names the passage {identifier!r}, which the corpus does not hold",
            where=corpus.name if corpus else "",
        )
    return corpus[row]


def _seed(*parts: object) -> int:
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")
