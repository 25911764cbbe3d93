"""Overhead of answering in shards: the scripted backend, which answers at once, so no speed-up.

Each round prepares the run, answers it in 1, 2 and 4 shards, one after the other and side by side,
each shard in a process of its own, and finishes it. The script prints medians of the rounds, and
ratios to one `ragbench run` of the same config.

    python scripts/bench_scale_out.py [--questions 500] [--rounds 3] [--delay 0.0]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHARDS = (1, 2, 4)
CONFIG = """\
name: scale
models: [{{name: m, backend: scripted, rule: hash, delay_s: {delay}}}]
tasks: [{{name: asked, task: mcq, scoring: letters, options: {{path: asked.jsonl}}}}]
arms:
  - closed-book
  - {{name: made, run_file: made.trec, corpus: notes, k: 3}}
"""


def make_home(home: Path, questions: int, delay: float) -> None:
    """Write the questions, a corpus, a ranking and the config."""
    lines = [
        {"id": f"q{n}", "question": f"Question {n}?", "options": ["a", "b", "c"], "answer": "B"}
        for n in range(questions)
    ]
    notes = [{"id": f"d{n}", "text": f"Note {n}. " * 20} for n in range(questions)]
    ranked = [
        f"q{n} Q0 d{(n + rank) % questions} {rank} {9 - rank} x"
        for n in range(questions)
        for rank in (1, 2, 3)
    ]
    (home / "corpora").mkdir()
    (home / "corpora" / "notes.yaml").write_text("reader: jsonl\npath: ../notes.jsonl\n")
    for name, rows in (("asked", lines), ("notes", notes)):
        (home / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (home / "made.trec").write_text("\n".join(ranked) + "\n")
    (home / "scale.yaml").write_text(CONFIG.format(delay=delay))


def start(home: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start the command line on the config."""
    return subprocess.Popen(
        [sys.executable, "-m", "ragbench", arguments[0], "scale.yaml", *arguments[1:]],
        cwd=home,
        env={**os.environ, "RAGBENCH_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def timed(home: Path, *arguments: str) -> float:
    """Return the seconds of one command."""
    began = time.perf_counter()
    if start(home, *arguments).wait():
        raise SystemExit(f"ragbench {' '.join(arguments)} failed")
    return time.perf_counter() - began


def answered(home: Path, of: int, *, beside: bool) -> float:
    """Return the seconds of all shards, one after the other or side by side."""
    shutil.rmtree(home / "runs" / "scale" / "shards", ignore_errors=True)
    shutil.rmtree(home / "runs" / "scale" / "records", ignore_errors=True)
    shards = [f"{number}/{of}" for number in range(1, of + 1)]
    if not beside:
        return sum(timed(home, "answer", "--shard", shard) for shard in shards)
    began = time.perf_counter()
    started = [start(home, "answer", "--shard", shard) for shard in shards]
    if any([process.wait() for process in started]):
        raise SystemExit("a shard failed")
    return time.perf_counter() - began


def one_round(home: Path) -> dict[str, float]:
    """Return the seconds of each step."""
    shutil.rmtree(home / "runs", ignore_errors=True)
    found = {"run": timed(home, "run")}
    table = (home / "runs" / "scale" / "results.csv").read_bytes()
    shutil.rmtree(home / "runs")
    found["prepare"] = timed(home, "prepare")
    for of in SHARDS:
        found[f"answer {of}, in turn"] = answered(home, of, beside=False)
        found[f"answer {of}, side by side"] = answered(home, of, beside=True)
        found[f"finish {of}"] = timed(home, "finish")
        if (home / "runs" / "scale" / "results.csv").read_bytes() != table:
            raise SystemExit(f"{of} shards gave another table than one run")
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds per answer")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        make_home(home, options.questions, options.delay)
        timed(home, "prepare")  # builds the corpus, which no round counts
        rounds = [one_round(home) for _ in range(options.rounds)]
    middle = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    print(
        f"{options.questions} questions, 2 arms, {options.delay} s per answer, "
        f"{os.cpu_count()} cores, median of {options.rounds}"
    )
    for name, seconds in middle.items():
        print(f"{name:24} {seconds:6.2f} s   {seconds / middle['run']:5.2f} x run")
    for of in SHARDS:
        for how in ("in turn", "side by side"):
            total = middle["prepare"] + middle[f"answer {of}, {how}"] + middle[f"finish {of}"]
            print(f"all, {of} shards, {how:13} {total:6.2f} s   {total / middle['run']:5.2f} x run")


if __name__ == "__main__":
    main()
