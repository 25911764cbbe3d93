"""Attention in blocks of queries: on processors, several times faster than torch's in bfloat16.

Torch's kernel multiplies small tiles, which costs more than the rest of a layer at a thousand
tokens, and it computes every score that a mask removes. Here a block of queries is one matrix
product with the keys that it sees, however the mask looks (docs/performance.md has figures).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from weakref import ref

from ragbench.models.local.context import text_config

if TYPE_CHECKING:
    import torch

BLOCKS = "blocks"  # its name in transformers, and in a model's identity
ROWS = 128  # queries of a block
FEWEST = 16  # queries for which it is worth while
HIDDEN = -1e30  # finite, so that a query that sees nothing gets numbers, too


def suits(asked: str, device: str, dtype: str | None) -> bool:
    """Say whether a model is faster with attention in blocks, if its config leaves it open."""
    return asked == "auto" and device == "cpu" and dtype == "bfloat16"


def use_blocks(model: Any) -> bool:
    """Make a model that uses ``sdpa`` attend in blocks, and say whether its code allows that."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask
    from transformers.utils import logging

    if text_config(model.config)._attn_implementation != "sdpa":
        return False
    AttentionInterface.register(BLOCKS, attend_in_blocks)
    AttentionMaskInterface.register(BLOCKS, sdpa_mask)
    before = logging.get_verbosity()
    logging.set_verbosity(40)  # errors: code whose attention cannot be set is a warning
    try:
        model.set_attn_implementation(BLOCKS)
    except ValueError:
        model.set_attn_implementation("sdpa")
    finally:
        logging.set_verbosity(before)
    return bool(text_config(model.config)._attn_implementation == BLOCKS)


def attend_in_blocks(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Return (B, T, H, D) for queries (B, H, T, D); arguments are those of transformers.

    What it does not compute, such as a single query or weights of positions, ``sdpa`` does.
    """
    import torch
    from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

    batch, heads, asked = query.shape[:3]
    if not _is_plain(module, query, key, attention_mask, dropout, is_causal, more):
        result: tuple[torch.Tensor, None] = sdpa_attention_forward(
            *(module, query, key, value, attention_mask),
            dropout=dropout,
            scaling=scaling,
            is_causal=is_causal,
            **more,
        )
        return result
    repeats = heads // key.shape[1]
    keys = repeat_kv(key, repeats).flatten(0, 1).transpose(1, 2)
    values = repeat_kv(value, repeats).flatten(0, 1)
    queries = query.reshape(batch * heads, asked, -1)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    seen = _causal(asked) if attention_mask is None else _prepared(attention_mask)
    rows = []
    for place, reach in enumerate(seen.reaches):
        some = slice(place * ROWS, min(asked, (place + 1) * ROWS))
        added = seen.added[:, :, some, :reach]
        if added.shape[0] > 1 or added.shape[1] > 1:
            added = added.expand(batch, heads, -1, -1).flatten(0, 1)
        else:
            added = added[0, 0]
        scores = torch.baddbmm(added, queries[:, some], keys[..., :reach], alpha=scale)
        rows.append(torch.bmm(torch.softmax(scores, dim=-1), values[:, :reach]))
    found = torch.cat(rows, dim=1).view(batch, heads, asked, -1)
    return found.transpose(1, 2).contiguous(), None


def _is_plain(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    mask: torch.Tensor | None,
    dropout: float,
    is_causal: bool | None,
    more: dict[str, Any],
) -> bool:
    import torch

    asked, known = query.shape[2], key.shape[2]
    if asked < FEWEST or query.dtype != torch.bfloat16 or query.device.type != "cpu" or dropout:
        return False
    if any(more.get(name) is not None for name in ("position_bias", "softcap", "s_aux")):
        return False
    if mask is not None:
        return mask.ndim == 4 and mask.shape[2:] == (asked, known)
    causal = is_causal if is_causal is not None else bool(getattr(module, "is_causal", True))
    return causal and asked == known


@dataclass(frozen=True, slots=True)
class _Seen:
    """What queries see.

    Attributes:
        added: (B or 1, H or 1, queries, keys): 0 where a query sees a key, ``HIDDEN`` elsewhere.
        reaches: Of each block of queries, the keys up to the last that one of them sees.
    """

    added: torch.Tensor
    reaches: tuple[int, ...]


@lru_cache(maxsize=2)
def _causal(size: int) -> _Seen:
    import torch

    added = torch.full((size, size), HIDDEN, dtype=torch.bfloat16).triu(1)
    ends = range(ROWS, size + ROWS, ROWS)
    return _Seen(added[None, None], tuple(min(end, size) for end in ends))


_last: list[tuple[ref[torch.Tensor], _Seen]] = []


def _prepared(mask: torch.Tensor) -> _Seen:
    """Return what a mask shows; all layers of a pass have the same one, so it is read once."""
    import torch

    if _last and _last[0][0]() is mask:
        return _last[0][1]
    if mask.dtype == torch.bool:
        shown = mask
        added = torch.zeros(mask.shape, dtype=torch.bfloat16).masked_fill_(~mask, HIDDEN)
    else:
        shown = mask > HIDDEN
        added = mask.to(torch.bfloat16).clamp(min=HIDDEN)
    any_row = shown.flatten(0, 1).any(0)
    places = torch.arange(1, mask.shape[3] + 1)
    last = (any_row * places).amax(1)
    reaches = tuple(max(1, int(some.max())) for some in torch.split(last, ROWS))
    _last[:] = [(ref(mask), _Seen(added, reaches))]
    return _last[0][1]
