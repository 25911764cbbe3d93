"""Check of the recall of a built FAISS index without ragbench's own code.

The script reads the manifest, ``index.faiss``, the embedding shards and the saved queries. It
computes exact neighbours with NumPy and prints the recall of the manifest and its own.

    python scripts/check_ann_recall.py FOLDER/indexes/NAME
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import faiss
import numpy as np


def exact_scores(queries: np.ndarray, vectors: np.ndarray, metric: str) -> np.ndarray:
    """Return (Q, N) scores in double precision; nearer vectors have higher scores."""
    products = queries.astype(np.float64) @ vectors.astype(np.float64).T
    if metric != "l2":
        return products
    squares = (vectors.astype(np.float64) ** 2).sum(1)
    return 2 * products - squares - (queries.astype(np.float64) ** 2).sum(1)[:, None]


def seconds(index: faiss.Index, batches: list[np.ndarray]) -> float:
    """Return the seconds that a FAISS index takes for all batches, with 10 neighbours each."""
    started = time.perf_counter()
    for batch in batches:
        index.search(batch, 10)
    return time.perf_counter() - started


def main() -> None:
    """Compute and print the recall; exit with 1 if the figures differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", type=Path, help="folder of a built index")
    folder = parser.parse_args().index.resolve()
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    recipe, facts = manifest["recipe"], manifest["facts"]
    shards = sorted((folder.parent / ".embeddings" / facts["embeddings"]).glob("*.npy"))
    vectors = np.concatenate([np.load(path) for path in shards])
    index = faiss.read_index(str(folder / "index.faiss"))
    if recipe["nprobe"]:
        faiss.extract_index_ivf(index).nprobe = recipe["nprobe"]
    if recipe["ef_search"]:
        index.hnsw.efSearch = recipe["ef_search"]
    generator = np.random.default_rng(facts["recall_seed"])
    size = min(recipe["recall_queries"], len(vectors))
    rows = generator.choice(len(vectors), size=size, replace=False)
    with np.load(folder / "recall_queries.npz") as saved:
        excerpts = saved["excerpts"]
        if not np.array_equal(rows, saved["rows"]):
            sys.exit("the saved rows differ from the rows drawn with the seed")
    print(f"{manifest['name']}: {len(vectors):,} vectors, factory {facts['factory']}, ", end="")
    print(f"nprobe {recipe['nprobe']}, ef_search {recipe['ef_search']}")
    failed = False
    for stated in facts["recall"]:
        own = rows if stated["queries"] == "passages" else None
        queries = vectors[rows] if own is not None else excerpts
        k = stated["k"]
        answers = index.search(queries, k + (own is not None))[1]
        hits = 0
        for place, (query, answer) in enumerate(zip(queries, answers, strict=True)):
            scores = exact_scores(query[None], vectors, recipe["metric"])[0]
            if own is not None:
                answer = answer[answer != own[place]][:k]
                scores[own[place]] = -np.inf
            limit = np.partition(scores, -k)[-k]
            found = scores[answer[answer >= 0]]
            hits += int((found >= limit - 1e-6 * (1 + abs(limit))).sum())
        value = hits / (k * len(queries))
        failed |= abs(value - stated["recall_at_k"]) > 1e-3
        print(
            f"  recall@{k} of {len(queries)} {stated['queries']}: manifest "
            f"{stated['recall_at_k']:.4f}, here {value:.4f}"
        )
    flat = faiss.IndexFlat(vectors.shape[1], index.metric_type)
    flat.add(vectors)
    for name, batches in (("one batch", [excerpts]), ("one at a time", np.split(excerpts, size))):
        ours, exact = (
            statistics.median(seconds(each, batches) for _ in range(5)) for each in (index, flat)
        )
        print(
            f"  excerpts in {name}: {size / ours:,.0f} queries/s, exact {size / exact:,.0f}, "
            f"ratio {exact / ours:.2f}"
        )
    if failed:
        sys.exit("the figures differ")


if __name__ == "__main__":
    main()
