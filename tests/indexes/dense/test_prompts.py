"""Prompts that a model states: what sentence-transformers reads before a text, ragbench does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Router, Transformer

from ragbench.base.errors import UsageError
from ragbench.indexes.dense.encoders import Encoder, EncoderCard
from ragbench.indexes.dense.prompts import FILE, Prompts, own_prompts
from tests.indexes.encoder_models import bert, static

TEXTS = ["gout fever", "acute pain of the foot and hand", "rash"]
QUERY, DOCUMENT = "treatment of the : ", "chronic : "


def model(folder: Path, *, include: bool = True, **stated: Any) -> Path:
    """Write a small model as its authors would save one that wants prompts."""
    first = Transformer(str(bert(folder / "bert", 3)))
    pooling = Pooling(32, "mean", include_prompt=include)
    whole = SentenceTransformer(modules=[first, pooling], device="cpu")
    whole.save(str(folder / "model"), create_model_card=False)
    path = folder / "model" / FILE
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | stated))
    return folder / "model"


def card(folder: Path, **keys: Any) -> EncoderCard:
    return EncoderCard.model_validate(
        {"model": str(folder), "dtype": "float32", "max_tokens": 64, **keys}
    )


@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize(
    "prompts",
    [
        {"query": QUERY, "document": DOCUMENT},
        {"query": QUERY, "passage": DOCUMENT},
        {"query": QUERY},
        {"query": "", "document": ""},
    ],
)
def test_vectors_are_those_of_sentence_transformers(
    tmp_path: Path, include: bool, prompts: dict[str, str]
) -> None:
    folder = model(tmp_path, include=include, prompts=prompts, default_prompt_name=None)
    original = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    encoder = Encoder(card(folder), "cpu")
    options: dict[str, Any] = {"normalize_embeddings": True, "show_progress_bar": False}
    wanted = original.encode_query(TEXTS, **options)
    np.testing.assert_allclose(encoder.queries(TEXTS), wanted, atol=1e-5)
    passages = encoder.passages(TEXTS)
    wanted = original.encode_document(TEXTS, **options)
    if "passage" in prompts:  # encode_document prefers an empty `document` of its own
        wanted = original.encode(TEXTS, prompt=DOCUMENT, **options)
    np.testing.assert_allclose(passages, wanted, atol=1e-5)
    if prompts["query"]:
        plain = Encoder(card(folder, query_prefix="", passage_prefix=""), "cpu")
        assert np.abs(plain.queries(TEXTS) - encoder.queries(TEXTS)).max() > 1e-3


@pytest.mark.parametrize(
    ("prompts", "default", "found"),
    [
        ({"query": QUERY}, "query", Prompts(QUERY, "")),
        ({"ask": QUERY}, "ask", Prompts(QUERY, QUERY)),
        ({"query": "q", "corpus": "c", "sts": "s"}, None, Prompts("q", "c", ("sts",))),
        ({"web_search_query": "q"}, "web_search_query", Prompts("q", "")),
        ({"passage": "p"}, "passage", Prompts("", "p")),
        ({"query": None}, None, Prompts()),
        ({}, None, Prompts()),
    ],
)
def test_each_side_has_its_prompt(
    tmp_path: Path, prompts: dict[str, str], default: str | None, found: Prompts
) -> None:
    stated = {"prompts": prompts, "default_prompt_name": default}
    (tmp_path / FILE).write_text(json.dumps(stated), encoding="utf-8")
    assert own_prompts(str(tmp_path), None) == found


@pytest.mark.parametrize("prompts", [{}, {"query": QUERY, "document": DOCUMENT}])
def test_a_model_with_two_routes_has_one_for_each_side(
    tmp_path: Path, prompts: dict[str, str]
) -> None:
    """A small static embedding for queries, and a BERT for passages, of one dimension."""
    query: Any = SentenceTransformer(
        str(static(tmp_path / "static", 1, dimension=32)), device="cpu"
    )
    first = Transformer(str(bert(tmp_path / "bert", 3)))
    router = Router.for_query_document(
        query_modules=list(query.children()), document_modules=[first, Pooling(32, "mean")]
    )
    whole = SentenceTransformer(modules=[router], device="cpu", prompts=prompts)
    folder = tmp_path / "routes"
    whole.save(str(folder), create_model_card=False)
    original = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    encoder = Encoder(card(folder), "cpu")
    options: dict[str, Any] = {"normalize_embeddings": True, "show_progress_bar": False}
    queries, passages = encoder.queries(TEXTS), encoder.passages(TEXTS)
    np.testing.assert_allclose(queries, original.encode_query(TEXTS, **options), atol=1e-5)
    np.testing.assert_allclose(passages, original.encode_document(TEXTS, **options), atol=1e-5)
    assert np.abs(queries - passages).max() > 0.1
    before = card(folder).digest()
    (weights,) = folder.glob("query_*/model.safetensors")
    (other,) = static(tmp_path / "other", 2, dimension=32).rglob("model.safetensors")
    weights.write_bytes(other.read_bytes())
    assert card(folder).digest() != before


def test_a_default_prompt_is_read_once(tmp_path: Path) -> None:
    folder = model(tmp_path, prompts={"query": QUERY}, default_prompt_name="query")
    original = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    encoder = Encoder(card(folder), "cpu")
    options: dict[str, Any] = {"normalize_embeddings": True, "show_progress_bar": False}
    wanted = original.encode(TEXTS, prompt=QUERY, **options)
    np.testing.assert_allclose(encoder.queries(TEXTS), wanted, atol=1e-5)
    np.testing.assert_allclose(
        encoder.passages(TEXTS), original.encode(TEXTS, prompt="", **options), atol=1e-5
    )


def test_prompts_are_part_of_the_identity(tmp_path: Path) -> None:
    folder = model(tmp_path, prompts={"query": QUERY, "document": DOCUMENT})
    own, none = card(folder), card(folder, query_prefix="", passage_prefix="")
    assert own.passage_digest() != none.passage_digest()
    assert len({own.digest(), none.digest(), card(folder, passage_prefix="").digest()}) == 3
    for one in (own, none):  # an index reads its card again
        assert EncoderCard.model_validate(one.model_dump()) == one
    silent = model(tmp_path / "silent", prompts={})
    assert card(silent).model_dump() == card(silent, query_prefix="").model_dump()
    assert card(silent).digest() == card(silent, query_prefix="", passage_prefix="").digest()


@pytest.mark.parametrize("stated", ["[1", '{"prompts": ["a"]}', '{"default_prompt_name": "x"}'])
def test_prompts_in_another_form_are_an_error(tmp_path: Path, stated: str) -> None:
    (tmp_path / FILE).write_text(stated, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        own_prompts(str(tmp_path), None)
    assert caught.value.where == str(tmp_path / FILE)
