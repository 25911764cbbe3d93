"""Kinds of arms, and the passages that fit a budget."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from ragbench.base.errors import DataError
from ragbench.base.records import Passage, Question
from ragbench.base.registry import Entry, Registry
from ragbench.corpora.corpus import Corpus
from ragbench.experiment.config.spec import ArmSpec
from ragbench.experiment.stages.prompts import passage_entry

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Delivery:
    """Passages of one question in one arm.

    Attributes:
        passages: In prompt order.
        tokens: Their length by the reference tokenizer.
        requested: Number of passages requested.
        shortfall_tokens: Tokens by which a control falls short of the arm that it imitates.
        left_out: Number of passages that did not fit the budget.
        gold: Number of gold passages.
        answer_truncated: Whether the budget cut or excluded a document that contains the answer.
        dropped: Number of passages that a filter dropped; None without one.
        planted: Index of the wrong option that takes the place of the right answer; None without.
    """

    passages: tuple[Passage, ...] = ()
    tokens: int = 0
    requested: int = 0
    shortfall_tokens: int = 0
    left_out: int = 0
    gold: int = 0
    answer_truncated: bool = False
    dropped: int | None = None
    planted: int | None = None


@dataclass(frozen=True)
class Context:
    """Inputs of an arm for one task.

    Attributes:
        task: The task's name.
        corpus: Corpus of the arm; None for closed-book.
        ranked: Passage ids of the arm's source by question id, best first.
        gold: Rows of the gold passages in text order, by question id.
        like: Deliveries of the imitated arm by question id.
        like_spec: The imitated arm.
        count_tokens: The reference tokenizer.
        budget_tokens: Maximum tokens delivered.
        seed: The run's seed.
        written: Passages that a model has written, by question id.
        dropped: Number of passages that a filter dropped of ``ranked``, by question id.
        given: Passages of the ranking that are in no corpus, by their id.
    """

    task: str
    corpus: Corpus | None
    ranked: Mapping[str, list[str]]
    gold: Mapping[str, tuple[int, ...]]
    like: Mapping[str, Delivery]
    like_spec: ArmSpec | None
    count_tokens: Callable[[str], int]
    budget_tokens: int
    seed: int
    written: Mapping[str, tuple[Passage, ...]] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    given: Mapping[str, Passage] = field(default_factory=dict)

    def fetch(self, identifier: str) -> Passage:
        """Return a passage of the ranking; DataError if neither corpus nor ranking has it."""
        return self.given.get(identifier) or fetch(self.corpus, identifier)

    @cached_property
    def asked(self) -> tuple[str, ...]:
        """Ids of the imitated arm's questions, in the order asked."""
        return tuple(self.like)

    @cached_property
    def places(self) -> dict[str, int]:
        """Place of each question among ``asked``."""
        return {name: place for place, name in enumerate(self.asked)}

    def generator(self, name: str, question: Question) -> np.random.Generator:
        """Return a generator that depends on the seed, the task, a name and the question."""
        import numpy as np

        parts = (str(self.seed), self.task, name, question.id)
        digest = hashlib.sha256("\x1f".join(parts).encode("utf-8")).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "big"))


class Arm(Protocol):
    """Delivers passages to a question."""

    def __init__(self, spec: ArmSpec) -> None: ...

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return the question's passages; equal contexts give equal deliveries."""


class ClosedBook:
    """No passages."""

    def __init__(self, spec: ArmSpec) -> None:
        self.spec = spec

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return no passages."""
        return Delivery()


class Retrieved:
    """The first k passages of a ranking: a retriever's, a fusion's, a run file's, a runnable's."""

    def __init__(self, spec: ArmSpec) -> None:
        self.spec = spec

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return whole passages within the budget, in the arm's order."""
        k = self.spec.asked
        ids = context.ranked.get(question.id, [])[:k]
        found = pack(map(context.fetch, ids), context, order=self.spec.order)
        return replace(found, requested=k, dropped=context.dropped.get(question.id))


class Written:
    """Passages that a model has written from memory."""

    def __init__(self, spec: ArmSpec) -> None:
        self.spec = spec

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return whole passages within the budget, in the order written or the reverse."""
        passages = context.written.get(question.id, ())
        found = pack(passages, context, order=self.spec.order)
        n = self.spec.write.n if self.spec.write is not None else len(passages)
        return replace(found, requested=n)


arms: Registry[type[Arm]] = Registry(
    "arms",
    {
        "closed-book": Entry("ragbench.experiment.stages.arms:ClosedBook", "no passages"),
        "retriever": Entry(
            "ragbench.experiment.stages.arms:Retrieved",
            "the first k of a retriever, of several fused, a TREC run or a LangChain runnable",
        ),
        "written": Entry(
            "ragbench.experiment.stages.arms:Written",
            "passages that a model writes from memory, without a corpus",
        ),
        "documents": Entry(
            "ragbench.experiment.stages.documents:Documents",
            "the question's own documents, whole, as the task draws them",
        ),
        "random": Entry(
            "ragbench.experiment.stages.controls:RandomLike",
            "placebo: drawn passages, none of them gold, as long as another arm's",
        ),
        "oracle": Entry(
            "ragbench.experiment.stages.controls:Oracle",
            "the gold passages, where the task knows them",
        ),
        "oracle-removed": Entry(
            "ragbench.experiment.stages.controls:OracleRemoved",
            "another arm's ranking with the gold taken out and refilled",
        ),
        "shuffled": Entry(
            "ragbench.experiment.stages.controls:Shuffled",
            "another arm's passages in a drawn order",
        ),
        "moved": Entry(
            "ragbench.experiment.stages.controls:Moved",
            "another arm's passages with the gold one at a stated place",
        ),
        "near": Entry(
            "ragbench.experiment.stages.controls:Near",
            "hard negatives: passages ranked best for other questions, as long as another arm's",
        ),
        "misled": Entry(
            "ragbench.experiment.stages.controls:Misled",
            "another arm's passages with a wrong option in place of the right answer",
        ),
    },
    source=__file__,
)


def pack(passages: Iterable[Passage], context: Context, *, order: str = "best-first") -> Delivery:
    """Return the first whole passages that fit the budget, up to the first that does not.

    Args:
        passages: Best first.
        context: Tokenizer and budget.
        order: ``best-last`` reverses the chosen passages.
    """
    chosen: list[Passage] = []
    total = left_out = 0
    for passage in passages:
        size = context.count_tokens(passage_entry(len(chosen) + 1, passage))
        if left_out or total + size > context.budget_tokens:
            left_out += 1
            continue
        chosen.append(passage)
        total += size
    if order == "best-last":
        chosen.reverse()
    return Delivery(tuple(chosen), total, left_out=left_out)


def fetch(corpus: Corpus | None, identifier: str) -> Passage:
    """Return a passage of a ranking by its id; DataError if the corpus does not have it."""
    row = None if corpus is None else corpus.find(identifier)
    if corpus is None or row is None:
        raise DataError(
            f"the run names the passage {identifier!r}, which is not in the corpus",
            where=corpus.name if corpus else "",
        )
    return corpus[row]
