"""Control arms: each imitates another arm and differs from it in one respect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from ragbench.base.records import Passage, Question
from ragbench.corpora.corpus import Corpus
from ragbench.experiment.config.spec import ArmSpec
from ragbench.experiment.stages.arms import Context, Delivery, pack
from ragbench.experiment.stages.planting import mentions_of
from ragbench.experiment.stages.prompts import passage_entry

LENGTH_TOLERANCE = 0.10
MAX_DRAWS = 500


class RandomLike:
    """Placebo: random passages of the corpus, none of them gold, as long as the imitated delivery.

    Whole passages are drawn until some of them are together within 10 % of the imitated delivery.
    If none are after 500 draws, the longest that do not exceed it are delivered, and the missing
    tokens are recorded as the shortfall.
    """

    def __init__(self, spec: ArmSpec) -> None:
        self.spec = spec

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return passages drawn by the run's seed, the task, the arm and the question."""
        target = context.like[question.id]
        if context.corpus is None:
            return Delivery(requested=target.requested)
        return _as_long(target, self._drawn(question, context, context.corpus), context)

    def _drawn(self, question: Question, context: Context, corpus: Corpus) -> Iterator[Passage]:
        """Yield random passages that are not gold, each once; all of them of a small corpus."""
        draw, n = context.generator(self.spec.name, question), len(corpus)
        rows = draw.permutation(n) if n <= MAX_DRAWS else draw.integers(n, size=MAX_DRAWS)
        gold = set(context.gold.get(question.id, ()))
        for row in dict.fromkeys(rows.tolist()):
            if row not in gold:
                yield corpus[row]


class Near:
    """Hard negatives: the best-ranked passages of other questions, as long as the imitated ones.

    The other question is drawn from those asked before this one, so that questions added to a run
    change nothing; only where these are too few do the later ones follow. Its first k passages are
    taken in their order, without gold passages of this question and without those that the
    imitated arm delivers to it, until some of them are together within 10 % of the imitated
    delivery; the passages of the next drawn question follow. Shortfalls are recorded as for random
    passages.
    """

    def __init__(self, spec: ArmSpec) -> None:
        self.spec = spec

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return passages of other questions, drawn by seed, task, arm and question."""
        target = context.like[question.id]
        found = islice(self._of_others(question, target, context), MAX_DRAWS)
        return _as_long(target, found, context)

    def _of_others(
        self, question: Question, target: Delivery, context: Context
    ) -> Iterator[Passage]:
        corpus, k = context.corpus, context.like_spec.asked if context.like_spec else 0
        gold = context.gold.get(question.id, ())
        seen = {corpus[row].id for row in gold} if corpus is not None else set()
        seen |= {passage.id for passage in target.passages}
        for other in self._others(question, context):
            for identifier in context.ranked.get(other, [])[:k]:
                if identifier not in seen:
                    seen.add(identifier)
                    yield context.fetch(identifier)

    def _others(self, question: Question, context: Context) -> Iterator[str]:
        place = context.places[question.id]
        before = context.generator(self.spec.name, question).permutation(place)
        yield from (context.asked[i] for i in before.tolist())
        yield from context.asked[place + 1 :]


def _as_long(target: Delivery, passages: Iterable[Passage], context: Context) -> Delivery:
    """Return some of the passages, the first that are together within 10 % of a delivery.

    If none are, the longest that do not exceed it, and the missing tokens as the shortfall.
    """
    if target.tokens == 0:
        return Delivery(requested=target.requested)
    least = target.tokens * (1 - LENGTH_TOLERANCE)
    most = min(target.tokens * (1 + LENGTH_TOLERANCE), context.budget_tokens)
    # Some of the passages drawn so far, by their length: every length that can be reached.
    reached: dict[int, tuple[Passage, ...]] = {0: ()}
    for passage in passages:
        sizes: dict[int, int] = {}  # by the number that the prompt gives the passage
        for tokens, chosen in list(reached.items()):
            number = len(chosen) + 1
            if number not in sizes:
                sizes[number] = context.count_tokens(passage_entry(number, passage))
            if tokens + sizes[number] <= most:
                reached.setdefault(tokens + sizes[number], (*chosen, passage))
        if max(reached) >= least:
            break
    tokens = max(reached)
    shortfall = 0 if tokens >= least else target.tokens - tokens
    return Delivery(reached[tokens], tokens, target.requested, shortfall)


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
            yield context.fetch(identifier)


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
        found = pack(map(context.fetch, ids), context, order=self.spec.order)
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


class Misled:
    """The imitated arm's passages with an error planted in the gold ones.

    Each mention of the right answer in a gold passage, title included, becomes a wrong option
    of the question, drawn by the run's seed, the task and the question, so that every such arm
    plants the same one. An option that would exceed the budget gives way to the next. A question
    without options, delivered gold or a mention gets the imitated delivery, unchanged.
    """

    def __init__(self, spec: ArmSpec) -> None:
        self.spec = spec

    def deliver(self, question: Question, context: Context) -> Delivery:
        """Return the passages, and which option was planted."""
        target, corpus = context.like[question.id], context.corpus
        if corpus is None or question.answer < 0:
            return target
        mentions = mentions_of(question.options[question.answer])
        gold = {corpus[row].id for row in context.gold.get(question.id, ())}
        held = [passage for passage in target.passages if passage.id in gold]
        if mentions is None or not held:
            return target
        for option in context.generator("misled", question).permutation(len(question.options)):
            planted = question.options[option]
            if not mentions.can_become(planted):
                continue
            changed = {passage.id: mentions.planted(passage, planted) for passage in held}
            passages = tuple(changed.get(passage.id, passage) for passage in target.passages)
            if passages == target.passages:
                return target
            entries = (passage_entry(number, p) for number, p in enumerate(passages, 1))
            tokens = sum(map(context.count_tokens, entries))
            if tokens <= max(context.budget_tokens, target.tokens):
                return replace(target, passages=passages, tokens=tokens, planted=int(option))
        return target
