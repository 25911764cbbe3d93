"""Builds of FAISS indexes that were stopped or killed go on, and end the same."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from ragbench.base.errors import PrerequisiteError
from ragbench.corpora.corpus import Corpus
from ragbench.indexes import storage
from ragbench.indexes.build import build_index
from ragbench.indexes.built import folder_of, is_built, open_index, read_manifest
from ragbench.indexes.dense import embeddings
from ragbench.indexes.dense import index as dense
from tests.indexes.dense_recipes import (
    MINILM,
    Counted,
    many_texts,
    short_texts,
    vectors_of,
    write_recipe,
)

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
KILLED = """
import os, signal
from ragbench.indexes.dense import embeddings
from ragbench.indexes.build import build_index
from ragbench.indexes.dense.encoders import Encoder

embeddings.SHARD_ROWS = 16
encode, seen = Encoder.passages, []

def passages(self, texts):
    if len(seen) >= 34:
        os.kill(os.getpid(), signal.SIGKILL)
    seen.extend(texts)
    return encode(self, texts)

Encoder.passages = passages
build_index("minilm", "half", device="cpu")
"""


def test_a_stopped_build_goes_on_from_its_shards(
    home: Path, corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch, counted: Counted
) -> None:
    corpus_of("half", short_texts(36))
    recipe = write_recipe(home)
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 16)  # 16 + 16 + 4, two texts at a time
    build_index(recipe, "half", name="whole", device="cpu")
    (kept,) = storage.kept()
    storage.remove(kept)

    counted.texts, counted.stop_at = [], 34
    with pytest.raises(KeyboardInterrupt):
        build_index(recipe, "half", name="stopped", device="cpu")
    assert not is_built("stopped")
    assert not folder_of("stopped").exists()
    assert len(counted.texts) == 34  # the first two shards, 32 texts, are on disk

    counted.texts, counted.stop_at = [], 1000
    build_index(recipe, "half", name="stopped", device="cpu")
    assert counted.texts == list(short_texts(36).values())[32:]
    np.testing.assert_array_equal(vectors_of("stopped"), vectors_of("whole"))
    assert sorted(p.name for p in folder_of("stopped").iterdir()) == [dense.INDEX, "manifest.json"]
    assert not list((home / "indexes").glob("*.building"))


@pytest.mark.slow
def test_a_build_that_was_killed_goes_on_in_another_process(
    home: Path, corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch, counted: Counted
) -> None:
    """Kill -9 in the third shard: its lock is free, and the two whole shards are kept.

    What is built in the end is, to the byte, what was never stopped.
    """
    corpus_of("half", short_texts(36))
    recipe = write_recipe(home)
    done = subprocess.run([sys.executable, "-c", KILLED], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not is_built("minilm-half")
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 16)
    build_index(recipe, "half", device="cpu")
    assert counted.texts == list(short_texts(36).values())[32:]
    assert vectors_of("minilm-half").shape == (36, 384)
    assert open_index("minilm-half", device="cpu").search(["gout"], 1)[0]
    storage.remove(storage.kept()[0])
    build_index(recipe, "half", name="whole", device="cpu")
    manifests = [read_manifest(name) for name in ("minilm-half", "whole")]
    assert manifests[0].sums == manifests[1].sums
    assert manifests[0].digest == manifests[1].digest


def test_a_device_that_is_not_here_leaves_the_shards_of_a_stopped_build(
    home: Path, corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch, counted: Counted
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    corpus_of("half", short_texts(10))
    recipe = write_recipe(home)
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 8)
    counted.stop_at = 9
    with pytest.raises(KeyboardInterrupt):
        build_index(recipe, "half", device="cpu")
    with pytest.raises(PrerequisiteError):
        build_index(recipe, "half", device="cuda")
    (shard,) = (home / "indexes" / ".embeddings").glob("*/*.npy")
    assert np.load(shard).shape == (8, 384)


def test_a_shard_of_another_length_is_not_taken(
    home: Path, corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch, counted: Counted
) -> None:
    """What a version with shorter shards has left would shift every row after it."""
    corpus_of("half", short_texts(10))
    recipe = write_recipe(home)
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 8)
    counted.stop_at = 9
    with pytest.raises(KeyboardInterrupt):
        build_index(recipe, "half", name="stopped", device="cpu")
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 16)
    counted.texts, counted.stop_at = [], 1000
    build_index(recipe, "half", name="stopped", device="cpu")
    assert counted.texts == list(short_texts(10).values())
    assert vectors_of("stopped").shape == (10, 384)


def test_a_second_recipe_over_the_same_vectors_does_not_embed_again(
    home: Path, corpus_of: CorpusOf, counted: Counted
) -> None:
    corpus_of("few", short_texts(20))
    build_index(write_recipe(home), "few", device="cpu")
    assert len(counted.texts) == 20
    encoder = {"model": MINILM, "dtype": "float32", "query_prefix": "query: ", "batch_size": 7}
    build_index(write_recipe(home, "other", factory="HNSW8", encoder=encoder), "few", device="cpu")
    assert len(counted.texts) == 20
    np.testing.assert_array_equal(vectors_of("other-few"), vectors_of("minilm-few"))
    assert len(storage.kept()) == 1


@pytest.mark.parametrize(
    ("factory", "stage"),
    [
        pytest.param("IVF8,SQ8", "train", marks=pytest.mark.slow),
        pytest.param("IVF8,SQ8", "add", marks=pytest.mark.slow),
        *(
            pytest.param(factory, "add", marks=pytest.mark.slow)
            for factory in ("HNSW8", "L2norm,HNSW8", "HNSW8,RFlat")
        ),
    ],
)
def test_a_build_killed_at_faiss_goes_on_and_ends_the_same(
    home: Path,
    corpus_of: CorpusOf,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    factory: str,
) -> None:
    """Shards of 50 vectors, a checkpoint after each; killed after training, or after three."""
    graph = "HNSW" in factory
    if graph and stage == "train":
        pytest.skip("a graph is not trained")
    corpus_of("some", many_texts(400))
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 50)
    recipe = write_recipe(home, "stopped", factory=factory, min_recall=0)
    whole = build_index(recipe, "some", device="cpu").sums["index.faiss"]
    shutil.rmtree(home / "indexes" / "stopped-some")
    shutil.rmtree(home / "indexes" / ".embeddings")
    code = (
        "import os, signal, sys\n"
        "from ragbench.indexes import build\n"
        "from ragbench.indexes.dense import ann, embeddings\n"
        "embeddings.SHARD_ROWS, ann.CHECKPOINT_S = 50, -1\n"
        "real, left = ann.write_index, int(sys.argv[1])\n"
        "def write_index(faiss, index, path):\n"
        "    global left\n"
        "    real(faiss, index, path)\n"
        "    left -= 1\n"
        "    if left == 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    print(path.name, index.ntotal, flush=True)\n"
        "ann.write_index = write_index\n"
        "build.build_index('stopped', 'some', device='cpu')\n"
    )
    stop = "1" if stage == "train" else "4"
    killed = subprocess.run([sys.executable, "-c", code, stop], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert not is_built("stopped-some")
    done = subprocess.run([sys.executable, "-c", code, "-1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = done.stdout.split("\n")[0]
    assert written == (
        "adding.faiss 50" if stage == "train" else f"adding.faiss {250 if graph else 200}"
    )
    manifest = read_manifest("stopped-some")
    assert manifest.sums["index.faiss"] == whole
    assert set(manifest.sums) == {"index.faiss", "recall_queries.npz"}
