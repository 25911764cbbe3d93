"""Sentence vectors in FAISS.

Embedding writes shards to disk, so that a killed build goes on where it stopped. What is saved
is always the CPU form of the index; a GPU, where there is one, gets a copy at opening.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from ragbench.corpora.store import Corpus
from ragbench.devices import Device
from ragbench.errors import DataError, PrerequisiteError, first_line
from ragbench.files import atomic_file
from ragbench.indexes.encoders import Encoder, EncoderCard, Vectors
from ragbench.indexes.retriever import Recipe, Rows, Scores, passage_text, top_hits
from ragbench.progress import Progress, stage
from ragbench.records import Hit

SHARD_ROWS = 8192
INDEX = "index.faiss"
GPU_MAX_K = 2048


class DenseRecipe(Recipe):
    """The options of a FAISS index; each is part of the index's identity."""

    factory: Literal["Flat"] = "Flat"
    metric: Literal["inner-product"] = "inner-product"
    encoder: EncoderCard

    def encoder_digest(self) -> str | None:
        """Return the digest of the encoder's weights."""
        return self.encoder.digest()


def import_faiss() -> Any:
    """Return the faiss module.

    Returns:
        The module of faiss-cpu or faiss-gpu.

    Raises:
        PrerequisiteError: Neither is installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise PrerequisiteError(
            f"FAISS cannot be imported: {error}",
            fix="pip install faiss-cpu, or faiss-gpu on a machine with an NVIDIA GPU",
        ) from None
    return faiss


def gpu_count(faiss: Any) -> int:
    """Return how many GPUs this FAISS can use; 0 for faiss-cpu."""
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


class DenseIndex:
    """An open FAISS index and its encoder."""

    Options: ClassVar[type[Recipe]] = DenseRecipe

    def __init__(self, index: Any, encoder: Encoder, corpus: Corpus, *, on_gpu: bool) -> None:
        self.corpus = corpus
        self.metric = "inner-product"
        self._index = index
        self._encoder = encoder
        self._on_gpu = on_gpu

    @classmethod
    def build(cls, recipe: Recipe, corpus: Corpus, work: Path, device: Device) -> dict[str, Any]:
        """Embed the corpus in shards and write the FAISS index.

        Args:
            recipe: A DenseRecipe.
            corpus: What is indexed.
            work: The folder to fill; shards that a killed build left there are kept.
            device: Where the encoder computes.

        Returns:
            Facts for the manifest.
        """
        faiss = import_faiss()
        options = DenseRecipe.model_validate(recipe.model_dump())
        encoder = Encoder(options.encoder, device)
        if device == "cuda":
            _require_gpu(faiss)
        shards = work / f"embeddings-{encoder.dtype}"
        index: Any = None
        with stage(f"index over {corpus.name}: embedding", len(corpus)) as progress:
            for start in range(0, len(corpus), SHARD_ROWS):
                vectors = _shard(encoder, corpus, shards, start, progress)
                if index is None:
                    index = faiss.IndexFlatIP(vectors.shape[1])
                index.add(vectors)
        faiss.write_index(index, str(work / INDEX))
        for folder in work.glob("embeddings-*"):
            shutil.rmtree(folder)  # a flat index holds the very vectors
        return {"dimension": index.d, "n_vectors": index.ntotal, "dtype": encoder.dtype}

    @classmethod
    def open(
        cls, folder: Path, recipe: Recipe, facts: dict[str, Any], corpus: Corpus, device: Device
    ) -> DenseIndex:
        """Open the index on the device.

        Args:
            folder: The built index.
            recipe: A DenseRecipe.
            facts: What ``build`` returned.
            corpus: What was indexed.
            device: ``cuda`` copies the index to the GPU; ``auto`` does so where there is one.

        Returns:
            The open index.

        Raises:
            DataError: The file is not the index that the manifest describes.
        """
        faiss = import_faiss()
        options = DenseRecipe.model_validate(recipe.model_dump())
        try:
            index = faiss.read_index(str(folder / INDEX))
        except RuntimeError as error:
            raise DataError(
                f"the FAISS index cannot be read: {first_line(error)}",
                where=str(folder / INDEX),
                fix="build it again with `ragbench index build ... --replace`",
            ) from None
        if index.ntotal != len(corpus) or index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise DataError(
                f"the FAISS index holds {index.ntotal:,} vectors for {len(corpus):,} passages, "
                f"or another metric than {options.metric}",
                where=str(folder / INDEX),
                fix="build it again with `ragbench index build ... --replace`",
            )
        # In bfloat16 a query's vector would depend on the queries that share its batch.
        encoder = Encoder(options.encoder, device, "float32")
        on_gpu = device == "cuda" or (device == "auto" and gpu_count(faiss) > 0)
        if on_gpu:
            _require_gpu(faiss)
            index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)
        return cls(index, encoder, corpus, on_gpu=on_gpu)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Return the k nearest passages a query.

        Args:
            queries: The texts.
            k: How many hits are wanted.

        Returns:
            One list a query: inner product descending, ties by passage id ascending.
        """
        if not queries:
            return []
        vectors = self._encoder.queries(queries)

        def ask(places: Sequence[int], size: int) -> tuple[Scores, Rows]:
            if self._on_gpu:
                size = min(size, GPU_MAX_K)
            scores, rows = self._index.search(vectors[list(places)], size)
            return scores, rows

        return top_hits(self.corpus, len(queries), k, ask)


def _require_gpu(faiss: Any) -> None:
    if gpu_count(faiss) == 0:
        raise PrerequisiteError(
            "the installed FAISS has no GPU support, or sees no GPU",
            fix="pip uninstall faiss-cpu, then pip install faiss-gpu; `ragbench doctor` shows both",
        )


def _shard(
    encoder: Encoder, corpus: Corpus, folder: Path, start: int, progress: Progress
) -> Vectors:
    """Return the vectors of one shard, from disk if a killed build has left them."""
    stop = min(start + SHARD_ROWS, len(corpus))
    path = folder / f"{start:012d}.npy"
    if path.is_file():
        kept = np.asarray(np.load(path), dtype=np.float32)
        if len(kept) == stop - start:  # else left by a version with shards of another length
            progress.advance(stop - start)
            return kept
    parts: list[Vectors] = []
    for low in range(start, stop, SHARD_ROWS // 8):
        rows = range(low, min(low + SHARD_ROWS // 8, stop))
        passages = (corpus[row] for row in rows)
        texts = [passage_text(encoder.card.template, p.title, p.text) for p in passages]
        parts.append(encoder.passages(texts))
        progress.advance(len(rows))
    vectors = np.concatenate(parts)
    with atomic_file(path) as handle:
        np.save(handle, vectors)
    return vectors
