"""Which models fit which cards, by hand arithmetic and by the configs of published models."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import DeepseekV3Config, LlamaConfig, MixtralConfig, Qwen3MoeConfig

from ragbench.base.modelfacts import Footprint, ModelFacts
from ragbench.experiment.planning.devices import DEVICES
from ragbench.experiment.planning.fitting import (
    Spread,
    fit,
    fits_here,
    spread_of,
    weight_bytes,
)
from ragbench.models.local.quantised import Quantised
from ragbench.models.local.skeleton import Skeleton, skeleton
from ragbench.models.spec import ModelSpec

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
INT4 = Quantised("gptq-int4", 4, "")
ONE = Spread(1, False, "device_map: auto", 192)
ALL = Spread(8, False, "device_map: auto", 192)


def sized(config: Any) -> Skeleton:
    found = skeleton(config, "auto", trust_remote_code=False)
    assert found is not None
    return found


def facts(config: Any, dtype: str = "bfloat16", stored: Quantised | None = None) -> ModelFacts:
    return ModelFacts(dtype=dtype, footprint=sized(config).footprint(dtype, stored))


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


def test_what_fits_on_cards() -> None:
    """Nine tenths of 80 GB less 3 GB leave 69 GB; the head in float32 has 4.2 GB.

    70 B in bfloat16 need 141.1 + 4.2 + 1.3 (4,096 tokens of 327,680 bytes) = 146.6 GB: 3 cards.
    With 4 bits for the layers' 68.45 B and 2 bytes for the rest: 34.2 + 4.2 + 4.2 + 1.3 = 43.9.
    """
    h100 = DEVICES["h100"]
    large, small = facts(LLAMA_70B), facts(LLAMA_70B, "gptq-int4", INT4)
    assert fit("m", large, 4096, h100, ALL).cards == 3
    refused = fit("m", large, 4096, h100, ONE)
    assert (refused.cards, refused.refusal) == (
        None,
        "m does not fit on 1 x H100 SXM, 80 GB: it needs 147 GB; device_map: auto uses 3",
    )
    assert fit("m", small, 4096, h100, ONE).cards == 1
    assert weight_bytes(small) == pytest.approx(34.2e9 + 4.2e9, rel=5e-3)
    assert fit("m", small, 4096, DEVICES["rtx-4090"], ALL).cards == 3  # 43.9 / 18.6
    assert fit("m", facts(LLAMA_70B, "float32"), 4096, DEVICES["rtx-4090"], ALL).refusal == (
        "m does not fit on 8 x RTX 4090, 24 GB: it needs 285 GB"
    )


def test_replies_at_a_time_are_those_that_memory_holds() -> None:
    """8 B on 24 GB: 18.6 - 16.06 - 2.1 leave 0.44 GB, 1,000 tokens of 131,072 bytes take 0.13."""
    assert fit("m", facts(LLAMA_8B), 1000, DEVICES["rtx-4090"], ONE).together == 3
    assert fit("m", facts(LLAMA_8B), 1000, DEVICES["h100"], ONE).together == 65
    assert fit("m", facts(LLAMA_8B), 100, DEVICES["h100"], ONE).together == 192


def test_a_backend_uses_the_cards_that_its_entry_allows() -> None:
    def found(**entry: Any) -> Spread:
        return spread_of(ModelSpec.model_validate({"name": "m", **entry}))

    assert found(model="a/b").most == 1
    assert found(model="a/b", device_map="auto") == ALL
    four = found(model="a/b", backend="vllm", engine={"tensor_parallel_size": 4})
    assert (four.most, four.is_split) == (4, True)
    assert fit(
        "m", facts(LLAMA_70B), 4096, DEVICES["h100"], found(model="a/b", backend="vllm")
    ) == (fit("m", facts(LLAMA_70B), 4096, DEVICES["h100"], Spread(1, True, four.key, 64)))
    assert found(backend="scripted").most == 8


def test_this_machine_refuses_what_is_larger_than_its_memory() -> None:
    huge = ModelFacts(dtype="bfloat16", device="cpu", footprint=Footprint(10**15, 0, 1, 0))
    assert fits_here("m", huge, 10).startswith(
        "m does not fit on this machine: it needs 1,000,000 GB"
    )
    assert fits_here("m", facts(MixtralConfig(num_hidden_layers=1, vocab_size=100)), 10) == ""
    assert fits_here("m", ModelFacts(), 10) == ""
