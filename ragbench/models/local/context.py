"""The context of a model: the tokens that its config, or else its tokenizer, states."""

from __future__ import annotations

from typing import Any

from ragbench.base.errors import UsageError

# Keys of transformers' configs that state it, in the order in which they are believed.
KEYS = (
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_seq_len",
    "max_seq_length",
    "max_sequence_length",
    "seq_length",
    "max_target_positions",
)
NO_BOUND = 10**8  # tokenizers without a bound state 10^30; the longest known context is 10^7


def context_of(config: Any, tokenizer: Any, asked: int | None, *, where: str) -> int:
    """Return the maximum tokens of a prompt and its reply.

    A config with parts states it in its text part. A model without positions, such as Mamba, or
    with relative ones, such as BLOOM, may state none.

    Args:
        config: The model's config in transformers.
        tokenizer: Its tokenizer.
        asked: The config file's own ``context``, which must not exceed the model's.
        where: Place in the config file, for messages.

    Raises:
        UsageError: Nothing states a context, or ``asked`` exceeds it.
    """
    found = _of_config(config)
    if asked is not None:
        if found is not None and asked > found:
            raise UsageError(
                f"the model's own config states {found:,} tokens, fewer than `context` says",
                where=f"{where}: context: {asked}",
                fix=f"remove `context`, or write {found} or less",
            )
        return asked
    found = found or _tokens(getattr(tokenizer, "model_max_length", None))
    if found is None:
        raise UsageError(
            "neither the model's config nor its tokenizer states how many tokens it reads",
            where=where,
            fix="write `context:` with the number that it was trained for, such as 2048",
        )
    return found


def text_config(config: Any) -> Any:
    """Return the part of a config that describes the language model; the config itself if flat."""
    try:
        return config.get_text_config(decoder=True)
    except ValueError:  # several text parts and no decoder among them
        return config


def _of_config(config: Any) -> int | None:
    for part in (text_config(config), config):
        for key in KEYS:
            found = _tokens(getattr(part, key, None))
            if found is not None:
                return found
    return None


def _tokens(value: object) -> int | None:
    """Return a number of tokens; None for 10^30, -1 and whatever else means no bound."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 < value < NO_BOUND else None
