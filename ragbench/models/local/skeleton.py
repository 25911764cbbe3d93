"""A model without its weights: how large it is, and the attention that transformers chooses."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragbench.base.files import plain_file
from ragbench.base.modelfacts import Footprint
from ragbench.models.local.attention import use_blocks
from ragbench.models.local.context import text_config
from ragbench.models.local.quantised import Quantised

# Keys of transformers' configs: the experts of a layer, and those that a token uses.
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")
USED = ("num_experts_per_tok", "num_experts_per_token", "moe_topk")


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What a config alone says of a model.

    Attributes:
        attention: Implementation of attention, such as ``sdpa``.
        parameters: All parameters, each once where matrices are shared.
        active: Those that a token uses: of a mixture of experts, not all.
        head: Those of the output matrix.
        quantisable: Those in layers, which quantised weights store with few bits.
        cached: Keys and values of a token in all layers; those of a sliding window count whole.
    """

    attention: str
    parameters: int
    active: int
    head: int
    quantisable: int
    cached: int

    def footprint(self, dtype: str, stored: Quantised | None) -> Footprint:
        """Return what the model needs in memory in a number format, with a float32 head."""
        width = 4 if dtype == "float32" else 2
        bits = 8 * width if stored is None else stored.bits
        small = int(self.quantisable * bits / 8) + (self.parameters - self.quantisable) * width
        return Footprint(
            weight_bytes=small,
            extra_bytes=0 if width == 4 else 4 * self.head,
            active_parameters=self.active,
            cache_bytes=self.cached * width,
        )


def skeleton(
    config: Any, attention: str, blocks: bool, *, trust_remote_code: bool
) -> Skeleton | None:
    """Return what a config says of its model; None if transformers cannot build it so.

    Args:
        config: The model's config in transformers.
        attention: Implementation of attention that is asked for; ``auto`` leaves it open.
        blocks: Whether it attends in blocks if its code allows that.
        trust_remote_code: Whether code in the model's repository may run.

    Raises:
        ImportError: The implementation needs a package that is not installed.
        ValueError: The model does not support the implementation.
    """
    import torch
    from transformers import AutoModelForCausalLM

    asked = {} if attention == "auto" else {"attn_implementation": attention}
    makes: Any = AutoModelForCausalLM
    plain = deepcopy(config)
    vars(plain).pop("quantization_config", None)
    try:
        with torch.device("meta"):
            model = makes.from_config(plain, trust_remote_code=trust_remote_code, **asked)
    except (ImportError, ValueError) as error:
        if asked and not isinstance(error, ModuleNotFoundError):
            raise
        return None
    except (RuntimeError, TypeError, AttributeError, KeyError, IndexError, OSError):
        return None
    if blocks:
        use_blocks(model)
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    part = text_config(model.config)
    experts = sum(size for name, size in sizes.items() if ".experts." in name)
    total, known = sum(sizes.values()), vars(part)
    every = next((known[key] for key in EXPERTS if isinstance(known.get(key), int)), 0)
    used = next((known[key] for key in USED if isinstance(known.get(key), int)), every)
    idle = experts * (every - used) // every if every else 0
    head = model.get_output_embeddings()
    ends = {id(model.get_input_embeddings().weight)} | ({id(head.weight)} if head else set())
    return Skeleton(
        attention=str(vars(part).get("_attn_implementation_internal") or attention),
        parameters=total,
        active=total - idle,
        head=head.weight.numel() if head else 0,
        quantisable=sum(p.numel() for p in model.parameters() if id(p) not in ends and p.ndim > 1),
        cached=_cached(part),
    )


def _cached(config: Any) -> int:
    """Return the keys and values of a token in all layers, from the usual keys of configs."""
    heads = config.num_attention_heads if "num_attention_heads" in dir(config) else 0
    if not isinstance(heads, int) or not heads:
        return 0
    known = config.to_dict()
    kept = known.get("num_key_value_heads") or heads
    head = known.get("head_dim") or config.hidden_size // heads
    # Of latent attention transformers caches whole keys and values, whose sizes differ.
    width = (known.get("qk_head_dim") or head) + (known.get("v_head_dim") or head)
    layers = known.get("layer_types") or ["full_attention"] * config.num_hidden_layers
    with_keys = sum("attention" in kind and "linear" not in kind for kind in layers)
    return int(kept * width * with_keys)


def stored_parameters(folder: Path) -> int | None:
    """Return the numbers in the headers of a folder's weights; None if it has none.

    Raises:
        ValueError: A file is not in the format safetensors.
    """
    from safetensors import SafetensorError, safe_open

    files = sorted(folder.glob("*.safetensors"))
    total = 0
    for file in files:
        try:
            with safe_open(plain_file(file), framework="numpy") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - not a mapping
                    total += math.prod(tensors.get_slice(name).get_shape())
        except SafetensorError as error:
            raise ValueError(str(error)) from None
    return total if files else None
