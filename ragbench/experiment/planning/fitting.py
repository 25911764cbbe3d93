"""Whether a model fits the memory of devices, and of how many."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from ragbench.base.modelfacts import ModelFacts
from ragbench.experiment.planning.devices import StatedDevice
from ragbench.models.local.batches import BATCH_SIZE, WRITTEN_TOKENS
from ragbench.models.local.options import HfOptions
from ragbench.models.spec import ModelSpec
from ragbench.models.vllm.model import VllmOptions

USABLE = 0.9  # of a card's memory, as accelerate and vLLM leave the rest
WORKING = 3e9  # bytes per card for the library, logits and the numbers of a pass
MOST_CARDS = 8  # of one machine


@dataclass(frozen=True, slots=True)
class Spread:
    """How a backend uses several cards.

    Attributes:
        most: Number of cards that it uses at most, as the config says.
        is_split: Whether each matrix is split, so that all cards compute at the same time; layers
            that are spread compute one after the other.
        key: What the config must say for more cards.
        together: Replies that are written at the same time, if memory allows.
    """

    most: int = MOST_CARDS
    is_split: bool = True
    key: str = ""
    together: int = 1


def spread_of(spec: ModelSpec) -> Spread:
    """Return how an entry of ``models`` uses several cards."""
    options = spec.options
    if isinstance(options, VllmOptions):
        asked = options.engine.given().get("tensor_parallel_size", 1)
        most = asked if isinstance(asked, int) else 1
        return Spread(most, True, "engine: {{tensor_parallel_size: {}}}", options.concurrency)
    if isinstance(options, HfOptions):
        most = MOST_CARDS if options.device_map else 1
        return Spread(most, False, "device_map: auto", BATCH_SIZE["cuda"])
    return Spread()


@dataclass(frozen=True, slots=True)
class Fit:
    """How many cards hold a model.

    Attributes:
        cards: Their number; None if it does not fit as the config says.
        refusal: Why it does not, and what to do; empty if it fits.
        together: Replies whose keys and values fit beside the weights, at least 1.
    """

    cards: int | None
    refusal: str = ""
    together: int = 1


def weight_bytes(facts: ModelFacts) -> int | None:
    """Return the bytes of a model's weights in their number format; None if unknown."""
    if facts.footprint is not None:
        return facts.footprint.weight_bytes
    width = 4 if facts.dtype == "float32" else 2
    return None if facts.parameters is None else facts.parameters * width


def fit(name: str, facts: ModelFacts, longest: int, device: StatedDevice, spread: Spread) -> Fit:
    """Return how many cards hold a model with the keys and values of its longest prompt.

    Args:
        name: The model.
        facts: Its size.
        longest: Tokens of the longest prompt with its reply.
        device: A card.
        spread: How the backend uses several cards.
    """
    cache = 0 if facts.footprint is None else facts.footprint.cache_bytes * longest
    needed = _held(facts) + cache
    room = device.memory * USABLE - WORKING
    cards = max(1, math.ceil(needed / room))
    if cards <= spread.most:
        spare = int((room * cards - _held(facts)) // cache) if cache else spread.together
        most = min(spread.together, max(1, WRITTEN_TOKENS["cuda"] // max(longest, 1)), spare)
        return Fit(cards, together=max(1, most))
    size = f"{name} does not fit on {{}} {device.title}: it needs {needed / 1e9:,.0f} GB"
    if cards > MOST_CARDS or not spread.key:
        return Fit(None, size.format(f"{max(spread.most, MOST_CARDS)} x"))
    return Fit(None, f"{size.format(f'{spread.most} x')}; {spread.key.format(cards)} uses {cards}")


def fits_here(name: str, facts: ModelFacts, longest: int) -> str:
    """Return why a model does not fit this machine's memory or GPUs; empty if it does."""
    if facts.footprint is None:
        return ""
    needed = _held(facts) + facts.footprint.cache_bytes * longest
    if facts.device == "cuda":
        import torch

        cards = range(torch.cuda.device_count())
        here = sum(torch.cuda.get_device_properties(n).total_memory for n in cards)
    else:
        here = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed <= here:
        return ""
    return (
        f"{name} does not fit on this machine: it needs {needed / 1e9:,.0f} GB of {here / 1e9:,.0f}"
    )


def _held(facts: ModelFacts) -> int:
    extra = 0 if facts.footprint is None else facts.footprint.extra_bytes
    return (weight_bytes(facts) or 0) + extra
