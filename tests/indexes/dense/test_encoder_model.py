"""Loaded models against plain transformers and numpy, with small models of random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import BoW
from transformers import AutoModel, AutoTokenizer

from ragbench.base.errors import PrerequisiteError, UsageError
from ragbench.indexes.dense.encoder_model import EncoderModel, Pooling, Text, Vectors
from tests.indexes import encoder_models

TEXTS = ["acute gout of the foot", "fever", "", "pain and rash and pain of the hand : aspirin"]
PAIRS = [("gout", "acute pain of the foot"), ("", "fever and rash"), ("code : gout", "")]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encoder_models.bert(tmp_path_factory.mktemp("bert"), seed=1)


def load(folder: Path, pooling: Pooling = "auto", max_tokens: int = 64) -> EncoderModel:
    return EncoderModel(
        str(folder),
        None,
        pooling=pooling,
        max_tokens=max_tokens,
        device_name="cpu",
        dtype="float32",
    )


def by_hand(folder: Path, texts: list[Any], pooling: str, max_tokens: int) -> Vectors:
    """One text at a time, so without padding, as the cards of such models on the hub do it."""
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    found = []
    for text in texts:
        given = list(text) if isinstance(text, tuple) else text
        coded = tokenizer([given], truncation=True, max_length=max_tokens, return_tensors="pt")
        with torch.no_grad():
            states = model(**coded).last_hidden_state[0]
        found.append((states[0] if pooling == "cls" else states.mean(0)).numpy())
    return np.stack(found)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("texts", [TEXTS, PAIRS], ids=["texts", "pairs"])
@pytest.mark.parametrize("max_tokens", [64, 8])
def test_pooled_states_are_those_of_transformers(
    bert: Path, pooling: Pooling, texts: list[Text], max_tokens: int
) -> None:
    found = load(bert, pooling).encode(texts, max_tokens=max_tokens, budget=1000)
    expected = by_hand(bert, texts, pooling, max_tokens)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_a_plain_transformer_is_pooled_by_the_mean(bert: Path) -> None:
    found = load(bert).encode(TEXTS, max_tokens=64, budget=1000)
    np.testing.assert_allclose(found, by_hand(bert, TEXTS, "mean", 64), atol=2e-5)


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 20), min_size=1, max_size=12),
    budget=st.integers(1, 200),
    seed=st.integers(0, 100),
)
def test_a_vector_does_not_hang_on_its_batch_or_place(
    bert: Path, lengths: list[int], budget: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    texts = [" ".join(generator.choice(encoder_models.WORDS, length)) for length in lengths]
    model = _cached(bert)
    together = model.encode(texts, max_tokens=64, budget=budget)
    alone = [model.encode([text], max_tokens=64, budget=1000)[0] for text in texts]
    np.testing.assert_allclose(together, np.stack(alone), atol=2e-5)


LOADED: dict[Path, EncoderModel] = {}


def _cached(folder: Path) -> EncoderModel:
    return LOADED.setdefault(folder, load(folder))


def test_a_static_embedding_is_the_mean_of_its_words_vectors(tmp_path: Path) -> None:
    folder = encoder_models.static(tmp_path / "static", seed=3)
    model = load(folder)
    weights = load_file(folder / "model.safetensors")["embedding.weight"]
    row_of = {word: i for i, word in enumerate(["[UNK]", *encoder_models.WORDS])}
    words = "gout of the unheard foot".split()
    rows = [row_of.get(word, 0) for word in words]
    found = model.encode([" ".join(words), "fever"], max_tokens=100, budget=10)
    np.testing.assert_allclose(found[0], weights[rows].mean(0), atol=1e-6)
    np.testing.assert_allclose(found[1], weights[row_of["fever"]], atol=1e-6)
    cut = model.encode([" ".join(words)], max_tokens=2, budget=10)
    np.testing.assert_allclose(cut[0], weights[rows[:2]].mean(0), atol=1e-6)
    assert model.lengths([" ".join(words), ""], 3) == [3, 0]
    np.testing.assert_array_equal(model.encode([""], max_tokens=8, budget=8), np.zeros((1, 16)))


def test_a_model_of_another_kind_goes_through_its_own_encode(tmp_path: Path) -> None:
    """Counts of words: neither a transformer nor a static embedding."""
    bag = SentenceTransformer(modules=[BoW(vocab=["gout", "fever", "rash"])], device="cpu")
    bag.save(str(tmp_path / "bag"), create_model_card=False)
    found = load(tmp_path / "bag").encode(
        ["gout and gout", "rash or fever"], max_tokens=64, budget=64
    )
    np.testing.assert_array_equal(found, [[2, 0, 0], [0, 1, 1]])


def test_no_texts_are_no_vectors_of_its_length(bert: Path) -> None:
    assert _cached(bert).encode([], max_tokens=64, budget=64).shape == (0, 32)
    assert _cached(bert).dimension == 32


def test_lengths_count_the_models_own_tokens(bert: Path) -> None:
    assert _cached(bert).lengths(["gout fever", ""], 64) == [4, 2]
    assert _cached(bert).lengths([("gout", "fever rash")], 64) == [6]
    assert _cached(bert).lengths(["gout " * 90], 64) == [64]


def test_more_tokens_than_positions_are_refused(bert: Path) -> None:
    with pytest.raises(UsageError, match="more than the 64 tokens") as caught:
        load(bert, max_tokens=65)
    assert "max_tokens: 64" in caught.value.fix


def test_pooling_of_what_is_no_transformer_is_refused(tmp_path: Path) -> None:
    folder = encoder_models.static(tmp_path / "static", seed=3)
    with pytest.raises(UsageError, match="is of transformers"):
        load(folder, "cls")


def test_a_folder_without_a_model_is_a_prerequisite_error(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="cannot be loaded"):
        load(tmp_path)
