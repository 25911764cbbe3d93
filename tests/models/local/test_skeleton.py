"""Sizes by a config alone: those that are published, and those of models with weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import DeepseekV3Config, LlamaConfig, MixtralConfig, Qwen3MoeConfig

from ragbench.models.local.skeleton import Skeleton, skeleton, stored_parameters
from tests.models.local import tiny
from tests.models.local.test_families import ATTENTION, HYBRID, model_of

LLAMA_70B = LlamaConfig(
    hidden_size=8192,
    intermediate_size=28672,
    num_hidden_layers=80,
    num_attention_heads=64,
    num_key_value_heads=8,
    vocab_size=128256,
)
LLAMA_8B = LlamaConfig(
    hidden_size=4096,
    intermediate_size=14336,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=8,
    vocab_size=128256,
)


def sized(config: Any) -> Skeleton:
    found = skeleton(config, "auto", False, trust_remote_code=False)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("config", "parameters", "active", "cached"),
    [
        # Published: 70.6 and 8.03 billion; 46.7 of which 12.9 are active. Keys and values of
        # 8 heads of 128 in 80 and in 32 layers.
        (LLAMA_70B, 70.55e9, 70.55e9, 2 * 8 * 128 * 80),
        (LLAMA_8B, 8.03e9, 8.03e9, 2 * 8 * 128 * 32),
        (MixtralConfig(), 46.7e9, 12.88e9, 2 * 8 * 128 * 32),
    ],
    ids=["llama-3-70b", "llama-3-8b", "mixtral-8x7b"],
)
def test_sizes_are_the_published_ones(
    config: Any, parameters: float, active: float, cached: int
) -> None:
    found = sized(config)
    assert found.parameters == pytest.approx(parameters, rel=2e-3)
    assert found.active == pytest.approx(active, rel=2e-3)
    assert found.cached == cached


def test_experts_under_other_names_are_known() -> None:
    """Two layers of 8 experts of three 16 x 32 matrices, of which a token uses 2."""
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    sizes |= {"moe_intermediate_size": 16, "num_attention_heads": 2, "vocab_size": 100}
    makes: Any = Qwen3MoeConfig
    qwen = makes(**sizes, num_experts=8, num_experts_per_tok=2, num_key_value_heads=2, head_dim=16)
    latent = DeepseekV3Config(
        **sizes,
        n_routed_experts=8,
        num_experts_per_tok=2,
        first_k_dense_replace=0,
        n_group=1,
        topk_group=1,
        num_key_value_heads=2,
        q_lora_rank=8,
        kv_lora_rank=8,
        qk_rope_head_dim=4,
        qk_nope_head_dim=8,
        v_head_dim=6,
    )
    for config in (qwen, latent):
        found = sized(config)
        assert found.parameters - found.active == 2 * 6 * 3 * 16 * 32
    assert sized(qwen).cached == 2 * 2 * (16 + 16)
    assert sized(latent).cached == 2 * 2 * (8 + 4 + 6)


@pytest.mark.parametrize("kind", [*HYBRID, *ATTENTION])
def test_every_family_has_the_size_of_its_weights(kind: str) -> None:
    model = model_of(kind, (HYBRID | ATTENTION)[kind])
    found = sized(model.config)
    assert found.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert 0 < found.active <= found.parameters
    assert found.attention in ("sdpa", "eager", "auto")


def test_the_headers_of_weights_say_how_many_they_are(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path, tiny.tokenizer())
    assert stored_parameters(folder) == 2 * 101 * 32 + 2 * 10_240 + 5 * 32
    (tmp_path / "model.safetensors").write_bytes(b"{")
    with pytest.raises(ValueError, match=r"."):
        stored_parameters(folder)
    (tmp_path / "model.safetensors").unlink()
    assert stored_parameters(folder) is None
