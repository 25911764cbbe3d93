"""Benchmark of ingest, BM25 and dense indexing with corpora of 10 k, 100 k and 1 M passages.

    python scripts/bench_scale.py PASSAGES.jsonl[.gz] [--sizes ...] [--encoder E] [--folder F]

Each step is a separate command. For each step the script prints the peak RSS and the process's own
memory (sampled every 20 ms), which excludes pages of mapped files that the system may drop.
--encoder is a sentence-transformers model for the dense index; ``static`` is the word vectors of
all-MiniLM-L6-v2, which encode a million passages in minutes. A --folder that was used before
already has embeddings. At the largest size, 1,000 known-item questions (8 words of one passage) are
searched into TREC run files. The script prints the figures of ir-measures and of
`ragbench index eval`.
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
from bench_common import make_home, static_encoder

MEASURES = ("RR@10", "R@10", "nDCG@10")
TIMED = """
import json, re, resource, subprocess, sys, threading, time

def own(pid):
    status = open(f"/proc/{pid}/status").read()
    return sum(int(n) for n in re.findall(r"(?:RssAnon|RssShmem):\\s+(\\d+)", status)) / 1024

def watch():
    global anonymous
    while not over.wait(0.02):
        try:
            anonymous = max(anonymous, own(child.pid))
        except OSError:
            return

anonymous, over, started = 0.0, threading.Event(), time.monotonic()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)
watcher = threading.Thread(target=watch)
watcher.start()
text = child.communicate()[0]
elapsed = time.monotonic() - started
over.set()
watcher.join()
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps([child.returncode, elapsed, peak, anonymous, text]))
"""


def timed(*arguments: str) -> tuple[float, float, float, str]:
    """Run ragbench; return seconds, peak RSS and own memory in MB, and its output."""
    command = [sys.executable, "-c", TIMED, sys.executable, "-m", "ragbench", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    code, seconds, peak, own, text = json.loads(done.stdout)
    if code:
        raise SystemExit(f"ragbench {' '.join(arguments)} failed with exit code {code}")
    return seconds, peak, own, text


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
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("passages", type=Path)
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--encoder", help="`static` or a folder; BM25 only by default.")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="bench-scale-"))
    os.environ["RAGBENCH_HOME"] = str(folder)
    recipes = ["bm25"]
    if arguments.encoder:
        (folder / "indexes").mkdir(parents=True, exist_ok=True)
        model = arguments.encoder
        if model == "static":
            model = str(static_encoder(folder / "static", arguments.passages))
        recipe = {"kind": "faiss", "factory": "Flat", "encoder": {"model": model}}
        (folder / "indexes" / "scale-flat.yaml").write_text(json.dumps(recipe))
        recipes.append("scale-flat")
    before: dict[str, tuple[float, float]] = {}
    for n in map(int, arguments.sizes.split(",")):
        make_home(folder, arguments.passages, n)
        steps = {"ingest": ("corpus", "build", f"s{n}", "--replace")}
        for recipe_name in recipes:
            build = ("index", "build", recipe_name, "--corpus", f"s{n}", "--replace")
            steps[recipe_name] = build
        for name, step in steps.items():
            seconds, peak, own, _ = timed(*step)
            line = f"{n:>9,} {name:<12} {seconds:7.1f} s {peak:7,.0f} MB, own {own:7,.0f} MB"
            if name in before:
                was, was_own = before[name]
                line += f", {peak / was:.2f} x and {own / was_own:.2f} x the previous"
            print(line, flush=True)
            before[name] = peak, own
    queries, qrels = known_items(folder / f"s{n}.jsonl", n, folder)
    for recipe_name in recipes:
        run = folder / f"{recipe_name}.run"
        index = f"{recipe_name}-s{n}"
        asked = ("--queries", str(queries))
        seconds, peak, own, _ = timed(
            "index", "search", index, *asked, "--run", str(run), "-k", "10"
        )
        found = ir_measures.calc_aggregate(
            [ir_measures.parse_measure(m) for m in MEASURES],
            ir_measures.read_trec_qrels(str(qrels)),
            ir_measures.read_trec_run(str(run)),
        )
        told = json.loads(timed("index", "eval", index, *asked, "--qrels", str(qrels), "--json")[3])
        figures = ", ".join(f"{m} {v:.4f}" for m, v in found.items())
        print(
            f"{index}: 1,000 questions in {seconds:.1f} s, {peak:,.0f} MB, own {own:,.0f} MB; "
            f"{figures}"
        )
        print(f"  index eval: { {m: told[m] for m in map(str, found) if m in told} }")


if __name__ == "__main__":
    main()
