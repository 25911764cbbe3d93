"""Vectors that several processes made in shards build the index that one process builds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ragbench.base.errors import DataError, UsageError
from ragbench.base.files import locked
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.indexes import storage
from ragbench.indexes.build import build_index
from ragbench.indexes.built import read_manifest
from ragbench.indexes.dense import embeddings
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.embed import all_embeddings, embed
from ragbench.indexes.loading import load_recipe
from tests.indexes.dense_recipes import MINILM, Counted, short_texts, write_recipe

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]


@pytest.fixture
def recipe(home: Path, corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch) -> str:
    """A recipe over 36 texts, whose vectors are files of 8 + 8 + 8 + 8 + 4 rows."""
    corpus_of("half", short_texts(36))
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 8)
    return write_recipe(home)


def test_shards_in_any_order_build_the_index_of_one_process(
    home: Path, recipe: str, counted: Counted
) -> None:
    """Shard 2/3 is killed in its second file and repeated; shard 1/3 is made in another home."""
    build_index(recipe, "half", name="whole", device="cpu")
    (kept,) = storage.kept()
    storage.remove(kept)

    texts = list(short_texts(36).values())
    counted.texts, counted.stop_at = [], 8
    with pytest.raises(KeyboardInterrupt):
        embed(recipe, "half", shard=2, shards=3, device="cpu")
    counted.stop_at = 1000
    (again,) = embed(recipe, "half", shard=2, shards=3, device="cpu")
    assert (again.n_passages, again.n_encoded) == (12, 4)  # rows 8 to 15, then 32 to 35
    (last,) = embed(recipe, "half", shard=3, shards=3, device="cpu")
    assert (last.n_passages, last.n_encoded) == (8, 8)
    assert counted.texts == [*texts[8:16], *texts[32:], *texts[16:24]]

    with pytest.raises(DataError, match=r"16 of 36 passages are missing .*: shards 1/3") as caught:
        build_index(recipe, "half", device="cpu", embedded=True)
    assert caught.value.fix.startswith(f"ragbench embed {recipe} --corpus half --shard 1/3")

    here = kept.folder
    elsewhere = here.with_name("elsewhere")
    here.rename(elsewhere)
    embed(recipe, "half", shard=1, shards=3, device="cpu")
    shutil.copytree(elsewhere, here, dirs_exist_ok=True)
    shutil.rmtree(elsewhere)
    counted.texts = []
    build_index(recipe, "half", device="cpu", embedded=True)
    assert counted.texts == []
    whole, parts = read_manifest("whole"), read_manifest(f"{recipe}-half")
    assert (parts.digest, parts.sums, parts.facts) == (whole.digest, whole.sums, whole.facts)


def test_a_build_encodes_what_no_shard_has_made(home: Path, recipe: str, counted: Counted) -> None:
    embed(recipe, "half", shard=1, shards=2, device="cpu")
    counted.texts = []
    build_index(recipe, "half", device="cpu")
    texts = list(short_texts(36).values())
    assert counted.texts[:16] == [*texts[8:16], *texts[24:32]]
    assert len(counted.texts) == 16


def test_more_shards_than_files_leave_some_without_work(recipe: str) -> None:
    found = [embed(recipe, "half", shard=part, shards=7, device="cpu")[0] for part in (5, 6, 5)]
    assert [(one.n_passages, one.n_encoded) for one in found] == [(4, 4), (0, 0), (4, 0)]


def test_a_shard_that_is_being_made_is_refused_and_keeps_its_folder(recipe: str) -> None:
    (stored,) = all_embeddings(load_recipe(recipe), open_corpus("half"), "cpu")
    embed(recipe, "half", shard=1, shards=2, device="cpu")
    with locked(stored.folder.with_name(f"{stored.digest}.1-of-2"), what="shard 1"):
        with pytest.raises(DataError, match=r"shard 1/2 .* another process"):
            embed(recipe, "half", shard=1, shards=2, device="cpu")
        with pytest.raises(DataError, match="another process"):
            build_index(recipe, "half", device="cpu")
        with pytest.raises(DataError, match="another process"):
            storage.remove(storage.kept()[0])
    assert stored.verify() == [8, 24]


def test_vectors_in_the_format_of_another_machine_are_used(
    recipe: str, counted: Counted, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    """A GPU makes bfloat16; the processor that builds the index would choose float32."""
    encoder = {"model": MINILM, "dtype": "auto"}
    name = write_recipe(home, "auto", encoder=encoder)
    monkeypatch.setattr(embeddings, "pick_dtype", lambda wanted, device: "bfloat16")
    for part in (1, 2):
        embed(name, "half", shard=part, shards=2, device="cpu")
    monkeypatch.setattr(embeddings, "pick_dtype", lambda wanted, device: "float32")
    counted.texts = []
    manifest = build_index(name, "half", device="cpu", embedded=True)
    assert counted.texts == []
    assert manifest.facts["dtype"] == "bfloat16"
    # What a plain build of another machine has made is not taken.
    (kept,) = storage.kept()
    about = json.loads((kept.folder / "about.json").read_text())
    del about["shards"]
    (kept.folder / "about.json").write_text(json.dumps(about))
    (stored,) = all_embeddings(load_recipe(name), open_corpus("half"), "cpu")
    assert stored.dtype == "float32"
    assert stored.verify() == [0, 8, 16, 24, 32]


def test_a_recipe_without_an_encoder_is_refused(home: Path, recipe: str) -> None:
    with pytest.raises(UsageError, match="encodes no passages"):
        embed("bm25", "half")


def test_the_parts_of_a_recipe_are_embedded_once(home: Path, recipe: str) -> None:
    both = [recipe, write_recipe(home, "other", factory="SQ8"), "bm25"]
    text = json.dumps({"kind": "hybrid", "parts": both})
    (home / "indexes" / "both.yaml").write_text(text, encoding="utf-8")
    (stored,) = all_embeddings(load_recipe("both"), open_corpus("half"), "cpu")
    assert stored.digest == Embeddings(stored.corpus, stored.card, "cpu").digest
