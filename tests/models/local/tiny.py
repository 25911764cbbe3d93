"""Models of two layers with random weights and a tokenizer of one token per character."""

from __future__ import annotations

from pathlib import Path
from string import ascii_letters, digits, punctuation
from typing import Any

import torch

from ragbench.models.local.hf import HfModel
from ragbench.models.spec import ModelSpec

SPECIAL = ["<unk>", "<s>", "</s>", "<think>", "</think>"]
CHARACTERS = [*SPECIAL, *sorted({*ascii_letters, *digits, *punctuation, " ", "\n"})]


def tokenizer(template: str | None = None, merges: tuple[tuple[str, str], ...] = ()) -> Any:
    """Return a tokenizer of single characters, and of these pairs of them."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    vocab = {token: place for place, token in enumerate([*CHARACTERS, *(a + b for a, b in merges)])}
    made = Tokenizer(models.BPE(vocab=vocab, merges=list(merges), unk_token="<unk>"))
    made.decoder = decoders.Fuse()
    made.add_special_tokens(["<unk>", "<s>", "</s>"])
    made.add_tokens(["<think>", "</think>"])
    makes: Any = PreTrainedTokenizerFast
    found = makes(tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    found.chat_template = template
    return found


def llama(folder: Path, tokens: Any, **config: Any) -> Path:
    """Save a Llama of two layers and return its folder."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    made = LlamaConfig(
        **{"vocab_size": len(tokens), "max_position_embeddings": 2048}
        | sizes
        | heads
        | ends
        | config
    )
    LlamaForCausalLM(made).save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def load(folder: Path, **keys: Any) -> HfModel:
    """Return the model of a folder in float32 on the processor."""
    entry = {"name": "tiny", "path": str(folder), "dtype": "float32", "device": "cpu", **keys}
    return HfModel(ModelSpec.model_validate(entry))
