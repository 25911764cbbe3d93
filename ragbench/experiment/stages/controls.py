"""Control arms: each imitates another arm and differs from it in one respect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ragbench.base.records import Passage, Question
from ragbench.experiment.config.spec import ArmSpec
from ragbench.experiment.stages.arms import Context, Delivery, fetch, pack
from ragbench.experiment.stages.prompts import passage_entry

LENGTH_TOLERANCE = 0.10
MAX_DRAWS = 500


class RandomLike:
    """Placebo: random passages of the corpus, none of them gold, as long as the imitated delivery.

    Whole passages are drawn until their tokens are within 10 % of the imitated delivery; a passage
    that would overshoot is skipped. Tokens still missing after 500 draws are recorded as the
    shortfall.
    """

    def __init__(self, spec: ArmSpec) -> None:
        self.spec = spec

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return passages drawn by the run's seed, the task, the arm and the question."""
        target = context.like[question.id]
        corpus = context.corpus
        if corpus is None or target.tokens == 0:
            return Delivery(requested=target.requested)
        draw = context.generator(self.spec.name, question)
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
    """The gold passages in text order, up to the budget.

    With ``fill: retrieved`` the imitated arm's ranking follows, up to that arm's k. A question
    without gold gets only the passages that follow.
    """

    def __init__(self, spec: ArmSpec) -> None:
        self.spec = spec

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return the gold passages and those that follow."""
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
    """The imitated arm without its gold passages, refilled from the same ranking."""

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
    """The same passages as the imitated arm, in a random order per question."""

    def __init__(self, spec: ArmSpec) -> None:
        self.spec = spec

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return the passages in an order drawn by seed, task, arm and question."""
        target = context.like[question.id]
        order = context.generator(self.spec.name, question).permutation(len(target.passages))
        return replace(target, passages=tuple(target.passages[i] for i in order))


class Moved:
    """The imitated arm's passages with a gold one at a stated place; the others keep their order.

    The first gold passage among them is moved. If there is none, the first gold passage in text
    order replaces the last passage, and further ones before it until the budget is kept. Arms that
    differ only in the place therefore deliver the same passages (Liu et al. 2024, TACL 12:157). A
    place beyond the last is the last; a question without known gold gets the imitated delivery.
    """

    def __init__(self, spec: ArmSpec) -> None:
        self.spec = spec

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return the passages with the gold one at its place."""
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
