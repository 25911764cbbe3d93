"""What each arm gives a question, and how much of it the budget lets through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from ragbench.base.errors import DataError
from ragbench.base.records import Passage, Question
from ragbench.base.registry import Entry, Registry
from ragbench.corpora.corpus import Corpus
from ragbench.experiment.config.spec import ArmSpec
from ragbench.experiment.stages.prompts import passage_entry


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one question is given in one arm.

    Attributes:
        passages: In prompt order.
        tokens: Their length by the reference tokenizer.
        requested: How many were asked for.
        shortfall_tokens: By how much a control fell short of the arm that it imitates.
        left_out: How many were there to be delivered, but did not fit the budget.
        gold: How many of the passages are gold.
        answer_truncated: Whether the budget cut, or kept out, a document that holds the answer.
    """

    passages: tuple[Passage, ...] = ()
    tokens: int = 0
    requested: int = 0
    shortfall_tokens: int = 0
    left_out: int = 0
    gold: int = 0
    answer_truncated: bool = False


@dataclass(frozen=True)
class Context:
    """What arms draw from, for one task.

    Attributes:
        task: The task's name.
        corpus: Behind the arm; None for closed-book.
        ranked: Passage ids by question id, best first, of the arm's source.
        gold: Rows of the gold passages in text order, by question id.
        like: Deliveries by question id of the arm that is imitated.
        like_spec: The arm that is imitated.
        count_tokens: The reference tokenizer.
        budget_tokens: The most that may be delivered.
        seed: The run's.
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
    """The first k of a ranking: a retriever's, a fusion's or a run file's."""

    def __init__(self, spec: ArmSpec) -> None:
        self.spec = spec

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return the whole passages, in the arm's order, that the budget holds."""
        k = self.spec.asked
        ids = context.ranked.get(question.id, [])[:k]
        found = pack((fetch(context.corpus, i) for i in ids), context, order=self.spec.order)
        return replace(found, requested=k)


arms: Registry[type[Arm]] = Registry(
    "arms",
    {
        "closed-book": Entry("ragbench.experiment.stages.arms:ClosedBook", "no passages"),
        "retriever": Entry(
            "ragbench.experiment.stages.arms:Retrieved",
            "the first k of a retriever, of several fused, or of a TREC run file",
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
    },
    source=__file__,
)


def pack(passages: Iterable[Passage], context: Context, *, order: str = "best-first") -> Delivery:
    """Return the passages that fit the budget whole, up to the first that does not.

    Args:
        passages: Best first.
        context: Counts tokens and knows the budget.
        order: ``best-last`` turns what was chosen around.

    Returns:
        What is delivered, and how many were left out.
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
    """Return a passage of a ranking by its id.

    Args:
        corpus: What was ranked.
        identifier: The passage.

    Returns:
        The passage.

    Raises:
        DataError: The corpus does not hold it.
    """
    row = None if corpus is None else corpus.find(identifier)
    if corpus is None or row is None:
        raise DataError(
            f"the run names the passage {identifier!r}, which the corpus does not hold",
            where=corpus.name if corpus else "",
        )
    return corpus[row]
