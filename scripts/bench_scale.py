"""How ingest, BM25 and dense indexing grow with the corpus: 10 k, 100 k, 1 M passages.

    python scripts/bench_scale.py PASSAGES.jsonl[.gz] [--sizes ...] [--encoder FOLDER] [--folder F]

Each step is a command of its own, through the command line. --encoder names a sentence-transformers
model for the dense index; a static one encodes a million passages in minutes. At the largest size
1,000 known-item questions (8 words of one passage, whose passage is to be found) are searched into
TREC run files, which ir-measures evaluates; the figures of `ragbench index eval` stand beside.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import ir_measures
import numpy as np
from bench_common import make_home

MEASURES = ("RR@10", "R@10", "nDCG@10")
TIMED = """
import json, resource, subprocess, sys, time
started = time.monotonic()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
peak = usage.ru_maxrss / 1024
print(json.dumps([done.returncode, time.monotonic() - started, peak, done.stdout]))
"""


def timed(*arguments: str) -> tuple[float, float, str]:
    """Run ragbench; return seconds, peak RSS in MB and what it printed."""
    command = [sys.executable, "-c", TIMED, sys.executable, "-m", "ragbench", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    code, seconds, peak, text = json.loads(done.stdout)
    if code:
        raise SystemExit(f"ragbench {' '.join(arguments)} ended with {code}")
    return seconds, peak, text


def known_items(source: Path, n: int, folder: Path) -> tuple[Path, Path]:
    """Write 1,000 questions and their qrels."""
    draw = np.random.default_rng(11)
    wanted = set(draw.choice(n, min(1000, n), replace=False).tolist())
    queries, qrels = folder / "known.jsonl", folder / "known.qrels"
    with source.open(encoding="utf-8") as lines, queries.open("w") as q, qrels.open("w") as r:
        for row, line in enumerate(lines):
            if row in wanted:
                passage = json.loads(line)
                words = re.findall(r"\w+", passage["text"])
                some = " ".join(draw.choice(words, min(8, len(words)), replace=False))
                q.write(json.dumps({"id": f"q{row}", "text": some}) + "\n")
                r.write(f"q{row} 0 {passage['id']} 1\n")
    return queries, qrels


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("passages", type=Path)
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--encoder", help="A sentence-transformers folder; none: BM25 alone.")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="bench-scale-"))
    os.environ["RAGBENCH_HOME"] = str(folder)
    recipes = ["bm25"]
    if arguments.encoder:
        (folder / "indexes").mkdir(parents=True, exist_ok=True)
        recipe = {"kind": "faiss", "factory": "Flat", "encoder": {"model": arguments.encoder}}
        (folder / "indexes" / "scale-flat.yaml").write_text(json.dumps(recipe))
        recipes.append("scale-flat")
    before: dict[str, float] = {}
    for n in map(int, arguments.sizes.split(",")):
        make_home(folder, arguments.passages, n)
        steps = {"ingest": ("corpus", "build", f"s{n}", "--replace")}
        for recipe_name in recipes:
            build = ("index", "build", recipe_name, "--corpus", f"s{n}", "--replace")
            steps[recipe_name] = build
        for name, step in steps.items():
            seconds, peak, _ = timed(*step)
            growth = f", {peak / before[name]:.2f} x the last peak" if name in before else ""
            print(f"{n:>9,} {name:<12} {seconds:7.1f} s {peak:7,.0f} MB{growth}", flush=True)
            before[name] = peak
    queries, qrels = known_items(folder / f"s{n}.jsonl", n, folder)
    for recipe_name in recipes:
        run = folder / f"{recipe_name}.run"
        index = f"{recipe_name}-s{n}"
        asked = ("--queries", str(queries))
        seconds, peak, _ = timed("index", "search", index, *asked, "--run", str(run), "-k", "10")
        found = ir_measures.calc_aggregate(
            [ir_measures.parse_measure(m) for m in MEASURES],
            ir_measures.read_trec_qrels(str(qrels)),
            ir_measures.read_trec_run(str(run)),
        )
        told = json.loads(timed("index", "eval", index, *asked, "--qrels", str(qrels), "--json")[2])
        figures = ", ".join(f"{m} {v:.4f}" for m, v in found.items())
        print(f"{index}: 1,000 questions in {seconds:.1f} s, {peak:,.0f} MB; {figures}")
        print(f"  index eval: { {m: told[m] for m in map(str, found) if m in told} }")


if __name__ == "__main__":
    main()
