"""Benchmark of BM25 against rank-bm25 and bm25s with numba: build, search, memory, parity.

    python scripts/bench_bm25.py PASSAGES.jsonl[.gz] [--sizes 10000,100000] [--folder F]

The synthetic passages (about 100 words each) and the questions have the words of PASSAGES. Each
engine builds in its own process from the same terms: those of the recipe bm25-okapi (no stop words,
no stemming), which all three engines support. "single" is one question per call, "batch" all
questions in one call; both include tokenisation. rank-bm25 is slow and gets few questions.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from bench_common import in_process, make_home, questions

COMMON = """
import os, statistics
os.environ["RAGBENCH_HOME"] = home
def rate(work, count, times):
    found = []
    for _ in range(times):
        started = time.perf_counter(); work(); found.append(count / (time.perf_counter() - started))
    return statistics.median(found)
"""

OURS_BUILD = (
    COMMON
    + """
from ragbench.indexes.build import build_index
started = time.perf_counter()
build_index(recipe, corpus, replace=True)
result["build_s"] = time.perf_counter() - started
"""
)

OURS_SEARCH = (
    COMMON
    + """
from ragbench.indexes.built import open_index
index = open_index(f"{recipe}-{corpus}")
index.search(asked[:64], 10)
index.search(asked[:1], 10)
result["single"] = rate(lambda: [index.search([q], 10) for q in asked[:300]], 300, 5)
result["batch"] = rate(lambda: index.search(asked, 10), len(asked), 5)
result["top"] = [[(h.row, h.score) for h in hits] for hits in index.search(asked[:few], 10)]
"""
)

PEERS = (
    COMMON
    + """
import numpy as np
from ragbench.corpora.open import open_corpus
from ragbench.indexes.bm25.tokenise import Analyser
tokenise = Analyser(stopwords="none", stemmer="none")
started = time.perf_counter()
texts = (f"{p.title}\\n{p.text}" for p in open_corpus(corpus))
if engine == "bm25s":
    import bm25s
    vocabulary, documents = {}, []
    for text in texts:
        documents.append([vocabulary.setdefault(t, len(vocabulary)) for t in tokenise(text)])
    peer = bm25s.BM25(k1=1.5, b=0.75, method="robertson", backend="numba")
    peer.index((documents, vocabulary), create_empty_token=False, show_progress=False)
    result["build_s"] = time.perf_counter() - started
    def ask(queries, threads):
        ids = [[vocabulary[t] for t in tokenise(q) if t in vocabulary] for q in queries]
        return peer.retrieve(ids, k=10, show_progress=False, n_threads=threads)
    ask(asked[:64], -1); ask(asked[:1], 1)
    result["single"] = rate(lambda: [ask([q], 1) for q in asked[:300]], 300, 5)
    result["batch"] = rate(lambda: ask(asked, -1), len(asked), 5)
else:
    from rank_bm25 import BM25Okapi
    peer = BM25Okapi([tokenise(text) for text in texts])
    result["build_s"] = time.perf_counter() - started
    result["top"] = []
    started = time.perf_counter()
    for query in asked[:few]:
        scores = np.asarray(peer.get_scores(tokenise(query)))
        best = np.argsort(-scores, kind="stable")[:50]
        result["top"].append([(int(row), float(scores[row])) for row in best])
    result["single"] = few / (time.perf_counter() - started)
"""
)


def agreement(ours: list[Any], theirs: list[Any]) -> int:
    """Return how many lists equal those of rank-bm25 up to ties, with scores equal to 1e-5."""
    same = 0
    for mine, peer in zip(ours, theirs, strict=True):
        truth, scores = dict(map(tuple, peer)), [score for _, score in peer]
        same += all(
            row in truth
            and abs(truth[row] - score) <= 1e-5 * max(1, abs(score))
            and abs(score - scores[place]) <= 1e-5 * max(1, abs(score))
            for place, (row, score) in enumerate(mine)
        )
    return same


def main() -> None:
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("passages", type=Path)
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="bench-bm25-"))
    asked = questions(arguments.passages, 1000)
    os.environ["RAGBENCH_HOME"] = str(folder)
    from ragbench.corpora.build import build_corpus

    for n in map(int, arguments.sizes.split(",")):
        make_home(folder, arguments.passages, n)
        build_corpus(f"s{n}")
        few = 20 if n <= 100_000 else 5
        given = {"home": str(folder), "corpus": f"s{n}", "asked": asked, "few": few}
        okapi = {**given, "recipe": "bm25-okapi"}
        in_process(OURS_BUILD, **{**okapi, "corpus": f"s{n}"})  # compiles once per machine
        built = in_process(OURS_BUILD, **okapi)
        ours = in_process(OURS_SEARCH, **okapi)
        in_process(OURS_BUILD, **{**given, "recipe": "bm25"})
        lucene = in_process(OURS_SEARCH, **{**given, "recipe": "bm25"})
        fast = in_process(PEERS, **given, engine="bm25s")
        slow = in_process(PEERS, **given, engine="rank-bm25")
        print(f"\n{n:,} passages")
        print(f"  build: ours {built['build_s']:.1f} s, {built['peak_mb']:.0f} MB; bm25s", end=" ")
        print(f"{fast['build_s']:.1f} s, {fast['peak_mb']:.0f} MB; rank-bm25", end=" ")
        print(f"{slow['build_s']:.1f} s, {slow['peak_mb']:.0f} MB")
        print(f"  build against bm25s: {fast['build_s'] / built['build_s']:.1f} x faster,", end=" ")
        print(f"{built['peak_mb'] / fast['peak_mb']:.2f} of its peak")
        for name, found in (("bm25-okapi", ours), ("bm25", lucene)):
            print(
                f"  {name}: {found['single']:,.0f} single/s, {found['batch']:,.0f} batch/s", end=""
            )
            print(f", search {found['peak_mb']:.0f} MB")
        print(f"  bm25s: {fast['single']:,.0f} single/s, {fast['batch']:,.0f} batch/s")
        print(f"  rank-bm25: {slow['single']:.2f} single/s")
        print(f"  bm25-okapi single against rank-bm25: {ours['single'] / slow['single']:,.0f} x")
        print(f"  bm25-okapi batch against bm25s: {ours['batch'] / fast['batch']:.2f} x", end="; ")
        print(f"single {ours['single'] / fast['single']:.2f} x")
        same = agreement(ours["top"], slow["top"])
        print(f"  same lists as rank-bm25 up to ties: {same} of {few}")


if __name__ == "__main__":
    main()
