"""Greedy decoding of one reply: where it ends, and which part of it is text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ragbench.models.local.context import text_config

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


def greedy(
    model: Any, tokenizer: Any, ids: Sequence[int], *, limit: int, ends: Sequence[int], plain: bool
) -> tuple[str, int, Literal["stop", "length"]]:
    """Return the reply to a prompt.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        ids: The prompt's tokens.
        limit: Maximum tokens of the reply.
        ends: Tokens that end the reply.
        plain: Whether a blank line ends it as well.

    Returns:
        The text without the token or blank line that ended it, other special tokens included; the
        number of tokens generated; and whether the reply ended or reached the limit.
    """
    import torch
    from transformers import GenerationConfig

    config = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=limit,
        do_sample=False,
        eos_token_id=list(ends),
        pad_token_id=(list(ends) or [0])[0],
        stop_strings=[PLAIN_STOP] if plain else None,
    )
    tokens = torch.tensor([list(ids)], device=model.device)
    with torch.inference_mode():
        found = model.generate(
            input_ids=tokens,
            attention_mask=torch.ones_like(tokens),
            generation_config=config,
            tokenizer=tokenizer,
        )
    return written(tokenizer, found[0, len(ids) :].tolist(), ends=ends, plain=plain)


def written(
    tokenizer: Any, new: Sequence[int], *, ends: Sequence[int], plain: bool
) -> tuple[str, int, Literal["stop", "length"]]:
    """Return the reply that generated tokens are, as ``greedy`` does."""
    ended = bool(new) and new[-1] in set(ends)
    text = str(tokenizer.decode(new[:-1] if ended else new, skip_special_tokens=False))
    if plain and PLAIN_STOP in text:
        text, ended = text.partition(PLAIN_STOP)[0], True
    return text, len(new), "stop" if ended else "length"
