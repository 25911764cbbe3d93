"""Benchmark of dense search in ragbench against FAISS called directly, on the same vectors.

    python scripts/bench_dense.py INDEX QUESTIONS.jsonl [-k 10]

INDEX is a built index of kind faiss in the home folder. Both get the same encoded questions. FAISS
returns scores and rows; ragbench returns hits with their ids and orders ties. Encoding is timed
separately.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from pathlib import Path

import numpy as np

from ragbench.indexes.built import folder_of, open_index, read_manifest, recipe_of
from ragbench.indexes.dense.ann import KNOBS
from ragbench.indexes.dense.index import INDEX
from ragbench.indexes.dense.library import import_faiss
from ragbench.indexes.dense.recipe import DenseRecipe
from ragbench.indexes.evaluation.runfile import read_queries

TIMES = 7


def main() -> None:
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("questions", type=Path)
    parser.add_argument("-k", type=int, default=10)
    arguments = parser.parse_args()
    k = arguments.k
    queries = [query.text for query in read_queries(arguments.questions)][:1000]
    manifest = read_manifest(arguments.index)
    recipe = DenseRecipe.model_validate(recipe_of(manifest).model_dump())
    opened = open_index(arguments.index, device="cpu")
    faiss = import_faiss()
    alone = faiss.read_index(str(folder_of(arguments.index) / INDEX))
    for knob, value in (recipe.knobs() | manifest.facts.get("tuned", {})).items():
        faiss.ParameterSpace().set_index_parameter(alone, KNOBS[knob], value)
    started = time.perf_counter()
    vectors = opened._encoder.queries(queries)
    encoding = len(queries) / (time.perf_counter() - started)
    opened._encoder.queries = lambda texts: vectors[: len(texts)]
    single = opened._encoder.queries(queries[:1])
    found: dict[str, list[float]] = {name: [] for name in ("ours", "faiss", "ours1", "faiss1")}
    for _ in range(TIMES):  # alternating, so that noise affects both
        for name, work, count in (
            ("ours", lambda: opened.search(queries, k), len(queries)),
            ("faiss", lambda: alone.search(vectors, k), len(queries)),
            ("ours1", lambda: [opened.search(queries[:1], k) for _ in range(50)], 50),
            ("faiss1", lambda: [alone.search(single, k) for _ in range(50)], 50),
        ):
            started = time.perf_counter()
            work()
            found[name].append(count / (time.perf_counter() - started))
    rate = {name: statistics.median(values) for name, values in found.items()}
    exact = alone.search(vectors, k)[0]
    same = np.mean(
        [
            np.allclose([hit.score for hit in hits], np.sort(scores)[::-1], atol=1e-5)
            for hits, scores in zip(opened.search(queries, k), exact, strict=True)
        ]
    )
    recall = ", ".join(
        f"{one['recall_at_k']:.3f} ({one['queries']})" for one in manifest.facts.get("recall", [])
    )
    tuned = f"; tuned {manifest.facts['tuned']}" if "tuned" in manifest.facts else ""
    print(f"{arguments.index}: {manifest.corpus['n']:,} vectors of {alone.d}, {recipe.factory}")
    print(f"  recall@{recipe.recall_k}: {recall or 'exact'}{tuned}")
    print(
        f"  batch of {len(queries):,}: ours {rate['ours']:,.0f}/s, FAISS {rate['faiss']:,.0f}/s",
        end="",
    )
    print(f": {rate['ours'] / rate['faiss']:.2f} x")
    print(f"  one by one: ours {rate['ours1']:,.0f}/s, FAISS {rate['faiss1']:,.0f}/s", end="")
    print(f": {rate['ours1'] / rate['faiss1']:.2f} x")
    print(f"  the same scores: {same:.1%} of questions; encoding {encoding:,.0f}/s; peak ", end="")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    main()
