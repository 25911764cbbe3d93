"""How many tokens a pass should have on this device, by a short measurement."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ragbench.models.local.batches import FAILURES
from ragbench.models.local.context import text_config
from ragbench.models.local.tree import Scored, tree_log_likelihoods

SIZES = (128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384)
PROMPT = 64  # tokens of each sequence of a measured pass
GAIN = 1.1  # a pass of twice the tokens must be so much faster per token
MOST_SECONDS = 2.0


def pass_speeds(
    model: Any,
    sizes: Sequence[int] = SIZES,
    *,
    repeats: int = 2,
    seconds: float = MOST_SECONDS,
    gain: float = GAIN,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[int, float]:
    """Return tokens per second of passes over random prompts, by their tokens.

    It ends where time or memory is short, or where a larger pass is hardly faster.

    Args:
        model: A causal language model that takes trees.
        sizes: Tokens of the passes, ascending.
        repeats: Passes of each size, of which the fastest counts.
        seconds: Time after which no larger pass is tried.
        gain: How much faster per token a larger pass must be for a still larger one to be tried.
        clock: Gives the time.
    """
    import numpy as np

    vocabulary = int(text_config(model.config).vocab_size)
    drawn = np.random.default_rng(0).integers(0, vocabulary, (sizes[-1] // PROMPT, PROMPT + 1))
    items = [Scored([row], PROMPT) for row in drawn.tolist()]
    found: dict[int, float] = {}
    last = 0.0
    started = clock()
    tree_log_likelihoods(model, items[:1])  # the first pass loads code
    for size in sizes:
        best = 0.0
        for _ in range(repeats):
            since = clock()
            try:
                tree_log_likelihoods(model, items[: max(1, size // PROMPT)])
            except FAILURES:  # such as out of memory
                return found
            best = max(best, size / (clock() - since))
        found[size] = best
        if clock() - started > seconds or best < gain * last:
            break
        last = best
    return found


def best_budget(speeds: Mapping[int, float]) -> int:
    """Return the tokens of a pass from which on twice as many are hardly faster per token.

    Args:
        speeds: Tokens per second by tokens of a pass, at least one.
    """
    ordered = sorted(speeds)
    best = ordered[0]
    for size in ordered[1:]:
        if speeds[size] < GAIN * speeds[best]:
            break
        best = size
    return best
