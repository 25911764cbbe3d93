"""Attention in blocks of queries: on processors, several times faster than torch's in bfloat16.

Torch's kernel multiplies small tiles, which costs more than the rest of a layer at a thousand
tokens, and it computes every score that a mask removes. Here a block of queries is one matrix
product with the keys that it sees. Prompts that share a pass have blocks of their own, so that each
costs what it would cost alone (docs/performance.md has figures).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from weakref import ref

from ragbench.models.local.context import text_config

if TYPE_CHECKING:
    import torch

BLOCKS = "blocks"  # its name in transformers, and in a model's identity
ROWS = 192  # queries of a block
FEWEST = 16  # queries for which it is worth while
GAP = 32  # keys that nobody sees, beyond which a block leaves them out
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
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

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
    kept = key.shape[1]
    sizes = (batch, kept, heads // kept)
    grouped = query.view(*sizes, asked, -1).flatten(0, 1)
    keys, values = key.flatten(0, 1).contiguous(), value.flatten(0, 1).contiguous()
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    found = query.new_empty(batch, asked, heads, value.shape[-1])
    for block in _causal(asked, sizes) if attention_mask is None else _shown(attention_mask, sizes):
        some = grouped[:, :, block.rows].flatten(1, 2)
        scores = torch.baddbmm(block.added, some, block.of(keys).transpose(1, 2), alpha=scale)
        mixed = torch.bmm(torch.softmax(scores, dim=-1), block.of(values))
        found[:, block.rows] = mixed.view(batch, heads, -1, mixed.shape[-1]).transpose(1, 2)
    return found, None


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


Sizes = tuple[int, int, int]  # sequences, heads of keys, heads of queries for each of these


@dataclass(frozen=True, slots=True)
class _Block:
    """Queries and the keys that they see.

    Attributes:
        rows: The queries, by place.
        keys: Slices of the keys, which hold all that a query of the block sees.
        added: (queries of all heads that share keys, one head after the other; keys), or one such
            matrix for each head of keys: 0 where a query sees a key, ``HIDDEN`` elsewhere.
    """

    rows: slice
    keys: tuple[slice, ...]
    added: torch.Tensor

    def of(self, kept: torch.Tensor) -> torch.Tensor:
        """Return those of keys or values (heads, K, D) that the block sees."""
        import torch

        parts = [kept[:, some] for some in self.keys]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _block(rows: slice, keys: tuple[slice, ...], added: torch.Tensor, sizes: Sizes) -> _Block:
    """Return a block whose mask (B or 1, H or 1, queries, keys) is that of all keys."""
    import torch

    chosen = torch.cat([added[:, :, rows, some] for some in keys], dim=3)
    batch, kept, repeats = sizes
    if chosen.shape[0] == chosen.shape[1] == 1:
        return _Block(rows, keys, chosen[0, 0].repeat(repeats, 1))
    every = chosen.expand(batch, kept * repeats, -1, -1)
    return _Block(rows, keys, every.reshape(batch * kept, -1, every.shape[-1]))


@lru_cache(maxsize=2)
def _causal(size: int, sizes: Sizes) -> tuple[_Block, ...]:
    import torch

    added = torch.full((size, size), HIDDEN, dtype=torch.bfloat16).triu(1)[None, None]
    rows = [slice(start, min(size, start + ROWS)) for start in range(0, size, ROWS)]
    return tuple(_block(some, (slice(0, some.stop),), added, sizes) for some in rows)


_last: list[tuple[ref[torch.Tensor], Sizes, tuple[_Block, ...]]] = []


def _shown(mask: torch.Tensor, sizes: Sizes) -> tuple[_Block, ...]:
    """Return what a mask shows; all layers of a pass have the same one, so it is read once."""
    import torch

    if _last and _last[0][0]() is mask and _last[0][1] == sizes:
        return _last[0][2]
    if mask.dtype == torch.bool:
        shown = mask
        added = torch.zeros(mask.shape, dtype=torch.bfloat16).masked_fill_(~mask, HIDDEN)
    else:
        shown = mask > HIDDEN
        added = mask.to(torch.bfloat16).clamp(min=HIDDEN)
    anywhere = shown.flatten(0, 1).any(0)
    blocks = tuple(
        _block(rows, _keys(anywhere[rows].any(0)), added, sizes) for rows in _rows(anywhere)
    )
    _last[:] = [(ref(mask), sizes, blocks)]
    return blocks


def _rows(shown: torch.Tensor) -> Iterator[slice]:
    """Yield blocks of queries; one that sees far less than the one before begins a block."""
    counts = shown.sum(1).tolist()
    starts = [n for n in range(len(counts)) if n == 0 or 2 * counts[n] < counts[n - 1]]
    for start, end in pairwise([*starts, len(counts)]):
        n_blocks = -(-(end - start) // ROWS)
        cuts = [start + (end - start) * n // n_blocks for n in range(n_blocks + 1)]
        yield from (slice(*pair) for pair in pairwise(cuts))


def _keys(shown: torch.Tensor) -> tuple[slice, ...]:
    """Return slices of the keys that hold all that are shown, and few others."""
    places = shown.nonzero().flatten().tolist() or [0]
    starts = [places[0], *(b for a, b in pairwise(places) if b - a > GAP)]
    ends = [*(a for a, b in pairwise(places) if b - a > GAP), places[-1]]
    return tuple(slice(start, end + 1) for start, end in zip(starts, ends, strict=True))
