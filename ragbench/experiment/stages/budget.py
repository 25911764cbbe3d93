"""The token budget of a run whose config names none: from k, lengths of passages, and contexts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ragbench.corpora.corpus import Corpus, is_built
from ragbench.corpora.open import open_corpus
from ragbench.experiment.config.spec import CLOSED_BOOK, LEAST_BUDGET, ArmSpec
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.grid.sources import arms_of, source_of
from ragbench.experiment.stages.prompts import continuations, messages, passage_entry
from ragbench.models.model import Model

STEP = 256  # a budget is a multiple of it
SAMPLE = 200  # passages per corpus that are counted
LONG = 0.9  # quantile of their lengths that is counted per passage
SLACK = 1.05  # questions that are longer in tokens than the longest in characters
SPECIAL_TOKENS = 2  # a tokenizer may add these to a plain prompt


@dataclass(frozen=True, slots=True)
class Budget:
    """A chosen budget.

    Attributes:
        tokens: Maximum tokens of passages per prompt.
        why: What it was chosen by, as a sentence.
        limited: Whether a context is too small for what an arm requests.
    """

    tokens: int
    why: str
    limited: bool = False


def choose_budget(grid: Grid) -> Budget:
    """Return the budget that holds what every arm requests, if the contexts allow it.

    An arm needs k times the length that 90 % of its corpus's passages do not exceed (of 200 evenly
    spaced ones, counted by the reference tokenizer). The budget is the largest need, rounded up to
    a multiple of 256 and at least 2,048; and at most what the longest question and its reply leave
    of the smallest context. Arms with a budget of their own do not count, nor do corpora that are
    not built.
    """
    needs = list(_needs(grid))
    most, arm = max(needs, default=(0, ""))
    tokens = max(LEAST_BUDGET, math.ceil(most / STEP) * STEP)
    why = f"{arm} requests about {most:,} tokens" if most > LEAST_BUDGET else "the default"
    room, model = min(_rooms(grid), default=(tokens, ""))
    if room >= tokens:
        return Budget(tokens, why)
    return Budget(
        max(room, 1),
        f"the context of {model} leaves no more" + (f", and {why}" if most > room else ""),
        limited=most > room,
    )


def _own(arm: ArmSpec) -> bool:
    return arm.budget_tokens is not None or arm.kind == CLOSED_BOOK


def _needs(grid: Grid) -> Iterator[tuple[int, str]]:
    """Yield the tokens that each arm requests, with its name."""
    lengths: dict[str, int] = {}
    for task in grid.tasks:
        for arm in arms_of(grid.config, task):
            source = source_of(grid.config, arm, task)
            if _own(arm) or arm.control is not None or source is None:
                continue
            if not source.corpus or not is_built(source.corpus):
                continue
            if source.corpus not in lengths:
                lengths[source.corpus] = long_passage(open_corpus(source.corpus), grid)
            most = max((len(question.documents) for question in task.questions), default=0)
            k = arm.asked or most
            yield k * lengths[source.corpus], arm.name


def long_passage(corpus: Corpus, grid: Grid) -> int:
    """Return the tokens that nine in ten passages of a corpus do not exceed, in a sample."""
    count = grid.reference_model.count_tokens
    sizes = [count(passage_entry(1, corpus[row])) for row in sampled(corpus)]
    return math.ceil(float(np.quantile(sizes, LONG))) if sizes else 0


def sampled(corpus: Corpus) -> list[int]:
    """Return evenly spaced rows of a corpus."""
    n = len(corpus)
    rows: list[int] = np.unique(np.linspace(0, n - 1, min(SAMPLE, n)).astype(int)).tolist()
    return rows


def _rooms(grid: Grid) -> Iterator[tuple[int, str]]:
    """Yield the tokens of passages that fit beside a model's longest question, with its name.

    They are tokens of the reference tokenizer: a model whose own one needs more for the same
    question has less room.
    """
    reference = grid.reference_model
    for name, model in grid.models.items():
        for task in grid.tasks:
            if all(_own(arm) for arm in arms_of(grid.config, task)):
                continue
            size, _ = longest_closed_book(model, task)
            text = " ".join(question.text for question in task.questions[:50])
            ratio = model.count_tokens(text) / max(reference.count_tokens(text), 1)
            room = model.context_tokens - math.ceil(size * SLACK) - SPECIAL_TOKENS
            yield math.floor(room / max(ratio, 1.0)), name


def longest_closed_book(model: Model, task: TaskPart) -> tuple[int, str]:
    """Return the maximum tokens of a prompt without passages and its reply, and its question."""
    worst = max(task.questions, key=lambda q: len(q.text) + sum(len(o) for o in q.options))
    prompt = model.render(messages(task.info, worst, [], task.scoring))
    if task.scoring == "generate":
        return model.count_tokens(prompt) + task.reply_limit, worst.id
    replies = continuations(worst, task.scoring)
    longest = max(model.count_tokens(model.continuation(reply)) for reply in replies)
    return model.count_tokens(prompt) + longest, worst.id
