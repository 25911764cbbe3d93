"""Option scoring over the families of transformers: with the shared prefix as without it.

Random weights of two or three layers; the numbers of one whole pass per option are the measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from ragbench.models.local.prefix import option_log_likelihoods

SIZES = {"vocab_size": 100, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
COMMON = SIZES | HEADS | {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
MAMBA = {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_d_state": 8}
EXPERTS = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 32}
LINEAR = {
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
# State spaces, linear attention, convolutions and recurrent layers, alone or beside attention.
HYBRID: dict[str, dict[str, Any]] = {
    "mamba": {"state_size": 8},
    "mamba2": {"num_heads": 4, "head_dim": 16, "state_size": 8, "n_groups": 1},
    "falcon_mamba": {"state_size": 8},
    "falcon_h1": MAMBA | {"mamba_d_ssm": 64},
    "bamba": MAMBA | {"attn_layer_indices": [1]},
    "granitemoehybrid": MAMBA
    | {"layer_types": ["mamba", "attention"], "num_local_experts": 2, "num_experts_per_tok": 1},
    "jamba": {"mamba_d_state": 8, "mamba_dt_rank": 4, "num_experts": 2, "attn_layer_period": 2}
    | {"attn_layer_offset": 1, "use_mamba_kernels": False},
    "zamba2": {"num_hidden_layers": 4, "mamba_d_state": 8, "n_mamba_heads": 4}
    | {"mamba_headdim": 16, "mamba_ngroups": 1}
    | {"layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"]},
    "recurrent_gemma": {"lru_width": 32, "attention_window_size": 16, "num_hidden_layers": 3},
    "qwen3_next": LINEAR | EXPERTS | {"shared_expert_intermediate_size": 32},
    "qwen3_5_text": LINEAR,
    "lfm2": {"layer_types": ["conv", "full_attention"], "block_dim": 32, "block_ff_dim": 64},
    "minimax": {"layer_types": ["linear_attention", "full_attention"], "num_local_experts": 2},
    "nemotron_h": {"layers_block_type": ["mamba", "attention"], "mamba_num_heads": 4}
    | {"mamba_head_dim": 16, "n_groups": 1, "ssm_state_size": 8},
    "xlstm": {"num_heads": 2, "embedding_dim": 32, "num_blocks": 2},
    "rwkv": {"attention_hidden_size": 32, "context_length": 256},
    "olmo_hybrid": {},
}
ATTENTION: dict[str, dict[str, Any]] = {
    "llama": {},
    "gpt2": {},
    "bloom": {"n_head": 2, "n_layer": 2},
    "mpt": {"n_heads": 2, "n_layers": 2, "d_model": 32},
    "mistral": {"sliding_window": 8},  # far shorter than the shared prefix
    "gemma3_text": {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]},
    "cohere2": {"sliding_window": 8},
    "gpt_oss": {"num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 8},
}
PROMPT = list(range(5, 45))
CASES = {
    "letters": [[*PROMPT, 1], [*PROMPT, 2], [*PROMPT, 3]],
    "texts": [[*PROMPT, 50, 51, 52], [*PROMPT, 60], [*PROMPT, 50, 70]],
    "one begins another": [[*PROMPT, 50], [*PROMPT, 50, 51]],
}


def model_of(kind: str, config: dict[str, Any]) -> Any:
    if kind not in CONFIG_MAPPING:
        pytest.skip(f"this transformers has no {kind}")
    torch.manual_seed(0)
    makes: Any = AutoModelForCausalLM
    return makes.from_config(CONFIG_MAPPING[kind](**COMMON | config)).eval()


def whole(model: Any, ids: Sequence[int], start: int) -> float:
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0].double()
    logged = torch.log_softmax(logits, dim=-1)
    return float(sum(logged[i - 1, ids[i]] for i in range(start, len(ids))))


@pytest.mark.parametrize("kind", [*HYBRID, *ATTENTION])
def test_the_shared_prefix_changes_no_number(kind: str) -> None:
    model = model_of(kind, (HYBRID | ATTENTION)[kind])
    for case, sequences in CASES.items():
        expected = [whole(model, ids, len(PROMPT)) for ids in sequences]
        for _ in range(2):  # a family is tried once with a cache, and then known
            found = option_log_likelihoods(model, sequences, [len(PROMPT)] * len(sequences))
            assert found == pytest.approx(expected, abs=2e-3), case


@pytest.mark.parametrize("kind", ["mamba", "qwen3_5_text", "llama"])
def test_letters_cost_one_pass_in_every_family(kind: str) -> None:
    model = model_of(kind, (HYBRID | ATTENTION)[kind])
    option_log_likelihoods(model, CASES["letters"], [len(PROMPT)] * 3)
    tokens: list[int] = []
    embed = model.get_input_embeddings()
    handle = embed.register_forward_hook(lambda _m, given, _o: tokens.append(given[0].numel()))
    try:
        option_log_likelihoods(model, CASES["letters"], [len(PROMPT)] * 3)
    finally:
        handle.remove()
    assert sum(tokens) == len(PROMPT)
