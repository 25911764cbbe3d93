"""The context of every family that transformers knows, and of tokenizers without a bound."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from ragbench.base.errors import UsageError
from ragbench.models.local.context import context_of, text_config
from ragbench.models.local.options import HfOptions
from tests.models.local import tiny

UNBOUNDED = SimpleNamespace(model_max_length=int(1e30))
# No positions (Mamba, xLSTM, Griffin), or relative ones (BLOOM's ALiBi, CPM's buckets).
STATE_NONE = {"bloom", "cpmant", "falcon_mamba", "mamba", "mamba2", "recurrent_gemma", "xlstm"}
# From the reports of the models: the default config is that of the first release.
KNOWN = {"llama": 2048, "gpt2": 1024, "mpt": 2048, "gemma3": 131_072, "gemma3_text": 131_072}


def default_config(model_type: str) -> Any:
    """Return a family's config without arguments; skip those that cannot be made so."""
    try:
        return CONFIG_MAPPING[model_type]()
    except Exception as error:  # strict configs refuse their own defaults
        pytest.skip(f"transformers makes no default config: {type(error).__name__}")


@pytest.mark.parametrize("model_type", sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES))
def test_every_family_has_a_sane_context_or_is_refused(model_type: str) -> None:
    config = default_config(model_type)
    try:
        found = context_of(config, UNBOUNDED, None, where="models: m")
    except UsageError as error:
        # XLNet's and some others' own property says -1 for "no limit".
        stated = getattr(config, "max_position_embeddings", None)
        assert model_type in STATE_NONE or stated == -1
        assert "context:" in error.fix
        assert context_of(config, UNBOUNDED, 4096, where="models: m") == 4096
        return
    assert model_type not in STATE_NONE
    assert 128 <= found <= 20_000_000
    assert found == KNOWN.get(model_type, found)


def test_the_text_part_of_a_nested_config_counts() -> None:
    from transformers import Gemma3Config

    config = Gemma3Config(text_config={"max_position_embeddings": 512, "eos_token_id": 7})
    assert not hasattr(config, "max_position_embeddings")
    assert context_of(config, UNBOUNDED, None, where="") == 512
    assert text_config(config).eos_token_id == 7


@pytest.mark.parametrize("limit", [int(1e30), 1e30, 2**63, -1, 0, None, True])
def test_no_bound_of_a_tokenizer_is_a_context(limit: object) -> None:
    bare, tokenizer = CONFIG_MAPPING["mamba"](), SimpleNamespace(model_max_length=limit)
    with pytest.raises(UsageError, match="how many tokens it reads") as caught:
        context_of(bare, tokenizer, None, where="models: m")
    assert caught.value.where == "models: m"


def test_a_tokenizer_states_it_where_the_config_does_not() -> None:
    bare = CONFIG_MAPPING["mamba"]()
    assert context_of(bare, SimpleNamespace(model_max_length=2048), None, where="") == 2048
    asked = context_of(bare, SimpleNamespace(model_max_length=2048), 512, where="")
    assert asked == 512


def test_more_than_the_weights_have_is_refused(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path, tiny.tokenizer(), max_position_embeddings=512)
    assert tiny.load(folder).context_tokens == 512
    assert tiny.load(folder, context=100).context_tokens == 100
    with pytest.raises(UsageError, match="states 512 tokens") as caught:
        tiny.load(folder, context=513)
    assert caught.value.where == "models: tiny: context: 513"
    assert HfOptions(path="x", context=100).stated_context == 100


def test_a_nested_model_reads_its_context_and_ends_its_turn(tmp_path: Path) -> None:
    """A Gemma 3 with a vision part: context and end of turn are in ``text_config`` alone."""
    import torch
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    from ragbench.models.local.generation import turn_ends

    tokens = tiny.tokenizer()
    text = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 16}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "sliding_window": 16}
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    patches = {"num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    config = Gemma3Config(
        text_config=text
        | heads
        | ends
        | {"vocab_size": len(tokens), "max_position_embeddings": 512},
        vision_config=vision | patches,
        mm_tokens_per_image=4,
        boi_token_index=5,
        eoi_token_index=6,
        image_token_index=7,
    )
    torch.manual_seed(0)
    Gemma3ForConditionalGeneration(config).save_pretrained(tmp_path)
    tokens.save_pretrained(tmp_path)
    model = tiny.load(tmp_path)
    assert model.context_tokens == 512
    assert 2 in turn_ends(model._model, SimpleNamespace(eos_token_id=None, get_vocab=dict))
    prompt = "word " * 30 + "Answer:"
    shared = model.score_options(prompt, ["iron", "vitamin C", "zinc"])
    whole = model.score_options(prompt, ["iron", "vitamin C", "zinc"], reuse=False)
    assert shared.log_likelihoods == pytest.approx(whole.log_likelihoods, abs=1e-3)
