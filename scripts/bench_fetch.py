"""Benchmark of fetching the passages of hits: by row from the mapped store, or from JSONL.

    python scripts/bench_fetch.py PASSAGES.jsonl[.gz] [--size 1000000] [--folder F]

The comparison works like a reader without an index: for each hit it reads the JSONL file from its
start. The files have 20,000 passages each, like the chunks of a published corpus.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from bench_common import in_process, make_home, median_seconds

FILE_ROWS = 20_000
HITS = 32

OURS = """
import os
os.environ["RAGBENCH_HOME"] = home
import statistics
from ragbench.corpora.open import open_corpus
corpus = open_corpus(name)
found = [corpus[row].text for row in rows]
def once():
    return [corpus[row].text for row in rows]
times = []
for _ in range(200):
    started = time.perf_counter(); once(); times.append(time.perf_counter() - started)
result["seconds"] = statistics.median(times)
ids = [i for i, _ in corpus.ids_of(rows)]
times = []
for _ in range(200):
    started = time.perf_counter(); [corpus[corpus.find(i)].text for i in ids]
    times.append(time.perf_counter() - started)
result["by_id"] = statistics.median(times)
result["texts"] = found
"""


def main() -> None:
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("passages", type=Path)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="bench-fetch-"))
    n = arguments.size
    make_home(folder, arguments.passages, n)
    os.environ["RAGBENCH_HOME"] = str(folder)
    from ragbench.corpora.build import build_corpus

    build_corpus(f"s{n}")
    chunks = folder / f"chunks-{n}"
    if not chunks.is_dir():
        chunks.mkdir()
        with (folder / f"s{n}.jsonl").open(encoding="utf-8") as lines:
            for number in range(-(-n // FILE_ROWS)):
                some = list(itertools.islice(lines, FILE_ROWS))
                (chunks / f"{number}.jsonl").write_text("".join(some), encoding="utf-8")
    rows = np.random.default_rng(3).integers(0, n, HITS).tolist()

    def by_reading() -> list[str]:
        texts = []
        for row in rows:
            path = chunks / f"{row // FILE_ROWS}.jsonl"
            lines = path.read_text(encoding="utf-8").strip().split("\n")
            texts.append(json.loads(lines[row % FILE_ROWS])["text"])
        return texts

    wanted = by_reading()
    theirs = median_seconds(by_reading, 3)
    ours = in_process(OURS, home=str(folder), name=f"s{n}", rows=rows)
    print(f"{HITS} passages of {n:,}, warm")
    print(f"  reading a file of {FILE_ROWS:,} lines per hit: {theirs:.2f} s")
    print(f"  by row: {1000 * ours['seconds']:.3f} ms, {theirs / ours['seconds']:,.0f} x")
    print(f"  by id: {1000 * ours['by_id']:.3f} ms, {theirs / ours['by_id']:,.0f} x")
    print(f"  peak {ours['peak_mb']:.0f} MB; the same texts: {ours['texts'] == wanted}")


if __name__ == "__main__":
    main()
