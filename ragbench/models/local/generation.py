"""Greedy decoding of replies: where each ends, and which part of it is text."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ragbench.models.local.context import text_config
from ragbench.models.local.prefix import input_device

# Some repositories omit these ends of a turn from their generation config.
TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<|end_of_turn|>")
PLAIN_STOP = "\n\n"  # blank lines separate the parts of a plain prompt, so one ends the reply


def turn_ends(model: Any, tokenizer: Any) -> list[int]:
    """Return the ascending ids of the tokens that end a reply; empty if only the limit does."""
    named: list[Any] = []
    for ends in (
        getattr(model.generation_config, "eos_token_id", None),
        getattr(model.config, "eos_token_id", None),
        getattr(text_config(model.config), "eos_token_id", None),
        tokenizer.eos_token_id,
    ):
        named += ends if isinstance(ends, list) else [ends]
    known = tokenizer.get_vocab()
    # In replies with channels, <|end|> ends the reasoning and not the reply.
    ends_trace = {"<|end|>"} if "<|channel|>" in known else set[str]()
    named += [known[token] for token in TURN_ENDS if token in known and token not in ends_trace]
    return sorted({int(end) for end in named if end is not None})


def forget_sampling(model: Any) -> None:
    """Drop the repository's sampling and penalty settings; keep the ends of a turn."""
    from transformers import GenerationConfig

    ends = getattr(model.generation_config, "eos_token_id", None)
    model.generation_config = GenerationConfig(eos_token_id=ends)  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Written:
    """A reply.

    Attributes:
        text: Without the token or blank line that ended it, other special tokens included.
        tokens: Number of tokens generated.
        finish: Whether the reply ended, or reached the limit.
    """

    text: str
    tokens: int
    finish: Literal["stop", "length"]


def greedy(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    *,
    limit: int,
    ends: Sequence[int],
    plain: bool,
) -> list[Written]:
    """Return the replies to prompts, each decoded greedily.

    Several prompts are padded on the left, where a model that takes a mask and positions does not
    see the padding.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        prompts: Their tokens.
        limit: Maximum tokens of a reply.
        ends: Tokens that end a reply; of several prompts, at least one.
        plain: Whether a blank line ends it as well.
    """
    import torch
    from transformers import GenerationConfig

    pad = (list(ends) or [0])[0]
    config = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=limit,
        do_sample=False,
        eos_token_id=list(ends),
        pad_token_id=pad,
        stop_strings=[PLAIN_STOP] if plain else None,
    )
    width = max(map(len, prompts))
    rows = [[pad] * (width - len(ids)) + list(ids) for ids in prompts]
    seen = [[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts]
    device = input_device(model)
    with torch.inference_mode():
        found = model.generate(
            input_ids=torch.tensor(rows, device=device),
            attention_mask=torch.tensor(seen, device=device),
            generation_config=config,
            tokenizer=tokenizer,
        )
    return [written(row, tokenizer, ends, plain) for row in found[:, width:].tolist()]


def written(new: Sequence[int], tokenizer: Any, ends: Collection[int], plain: bool) -> Written:
    """Return the reply that generated tokens are; after its end, a row is filled up with an end."""
    size = next((n for n, token in enumerate(new) if token in ends), None)
    text = str(tokenizer.decode(new[:size], skip_special_tokens=False))
    if plain and PLAIN_STOP in text:
        return Written(text.partition(PLAIN_STOP)[0], len(new[:size]), "stop")
    if size is None:
        return Written(text, len(new), "length")
    return Written(text, size + 1, "stop")
