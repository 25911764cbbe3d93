"""Recipes, cards and configs over two small corpora, each of them restricted or open."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from ragbench.experiment.config.config import load_config

ENCODER = {"model": "./encoder", "dtype": "float32"}
STORE = {"kind": "vectorstore", "encoder": ENCODER, "min_recall": 0}
RECIPES: dict[str, dict[str, Any]] = {  # those that send nothing
    "bm25": {"kind": "bm25"},
    "faiss": {"kind": "faiss", "encoder": ENCODER},
    "hybrid": {"kind": "hybrid", "parts": ["bm25", "faiss"]},
    "quota": {"kind": "quota", "of": "bm25", "quotas": {"a": 1, "b": 1}},
    "rerank": {"kind": "rerank", "first": "bm25", "depth": 2},
    "langchain": {
        "kind": "langchain",
        "factory": "reach_factory:local",
        "trust_code": True,
        "servers": [],
    },
    "in-memory": {**STORE, "store": "in-memory"},
    "qdrant": {**STORE, "store": "qdrant"},
    "chroma": {**STORE, "store": "chroma"},
}


def remote(url: str) -> dict[str, dict[str, Any]]:
    port = int(url.rpartition(":")[2])
    there = {"url": url, "trust_url": True}
    factory = {k: v for k, v in RECIPES["langchain"].items() if k != "servers"}
    factory |= {"options": {"port": port}}
    return {
        "qdrant there": {**STORE, "store": "qdrant", **there},
        "milvus there": {**STORE, "store": "milvus", **there},
        "langchain unknown": factory,
        "langchain there": {**factory, "servers": [url]},
        "hybrid": {"kind": "hybrid", "parts": ["bm25", "part"]},
        "quota": {"kind": "quota", "of": "part", "quotas": {"a": 1}},
        "rerank": {
            "kind": "rerank",
            "first": "part",
            "depth": 2,
            "reranker": {"model": "./reranker"},
        },
        "outside": {"kind": "leaky"},
        "outside, own recipe": {"kind": "leaky-own"},
    }


def write_recipe(home: Path, name: str, recipe: dict[str, Any]) -> None:
    (home / "indexes" / f"{name}.yaml").write_text(json.dumps(recipe))


def restrict(home: Path, *, corpus: bool) -> None:
    for name in "ab":
        card = {"reader": "jsonl", "path": f"{name}.jsonl"}
        card |= {"data_use": "restricted" if corpus else "open"}
        (home / "corpora" / f"{name}.yaml").write_text(json.dumps(card))


def config(home: Path, recipe: str, *, model: str = "", task: str, trusted: str = "") -> Any:
    corpus = "a--b" if recipe == "quota" else "a"
    use = "{path: asked.jsonl, data_use: " + task + "}"
    path = home / "reach.yaml"
    path.write_text(
        f"name: reach\nmodels: [{{name: m, {model or 'backend: scripted'}}}]\n"
        f"indexes: {{it: {{recipe: {recipe}, corpus: {corpus}}}}}\n"
        f"tasks: [{{name: asked, task: mcq, scoring: generate, reply_limit: 4, options: {use}}}]\n"
        "arms: [closed-book, {retriever: it, k: 1, name: found}]\n"
        f"trusted_endpoints: [{trusted}]\n"
    )
    return load_config(str(path))


def modes(folder: Path) -> set[tuple[str, str]]:
    return {
        ("folder" if path.is_dir() else "file", oct(stat.S_IMODE(path.lstat().st_mode)))
        for path in (folder, *folder.rglob("*"))
    }
