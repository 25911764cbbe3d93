"""Scores of and replies to many prompts: how many share a pass, and what if memory is short."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ragbench.base.errors import first_line
from ragbench.base.progress import say
from ragbench.models.local.attention import BLOCKS
from ragbench.models.local.context import text_config
from ragbench.models.local.generation import Written
from ragbench.models.local.prefix import Beginning, beginning, option_log_likelihoods
from ragbench.models.local.tree import (
    Scored,
    common_beginning,
    continues_beginnings,
    longest_tree,
    packs,
    picks_logits,
    takes_padding,
    tree_log_likelihoods,
)

Write = Callable[[Sequence[Sequence[int]]], list[Written]]

# What computes answers, and by which rule batches are made; a change of either changes numbers.
ENGINE = "transformers, passes of least cost, beginnings, prompts apart"
# Tokens of a pass by type of device: more bring little (docs/performance.md has figures).
BATCH_TOKENS = {"cpu": 512, "cuda": 8_192, "mps": 2_048}
# Questions that are handed over together.
BATCH_SIZE = {"cpu": 12, "cuda": 192, "mps": 48}
# Out of memory, and what the code of a rare family raises on an input.
FAILURES = (RuntimeError, IndexError, ValueError, TypeError, AttributeError)

# Most tokens that replies and their prompts hold in memory together.
WRITTEN_TOKENS = {"cpu": 8_192, "cuda": 65_536, "mps": 8_192}


@dataclass(frozen=True, slots=True)
class Sums:
    """The summed log-likelihoods of an item's replies, and its share of the time in seconds."""

    values: list[float]
    elapsed_s: float


def score_all(model: Any, items: Sequence[Scored], *, budget: int) -> list[Sums | Exception]:
    """Return the sums of each item, or why it has none, in the order of items.

    Items whose sequences fit the model's longest tree share passes, as ``packs`` says, and their
    common beginning has a pass of its own, which the next items may use again. Any other item has
    its own pass, or several. A pass that runs out of memory is halved.
    """
    done: list[Sums | Exception | None] = [None] * len(items)
    together: list[int] = []
    alone: list[int] = []
    for place, item in enumerate(items):
        longest = max(map(len, item.sequences))
        fits = longest <= longest_tree(model, item.sequences[0])
        (together if fits else alone).append(place)
    chosen = [items[place] for place in together]
    before = _beginning(model, chosen)
    for pack in _packs(model, chosen, budget, before):
        places = [together[n] for n in pack]
        passed = _passes(model, [items[place] for place in places], before)
        for place, found in zip(places, passed, strict=True):
            done[place] = found
    for place in alone:
        done[place] = _alone(model, items[place])
    return [found for found in done if found is not None]


def _beginning(model: Any, items: Sequence[Scored]) -> Beginning | None:
    """Return what all items begin with, if it is long; None if memory is short as well."""
    tokens = common_beginning(items)
    if not tokens or not continues_beginnings(model, tokens):
        return None
    try:
        return beginning(model, tokens)
    except FAILURES:
        _free()
        return None


def _packs(
    model: Any, items: Sequence[Scored], budget: int, before: Beginning | None
) -> Iterator[list[int]]:
    if items:
        config = text_config(model.config)
        yield from packs(
            items,
            budget=budget,
            vocabulary=int(config.vocab_size),
            width=None if config._attn_implementation == BLOCKS else int(config.hidden_size),
            before=len(before.tokens) if before else 0,
        )


def _passes(
    model: Any, items: Sequence[Scored], before: Beginning | None
) -> list[Sums | Exception]:
    """Return the sums of items in one pass, or in more where it fails."""
    started = time.perf_counter()
    try:
        sums = tree_log_likelihoods(model, items, before)
    except FAILURES as error:
        if len(items) == 1:
            return [_alone(model, items[0])]
        if _is_memory(error):
            _free()
            say(f"out of memory with {len(items)} questions in one pass: halved")
        half = len(items) // 2
        return [*_passes(model, items[:half], before), *_passes(model, items[half:], before)]
    elapsed = time.perf_counter() - started
    sizes = [max(map(len, item.sequences)) for item in items]
    return [
        Sums(values, elapsed * size / sum(sizes)) for values, size in zip(sums, sizes, strict=True)
    ]


def _alone(model: Any, item: Scored) -> Sums | Exception:
    started = time.perf_counter()
    rows = {tuple(ids[:-1]) for ids in item.sequences}
    try:
        if len(rows) == 1 and picks_logits(model):  # letters: the last logits score all of them
            sums = tree_log_likelihoods(model, [item])[0]
        else:
            starts = [item.start] * len(item.sequences)
            sums = option_log_likelihoods(model, item.sequences, starts)
    except FAILURES as error:
        if _is_memory(error):
            _free()
        return error
    return Sums(sums, time.perf_counter() - started)


@dataclass(frozen=True, slots=True)
class Timed:
    """A reply, and its share of the time in seconds."""

    written: Written
    elapsed_s: float


def write_all(
    model: Any, prompts: Sequence[Sequence[int]], write: Write, *, limit: int, budget: int
) -> list[Timed | Exception]:
    """Return the reply to each prompt, or why it has none, in the order of prompts.

    Prompts of like lengths are written together, as many as hold ``budget`` tokens with their
    replies; those of a model that padding would change, one by one.

    Args:
        model: A causal language model.
        prompts: Tokens of each.
        write: Returns the replies to some of them.
        limit: Most tokens of a reply.
        budget: Most tokens together.
    """
    done: dict[int, Timed | Exception] = {}
    together = len(prompts) > 1 and takes_padding(model, prompts[0])
    waiting = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    while waiting:
        size = 1
        while (
            together
            and size < len(waiting)
            and (size + 1) * (len(prompts[waiting[size]]) + limit) <= budget
        ):
            size += 1
        places, waiting = waiting[:size], waiting[size:]
        found = _write([prompts[place] for place in places], write)
        done |= dict(zip(places, found, strict=True))
    return [done[place] for place in range(len(prompts))]


def _write(prompts: Sequence[Sequence[int]], write: Write) -> list[Timed | Exception]:
    started = time.perf_counter()
    try:
        found = write(prompts)
    except FAILURES as error:
        if _is_memory(error):
            _free()
        if len(prompts) == 1:
            return [error]
        say(f"{len(prompts)} replies at a time failed ({first_line(error)}): halved")
        half = len(prompts) // 2
        return [*_write(prompts[:half], write), *_write(prompts[half:], write)]
    elapsed = time.perf_counter() - started
    total = sum(one.tokens for one in found) or 1
    return [Timed(one, elapsed * one.tokens / total) for one in found]


def _is_memory(error: Exception) -> bool:
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "memory" in str(error)


def _free() -> None:
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
