"""The cross-encoder against transformers, each pair scored alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.numpy import load_file, save_file
from sentence_transformers import CrossEncoder as SentenceTransformersCrossEncoder
from transformers import BertModel, RobertaConfig
from transformers import RobertaForSequenceClassification as Roberta

from ragbench.base.errors import BackendError, PrerequisiteError, UsageError
from ragbench.indexes.composite.cross_encoder import CrossEncoder, RerankerCard
from ragbench.indexes.dense.prompts import FILE
from tests.indexes.cross_encoders import (
    bert_config,
    save_cross_encoder,
    save_tokenizer,
    scored_alone,
)

WORDS = "gout fever cough rash asthma anemia sepsis stroke uric acid joint pain".split()
PAIRS = [
    (f"{a} and {b}", " ".join(WORDS[: 1 + (3 * i + j) % 12]) + f" {a}" * (i * j))
    for i, a in enumerate(WORDS[:6])
    for j, b in enumerate(WORDS[:5])
] + [("", "gout"), ("gout", ""), ("Ménière's disease?", "vertigo " * 90)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_cross_encoder(tmp_path_factory.mktemp("cross"))


def card(folder: Path, **keys: Any) -> RerankerCard:
    return RerankerCard.model_validate({"model": str(folder), **keys})


@pytest.mark.parametrize("keys", [{}, {"batch_tokens": 1}, {"max_tokens": 32}], ids=str)
def test_scores_are_those_of_each_pair_alone(folder: Path, keys: dict[str, int]) -> None:
    found = CrossEncoder(card(folder, **keys), "cpu").scores(PAIRS)
    expected = scored_alone(folder, PAIRS, keys.get("max_tokens", 512))
    assert found.dtype == np.float32
    assert np.std(expected) > 0.05  # or any order would do
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("default", ["query", None])
def test_the_default_prompt_is_read_before_the_query(tmp_path: Path, default: str | None) -> None:
    folder = save_cross_encoder(tmp_path / "model")
    before = card(folder).digest()
    plain = CrossEncoder(card(folder), "cpu").scores(PAIRS)
    stated = {"prompts": {"query": "Find the disease: "}, "default_prompt_name": default}
    (folder / FILE).write_text(json.dumps(stated), encoding="utf-8")
    original = SentenceTransformersCrossEncoder(
        str(folder), device="cpu", local_files_only=True, max_length=512, **stated
    )
    wanted = original.predict(PAIRS, activation_fn=torch.nn.Identity(), show_progress_bar=False)
    found = CrossEncoder(card(folder), "cpu").scores(PAIRS)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert (np.abs(found - plain).max() > 1e-3) == (default is not None)
    assert card(folder).digest() != before


def test_equal_pairs_have_equal_scores(folder: Path) -> None:
    """They would differ in the last digits if each were in another batch."""
    pairs = [pair for pair in PAIRS for _ in range(2)]
    found = CrossEncoder(card(folder, batch_tokens=512), "cpu").scores(pairs)
    np.testing.assert_array_equal(found[::2], found[1::2])
    assert CrossEncoder(card(folder), "cpu").scores([]).shape == (0,)


def test_a_query_is_cut_only_where_no_room_is_left_for_the_passage(folder: Path) -> None:
    """Of 32 tokens 3 are special and 8 are kept for the passage: 21 words of the query stay."""
    scorer = CrossEncoder(card(folder, max_tokens=32), "cpu")
    text = "fever " * 60
    long, cut, whole = ("heart " * 40, "heart " * 21, "heart " * 20)
    found = scorer.scores([(query, text) for query in (long, cut, whole)])
    expected = scored_alone(folder, [(cut.strip(), text), (whole, text)], 32)
    np.testing.assert_allclose(found, [expected[0], *expected], atol=1e-5)
    assert abs(expected[0] - expected[1]) > 1e-4


def test_bfloat16_is_near(folder: Path) -> None:
    found = CrossEncoder(card(folder, dtype="bfloat16"), "cpu").scores(PAIRS)
    expected = scored_alone(folder, PAIRS, 512)
    assert np.corrcoef(found, expected)[0, 1] > 0.98


def test_the_digest_is_that_of_the_weights(folder: Path, tmp_path: Path) -> None:
    other = save_cross_encoder(tmp_path / "other", seed=4)
    assert card(folder).digest() != card(other).digest()
    assert card(Path("owner/name"), revision="v1").digest() == "owner/name@v1"
    with pytest.raises(UsageError, match="no weights"):
        card(Path("/nowhere/at/all")).digest()


def test_what_is_no_cross_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="has 3 labels"):
        CrossEncoder(card(save_cross_encoder(tmp_path / "three", labels=3)), "cpu")
    torch.manual_seed(1)
    BertModel(bert_config(num_labels=1)).save_pretrained(save_tokenizer(tmp_path / "headless"))
    with pytest.raises(PrerequisiteError, match=r"has no weights .*classifier"):
        CrossEncoder(card(tmp_path / "headless"), "cpu")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PrerequisiteError, match="cannot be loaded"):
        CrossEncoder(card(tmp_path / "empty"), "cpu")
    with pytest.raises(PrerequisiteError, match="cannot be loaded") as caught:
        CrossEncoder(RerankerCard(model="nobody/no-such-reranker"), "cpu")
    assert "network" in caught.value.fix


def test_more_tokens_than_positions_are_refused(tmp_path: Path) -> None:
    bert = save_cross_encoder(tmp_path / "bert")
    CrossEncoder(card(bert, max_tokens=512), "cpu")
    with pytest.raises(UsageError, match="reads at most 512 tokens, not 513"):
        CrossEncoder(card(bert, max_tokens=513), "cpu")
    config = RobertaConfig(
        vocab_size=30522,
        max_position_embeddings=66,
        pad_token_id=1,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
    )
    config.num_labels = 1
    roberta = save_tokenizer(tmp_path / "roberta")
    Roberta(config).save_pretrained(roberta)
    scorer = CrossEncoder(card(roberta, max_tokens=64), "cpu")
    assert scorer.scores([("gout", "fever " * 200)]).shape == (1,)
    with pytest.raises(UsageError, match="reads at most 64 tokens, not 65"):
        CrossEncoder(card(roberta, max_tokens=65), "cpu")


def test_code_of_a_model_folder_is_not_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder may name Python files of its own; they would only run with trust_remote_code."""
    other = save_cross_encoder(tmp_path / "trap")
    config = json.loads((other / "config.json").read_text())
    config["model_type"] = "trap"
    config["auto_map"] = {
        "AutoConfig": "trap.TrapConfig",
        "AutoModelForSequenceClassification": "trap.Trap",
    }
    (other / "config.json").write_text(json.dumps(config))
    (other / "trap.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.setattr("builtins.input", lambda _: "y")  # nor is anybody asked whether it may
    with pytest.raises(PrerequisiteError, match="cannot be loaded"):
        CrossEncoder(card(other), "cpu")
    assert not (tmp_path / "ran").exists()


def test_a_score_that_is_not_finite_is_a_backend_error(tmp_path: Path) -> None:
    broken = save_cross_encoder(tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    weights["classifier.bias"][0] = np.nan
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BackendError, match="not finite for the query 'gout'"):
        CrossEncoder(card(broken), "cpu").scores([("gout", "fever")])


@pytest.mark.parametrize("keys", [{"max_tokens": 8}, {"batch_tokens": 0}, {"labels": 2}])
def test_cards_are_checked(keys: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        card(Path("x"), **keys)
