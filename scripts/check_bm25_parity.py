"""Check of ragbench's Okapi engine against the package rank-bm25: agreement and speed.

The script calls rank_bm25.BM25Okapi directly with the same tokens. Two lists agree if they have the
same length, if every score equals rank-bm25's score of that passage, and if no other passage has a
higher score: the same ranking up to ties.

    python scripts/check_bm25_parity.py INDEX QUESTIONS.jsonl [--questions 500] [-k 10]

INDEX is a built index of the recipe bm25-okapi.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rank_bm25 import BM25Okapi

from ragbench.base.errors import UsageError
from ragbench.indexes.bm25.tokenise import Analyser
from ragbench.indexes.built import open_index, read_manifest
from ragbench.indexes.evaluation.runfile import read_queries
from ragbench.indexes.retriever import passage_text

TOLERANCE = 1e-5


def seconds(work: Callable[[], object], times: int) -> float:
    """Return the median duration of the work in seconds."""
    found: list[float] = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return statistics.median(found)


def main() -> None:
    """Run the check and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("questions", type=Path)
    parser.add_argument("--questions", dest="count", type=int, default=500)
    parser.add_argument("-k", type=int, default=10)
    arguments = parser.parse_args()
    recipe = read_manifest(arguments.index).recipe
    if recipe.get("formula") != "okapi":
        raise UsageError(f"{arguments.index!r} does not have `formula: okapi`")
    index = open_index(arguments.index)
    queries = [query.text for query in read_queries(arguments.questions)][: arguments.count]
    tokenise = Analyser(stopwords=recipe["stopwords"], stemmer=recipe["stemmer"])
    documents = [tokenise(passage_text(recipe["template"], p.title, p.text)) for p in index.corpus]
    started = time.perf_counter()
    peer = BM25Okapi(documents, k1=recipe["k1"], b=recipe["b"], epsilon=recipe["epsilon"])
    print(f"passages: {len(documents):,}; rank-bm25 built in {time.perf_counter() - started:.1f} s")
    index.search(queries[:2], arguments.k)  # compiles
    ours = [index.search([query], arguments.k)[0] for query in queries]
    single = seconds(lambda: [index.search([query], arguments.k) for query in queries], 5)
    batch = seconds(lambda: index.search(queries, arguments.k), 5)
    theirs = [np.asarray(peer.get_scores(tokenise(query))) for query in queries]
    slow = seconds(lambda: [peer.get_scores(tokenise(query)) for query in queries], 1)
    sets = [set(document) for document in documents]
    agree, worst = 0, 0.0
    for query, hits, scores in zip(queries, ours, theirs, strict=True):
        asked = set(tokenise(query))
        shared = np.array([bool(asked & held) for held in sets])
        best = np.sort(scores[shared])[::-1][: arguments.k]
        found = np.array([hit.score for hit in hits])
        truth = scores[[hit.row for hit in hits]]
        if len(found) == len(best):
            gap = np.abs(np.concatenate((found - truth, found - best, [0.0]))).max()
            worst = max(worst, float(gap))
            agree += bool(gap <= TOLERANCE * max(1.0, float(np.abs(best).max(initial=0.0))))
    n = len(queries)
    print(f"questions: {n}; the same top {arguments.k} up to ties: {agree} of {n}", end="")
    print(f"; largest score difference {worst:.2g}")
    print(f"rank-bm25:            {n / slow:10,.1f} questions/s")
    print(f"ours, one at a time:  {n / single:10,.1f} questions/s, {slow / single:,.0f} x")
    print(f"ours, in one batch:   {n / batch:10,.1f} questions/s, {slow / batch:,.0f} x")


if __name__ == "__main__":
    main()
