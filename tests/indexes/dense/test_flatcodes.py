"""Files written block by block, against those that FAISS writes of the same index in memory."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from ragbench.corpora.corpus import Corpus
from ragbench.indexes.build import build_index
from ragbench.indexes.built import folder_of, is_built, read_manifest
from ragbench.indexes.dense import embeddings, flatcodes
from ragbench.indexes.dense.ann import new_index
from ragbench.indexes.dense.embeddings import Embeddings
from ragbench.indexes.dense.encoders import EncoderCard
from tests.indexes import encoder_models

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
WORDS = np.array(encoder_models.WORDS)


@pytest.fixture
def stored(home: Path, corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch) -> Embeddings:
    """Vectors of 150 passages in shards of 64."""
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 64)
    generator = np.random.default_rng(2)
    texts = {f"d{i}": " ".join(generator.choice(WORDS, 6)) for i in range(150)}
    model = encoder_models.static(home / "static", seed=3)
    found = Embeddings(corpus_of("some", texts), EncoderCard(model=str(model)), "cpu")
    found.make()
    return found


@pytest.mark.parametrize("metric", ["inner-product", "l2"])
@pytest.mark.parametrize("factory", ["Flat", "SQ8", "SQfp16", "SQ4", "SQ6"])
def test_the_file_is_the_one_that_faiss_writes(
    stored: Embeddings, tmp_path: Path, factory: str, metric: str
) -> None:
    vectors = stored.rows(range(150))
    whole, empty = (new_index(faiss, factory, 16, metric) for _ in range(2))
    for index in (whole, empty):
        index.train(vectors)
    whole.add(vectors)
    faiss.write_index(whole, str(tmp_path / "theirs"))
    head = flatcodes.header(faiss, empty, 150)
    assert head is not None
    flatcodes.write(empty, head, stored, tmp_path / "ours")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert sorted(path.name for path in tmp_path.glob("*ours*")) == ["ours"]


@pytest.mark.parametrize("there", [0, 3, 60, 64 * 64, 64 * 64 + 300, 10**6])
@pytest.mark.parametrize("is_of_this", [True, False])
def test_a_half_file_goes_on_after_its_last_whole_shard(
    stored: Embeddings, tmp_path: Path, there: int, is_of_this: bool
) -> None:
    """Bytes of a file that was cut anywhere; and the same of another index, which is not taken."""
    index = new_index(faiss, "Flat", 16, "inner-product")
    head = flatcodes.header(faiss, index, 150)
    assert head is not None
    flatcodes.write(index, head, stored, tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    other = new_index(faiss, "Flat", 16, "l2")
    begun = whole if is_of_this else faiss.serialize_index(other).tobytes() + whole
    (tmp_path / ".again.half").write_bytes(begun[:there])
    flatcodes.write(index, head, stored, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == whole


@pytest.mark.parametrize("factory", ["IVF2,Flat", "HNSW8", "PQ4x4", "SQ8,RFlat", "PCA8,Flat"])
def test_other_kinds_are_filled_in_memory(stored: Embeddings, factory: str) -> None:
    index = new_index(faiss, factory, 16, "l2")
    index.train(stored.rows(range(150)))
    assert flatcodes.header(faiss, index, 150) is None


def test_an_index_with_vectors_in_it_has_no_such_header() -> None:
    index = new_index(faiss, "Flat", 16, "l2")
    index.add(np.ones((1, 16), dtype=np.float32))
    assert flatcodes.header(faiss, index, 150) is None


KILLED = """
import os, signal
from ragbench.indexes.dense import embeddings
from ragbench.indexes.build import build_index
from ragbench.indexes.dense.embeddings import Embeddings

embeddings.SHARD_ROWS = 64
shards = Embeddings.shards

def killed(self):
    for start, vectors in shards(self):
        if start == 128:
            os.kill(os.getpid(), signal.SIGKILL)
        yield start, vectors

Embeddings.shards = killed
build_index("plain", "some", device="cpu")
"""


@pytest.mark.parametrize("factory", ["Flat", pytest.param("SQ8", marks=pytest.mark.slow)])
def test_a_build_killed_in_adding_goes_on_and_ends_the_same(
    stored: Embeddings, home: Path, factory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "indexes" / "plain.yaml").write_text(
        f"kind: faiss\nfactory: {factory}\nmin_recall: 0\nencoder: {{model: {home}/static}}\n"
    )
    whole = build_index("plain", "some", name="whole", device="cpu").sums
    done = subprocess.run([sys.executable, "-c", KILLED], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not is_built("plain-some")
    (half,) = (home / "indexes").glob(".plain-some.*/.index.faiss.half")
    assert half.stat().st_size > 128 * 16
    written: list[int] = []
    kind = type(new_index(faiss, factory, 16, "l2"))
    encode = kind.sa_encode

    def counted(self: Any, block: np.ndarray) -> Any:
        written.append(len(block))
        return encode(self, block)

    monkeypatch.setattr(kind, "sa_encode", counted)
    build_index("plain", "some", device="cpu")
    assert written == [150 - 128]
    assert read_manifest("plain-some").sums == whole
    assert not list(folder_of("plain-some").glob(".*half"))
