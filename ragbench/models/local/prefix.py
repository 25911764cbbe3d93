"""Log-likelihoods of several continuations of one prompt, with the shared prefix computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

if TYPE_CHECKING:
    import torch


def option_log_likelihoods(
    model: Any,
    sequences: Sequence[Sequence[int]],
    starts: Sequence[int],
    *,
    reuse: bool = True,
) -> list[float]:
    """Return the summed natural log-probability of each sequence's tokens from its start on.

    The shared tokens of all sequences, up to the last before the first start, run through the model
    once. Their keys and values are then repeated for one batch of the remaining tokens, padded on
    the right, where causal attention keeps the padding out of every score. A model whose layers
    keep anything else than keys and values (linear attention, state spaces, convolutions, recurrent
    layers) gets every sequence whole and alone.

    Args:
        model: Gives logits for ``input_ids`` (B, T) and accepts a cache.
        sequences: Token ids of prompt and continuation together.
        starts: Start of each continuation, at least 1.
        reuse: Whether to share the prefix; if not, each sequence runs whole and alone.
    """
    import torch

    with torch.inference_mode():
        shared = min(_common_length(sequences), min(starts) - 1)
        cache = _prefill(model, sequences[0][:shared]) if reuse and shared > 0 else None
        one_each = all(len(ids) == shared + 2 for ids in sequences) and min(starts) == shared + 1
        if cache is None:
            if reuse and one_each:
                return _next(_forward(model, [sequences[0][:-1]], None), sequences)
            return [
                _sums(_forward(model, [ids], None), [ids], [start])[0]
                for ids, start in zip(sequences, starts, strict=True)
            ]
        if one_each:
            # One token each after one prompt, such as letters: the last logits score all of them.
            return _next(_forward(model, [sequences[0][shared:-1]], cache), sequences)
        cache.batch_repeat_interleave(len(sequences))
        rests = [ids[shared:] for ids in sequences]
        logits = _forward(model, rests, cache)
        return _sums(logits, rests, [start - shared for start in starts])


def input_device(model: Any) -> torch.device:
    """Return the device that takes the tokens, also of a model that is split over several."""
    import torch

    device: torch.device = model.get_input_embeddings().weight.device
    return torch.device("cpu") if device.type == "meta" else device


def _common_length(sequences: Sequence[Sequence[int]]) -> int:
    shortest = min(len(ids) for ids in sequences)
    for position in range(shortest):
        if len({ids[position] for ids in sequences}) > 1:
            return position
    return shortest


# Layers of a cache that may be repeated and continued; by name, as versions differ.
REPEATABLE = {"DynamicLayer", "DynamicSlidingWindowLayer"}
_unshared: WeakSet[Any] = WeakSet()


def _prefill(model: Any, ids: Sequence[int]) -> Any:
    """Return the cache of a prefix; None if the model's cache does not hold keys and values alone.

    Other caches cannot be repeated or continued in a batch: transformers raises, or the numbers
    change. Such a model is tried once.
    """
    if model in _unshared:
        return None
    try:
        cache = _cached(model, ids)
    except (AttributeError, TypeError, ValueError):  # of families that cannot start a cache so
        cache = None
    if not _is_repeatable(cache):
        _unshared.add(model)
        return None
    return cache


def keeps_only_keys(model: Any, ids: Sequence[int]) -> bool:
    """Say whether a model's cache holds keys and values alone; it is tried on some tokens."""
    import torch

    with torch.inference_mode():
        return _prefill(model, ids) is not None


def _cached(model: Any, ids: Sequence[int]) -> Any:
    import torch

    tokens = torch.tensor([list(ids)], device=input_device(model))
    output = model.base_model(input_ids=tokens, use_cache=True)
    cache = getattr(output, "cache", None)
    if cache is None:  # its name before transformers 5.24
        cache = getattr(output, "past_key_values", None)
    return cache


def _is_repeatable(cache: Any) -> bool:
    if type(cache).__name__ != "DynamicCache":
        return False
    kinds = {type(layer).__name__ for layer in cache.layers}
    return bool(kinds) and kinds <= REPEATABLE


@dataclass(frozen=True, slots=True)
class Beginning:
    """Tokens with their keys and values in a cache."""

    tokens: tuple[int, ...]
    cache: Any

    def arguments(self, model: Any) -> dict[str, Any]:
        """Return the arguments of a pass that continues the tokens; the pass before is dropped."""
        if added := self.cache.get_seq_length() - len(self.tokens):
            self.cache.crop(-added)
        return {cache_argument(model): self.cache, "use_cache": True}


_beginnings: WeakKeyDictionary[Any, Beginning] = WeakKeyDictionary()


def beginning(model: Any, ids: Sequence[int]) -> Beginning | None:
    """Return a beginning, computed once as long as it is the same; None of a model that forgets.

    A model's layers forget if they keep the last tokens only, or anything else than keys and
    values.
    """
    import torch

    tokens = tuple(ids)
    kept = _beginnings.get(model)
    if kept is None or kept.tokens != tokens:
        with torch.inference_mode():
            cache = _prefill(model, tokens)
        if cache is None or any(type(x).__name__ != "DynamicLayer" for x in cache.layers):
            return None
        kept = _beginnings[model] = Beginning(tokens, cache)
    return kept


def cache_argument(model: Any) -> str:
    """Return the name of the argument that takes a cache: before transformers 5.24 another one."""
    return "cache" if "cache" in signature(model.forward).parameters else "past_key_values"


def _next(logits: torch.Tensor, sequences: Sequence[Sequence[int]]) -> list[float]:
    """Return the log-probability of each sequence's last token after the same prompt."""
    import torch

    predicted = torch.log_softmax(logits[0, -1].float(), dim=-1)
    return [float(predicted[ids[-1]]) for ids in sequences]


def _forward(model: Any, rows: Sequence[Sequence[int]], cache: Any) -> torch.Tensor:
    """Return logits (B, T, V) for right-padded rows; the last token of a row has no successor."""
    import torch

    width = max(len(row) for row in rows)
    tokens = torch.zeros((len(rows), width), dtype=torch.long)
    for index, row in enumerate(rows):
        tokens[index, : len(row)] = torch.tensor(list(row))
    # Some families without keys and values have no argument for them.
    given = (
        {"use_cache": False} if cache is None else {cache_argument(model): cache, "use_cache": True}
    )
    logits: torch.Tensor = model(input_ids=tokens.to(input_device(model)), **given).logits
    return logits


def _sums(
    logits: torch.Tensor, rows: Sequence[Sequence[int]], starts: Sequence[int]
) -> list[float]:
    import torch

    sums: list[float] = []
    for index, (row, start) in enumerate(zip(rows, starts, strict=True)):
        predicted = torch.log_softmax(logits[index, start - 1 : len(row) - 1].float(), dim=-1)
        targets = torch.tensor(list(row[start:]), device=predicted.device)
        sums.append(float(predicted.gather(1, targets[:, None]).sum()))
    return sums
