"""Greedy decoding of one reply: where it ends, and what of it is text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

# Ends of a turn that some repositories leave out of their generation config.
TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<|end_of_turn|>")
PLAIN_STOP = "\n\n"  # a plain prompt's parts are parted by blank lines, so one ends the reply


def turn_ends(model: Any, tokenizer: Any) -> list[int]:
    """Return the ids of the tokens that end a reply.

    Args:
        model: The model, with its repository's generation config.
        tokenizer: Its tokenizer.

    Returns:
        Ascending ids; empty where nothing but the limit ends a reply.
    """
    named: list[Any] = []
    for ends in (
        getattr(model.generation_config, "eos_token_id", None),
        getattr(model.config, "eos_token_id", None),
        tokenizer.eos_token_id,
    ):
        named += ends if isinstance(ends, list) else [ends]
    known = tokenizer.get_vocab()
    # Where replies have channels, <|end|> ends the trace and not the reply.
    ends_trace = {"<|end|>"} if "<|channel|>" in known else set[str]()
    named += [known[token] for token in TURN_ENDS if token in known and token not in ends_trace]
    return sorted({int(end) for end in named if end is not None})


def forget_sampling(model: Any) -> None:
    """Drop the repository's sampling and penalty settings; what ends a turn is kept."""
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
        limit: The most tokens of the reply.
        ends: The tokens that end it.
        plain: Whether a blank line ends it, too.

    Returns:
        The text without the token or blank line that ended it, other special tokens left in;
        the number of tokens generated; and whether the reply ended or met the limit.
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
    new = found[0, len(ids) :].tolist()
    ended = bool(new) and new[-1] in set(ends)
    text = str(tokenizer.decode(new[:-1] if ended else new, skip_special_tokens=False))
    if plain and PLAIN_STOP in text:
        text, ended = text.partition(PLAIN_STOP)[0], True
    return text, len(new), "stop" if ended else "length"
