"""Control arms: each imitates another arm, and differs from it in one thing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ragbench.base.records import Passage, Question
from ragbench.experiment.config.spec import ArmSpec
from ragbench.experiment.stages.arms import Context, Delivery, fetch, pack
from ragbench.experiment.stages.prompts import passage_entry

LENGTH_TOLERANCE = 0.10
MAX_DRAWS = 500


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
        draw = _generator(self.spec, question, context)
        used = set(context.gold.get(question.id, ()))
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


class Oracle:
    """The gold passages in text order until the budget ends.

    With ``fill: retrieved`` the imitated arm's ranking follows, up to as many passages as that
    arm asks for. A question without gold gets only what fills.
    """

    def __init__(self, spec: ArmSpec) -> None:
        self.spec = spec

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return the gold passages and what fills."""
        rows = context.gold.get(question.id, ())
        requested = len(rows)
        if self.spec.fill == "retrieved":
            requested = max(len(rows), context.like_spec.asked if context.like_spec else 0)
        found = pack(self._passages(question, context, requested), context, order=self.spec.order)
        return replace(found, requested=requested)

    def _passages(self, question: Question, context: Context, n: int) -> Iterator[Passage]:
        corpus = context.corpus
        rows = context.gold.get(question.id, ())
        gold = [corpus[row] for row in rows] if corpus is not None else []
        yield from gold
        seen = {passage.id for passage in gold}
        others = [i for i in context.ranked.get(question.id, []) if i not in seen]
        for identifier in others[: max(0, n - len(gold))]:
            yield fetch(corpus, identifier)


class OracleRemoved:
    """The imitated arm with its gold passages taken out, refilled from the same ranking."""

    def __init__(self, spec: ArmSpec) -> None:
        self.spec = spec

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return the first k passages that are not gold."""
        k = context.like_spec.asked if context.like_spec else 0
        corpus = context.corpus
        rows = context.gold.get(question.id, ())
        gold = {corpus[row].id for row in rows} if corpus is not None else set()
        ids = [i for i in context.ranked.get(question.id, []) if i not in gold][:k]
        found = pack((fetch(corpus, i) for i in ids), context, order=self.spec.order)
        return replace(found, requested=k)


class Shuffled:
    """The imitated arm's very passages, in an order drawn for each question."""

    def __init__(self, spec: ArmSpec) -> None:
        self.spec = spec

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return the passages in the drawn order, by seed, task, arm and question."""
        target = context.like[question.id]
        order = _generator(self.spec, question, context).permutation(len(target.passages))
        return replace(target, passages=tuple(target.passages[i] for i in order))


class Moved:
    """The imitated arm's passages with a gold one at a stated place, the others in their order.

    The first gold passage among them is moved; where there is none, the first in text order takes
    the place of the last passage, and of as many before it as the budget then has no room for.
    Arms that differ in the place alone thus give the same passages (Liu et al. 2024, TACL 12:157).
    A place beyond the last is the last; a question without known gold gets what the imitated arm
    gives.
    """

    def __init__(self, spec: ArmSpec) -> None:
        self.spec = spec

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return the passages, the gold one at its place."""
        target = context.like[question.id]
        corpus, rows = context.corpus, context.gold.get(question.id, ())
        if corpus is None or not rows:
            return target
        wanted = [corpus[row] for row in rows]
        names = {passage.id for passage in wanted}
        others = list(target.passages)
        held = [passage for passage in others if passage.id in names][:1]
        if held:
            others.remove(held[0])
        else:
            held, others = wanted[:1], others[:-1]
        while True:
            index = min(self._place, len(others) + 1) - 1
            chosen = [*others[:index], held[0], *others[index:]]
            tokens = sum(
                context.count_tokens(passage_entry(number, passage))
                for number, passage in enumerate(chosen, 1)
            )
            if tokens <= max(context.budget_tokens, target.tokens):
                return replace(target, passages=tuple(chosen), tokens=tokens)
            if not others:
                return replace(target, passages=(), tokens=0, left_out=target.left_out + 1)
            others.pop()

    @property
    def _place(self) -> int:
        return self.spec.place if isinstance(self.spec.place, int) else 1


def _generator(spec: ArmSpec, question: Question, context: Context) -> np.random.Generator:
    parts = (str(context.seed), context.task, spec.name, question.id)
    digest = hashlib.sha256("\x1f".join(parts).encode("utf-8")).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))
