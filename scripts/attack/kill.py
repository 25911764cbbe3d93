"""Kills commands with SIGKILL at drawn moments, resumes them, and compares with undisturbed ones.

A round kills the same command several times and then lets it end. No record that was whole
may be lost, doubled or rewritten, and what is built must have the digests of an undisturbed build.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from fuzz import ragbench
from seeds import MODELS, NAMES, VECTORS, write_home

MANY = 2000
IMPORTED = ("pyarrow.parquet", "pandas", "faiss", "numba", "scipy.stats", "ragbench.api",
            "ragbench.cli.run", "ragbench.cli.corpus", "ragbench.cli.index", "ragbench.cli.importer",
            "ragbench.cli.analyze", "ragbench.report.write")  # fmt: skip
CONFIG = """\
name: killed
seed: 5
indexes: {bm25: {recipe: bm25, corpus: facts}}
"""
TASKS = """\
tasks:
  - {name: facts, task: mcq, options: {path: data/mcq.jsonl, corpus: facts}}
  - {name: written, task: mcq, scoring: generate, options: {path: data/mcq.jsonl, corpus: facts}}
arms: [closed-book, {retriever: bm25, k: [1, 2]}, {control: random, like: bm25-2}]
analysis: {resamples: 1000}
"""
COMMANDS = {
    "run": ("run killed.yaml", "runs/killed"),
    "corpus build": ("corpus build many", "corpora/many"),
    "index build, BM25": ("index build bm25 --corpus whole --name k", "indexes/k"),
    "index build, FAISS": ("index build manyvectors --corpus whole --name v", "indexes/v"),
    "import": ("import lm-eval logs/samples_tiny_mc_2026-11-23T15-41-35.782813.jsonl --name i --model m "
               "--replace", "runs/i"),
    "score": ("score small", "runs/small"),
    "report": ("report small", "runs/small"),
}  # fmt: skip


def _prepare(home: Path) -> None:
    """Write the inputs that a command needs some time for."""
    import numpy as np

    write_home(home, ragbench)
    rows = [{"id": f"m{n}", "text": f"{NAMES[n % 8]} is fever {n} for {n % 97} days."} for n in range(MANY)]  # fmt: skip
    (home / "raw" / "many.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("many", "whole"):
        card = "reader: jsonl\npath: ../raw/many.jsonl\nlicence: CC0\n"
        (home / "corpora" / f"{name}.yaml").write_text(card)
    vectors = np.random.default_rng(1).normal(size=(MANY, 384)).astype("float32")
    np.save(home / "raw" / "many.npy", vectors)
    recipe = VECTORS.replace("vectors.npy", "many.npy") + "factory: Flat\n"
    (home / "indexes" / "manyvectors.yaml").write_text(recipe)
    models = MODELS.replace("rule: overlap", "rule: overlap, delay_s: 0.003")
    (home / "killed.yaml").write_text(CONFIG + models + TASKS)
    assert ragbench("corpus build whole") == 0


def _facts(folder: Path) -> object:
    """Return what an undisturbed command leaves, less times and places."""
    if not (folder / "run.json").is_file():
        about = json.loads((folder / "manifest.json").read_text())
        return about["digest"], about["sums"]
    records = {}
    for path in sorted((folder / "records").glob("*.jsonl")):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            for measured in ("elapsed_s", "ended_at", "sum"):
                line.pop(measured, None)  # an imported record has no time
        ids = [line["question_id"] for line in lines]
        assert len(ids) == len(set(ids)), "a record is doubled"
        records[path.name] = sorted(lines, key=lambda line: str(line["question_id"]))
    tables = {p.name: p.read_bytes() for p in folder.glob("*.csv") if "place" not in p.name}
    return records, tables


def _lines(folder: Path) -> dict[str, list[bytes]]:
    found = {}
    for path in (folder / "records").glob("*.jsonl"):
        lines = path.read_bytes().splitlines(keepends=True)
        found[path.name] = [line for line in lines if line.endswith(b"\n")]
    return found


def _child(command: str) -> int:
    """Start a command in a copy of this process, and return its number."""
    return _forked(lambda: _checked(command))


def _checked(command: str) -> None:
    if code := ragbench(command):
        raise RuntimeError(f"{command}: {code}: {ragbench.message}")  # type: ignore[attr-defined]


def _forked(work: Callable[[], None]) -> int:
    number = os.fork()
    if number == 0:
        code = 99
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return number


def _wait(number: int, seconds: float) -> int | None:
    """Return the status of a process that ended in time, else None."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(number, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.002)
    return None


def _round(
    home: Path, command: str, folder: Path, expected: object, span: float, draw: random.Random
) -> tuple[int, int, str]:
    """Kill a command a few times and let it end; return kills, records lost, and a problem."""
    kills, lost = 0, 0
    for _ in range(12 if command.startswith("run") else 3):
        before = _lines(folder)
        number = _child(command)
        if (status := _wait(number, draw.uniform(0, span))) is not None:
            if status:
                return kills, lost, f"the resumed command ended with {status}"
            break
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)
        kills += 1
        if "import" not in command:
            after = _lines(folder)
            lost += sum(
                lines != after.get(name, [])[: len(lines)] for name, lines in before.items()
            )
    status = _wait(_child(command), 120)
    if status != 0:
        return kills, lost, f"the last command ended with {status}"
    if lost:
        return kills, lost, "whole records are gone"
    if command.startswith("score"):
        assert _wait(_child("analyze small"), 120) == 0
    try:
        found = _facts(folder)
    except (AssertionError, OSError, ValueError) as error:
        return kills, lost, str(error)
    # A kill within a write leaves a hidden `.NAME.PID.tmp`, which no reader takes for a file.
    left = [path.name for path in home.glob("*/.*.building")]
    if left:
        return kills, lost, f"left behind: {left}"
    return kills, lost, "" if found == expected else "the result differs"


def campaign(seed: int, kills: int, only: str = "") -> int:
    """Kill commands until so many kills were tried; return the number of problems."""
    draw = random.Random(seed)
    tried: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    n_lost = 0
    with tempfile.TemporaryDirectory(prefix="attack-") as place:
        template, home = Path(place, "template"), Path(place, "home")
        os.environ |= {"RAGBENCH_HOME": str(template), "HF_HUB_OFFLINE": "1"}
        template.mkdir()
        os.chdir(template)
        for name in IMPORTED:  # imports start no thread, so that a copy of this process is sound
            import_module(name)
        assert _wait(_forked(lambda: _prepare(template)), 600) == 0
        kinds = {k: v for k, v in COMMANDS.items() if only in k}
        expected, spans = {}, {}
        for kind, (command, folder) in kinds.items():
            home = Path(place, "whole")
            _fresh(template, home)
            started = time.monotonic()
            assert _wait(_child(command), 300) == 0, command
            spans[kind] = time.monotonic() - started
            expected[kind] = _facts(home / folder)
        home = Path(place, "home")
        while tried.total() < kills:
            kind = min(kinds, key=lambda k: (tried[k], draw.random()))
            command, folder = kinds[kind]
            _fresh(template, home)
            n, lost, problem = _round(
                home, command, home / folder, expected[kind], spans[kind], draw
            )
            tried[kind] += n
            n_lost += lost
            print(f"{kind}: {n} kills, {tried.total()} in all", flush=True)
            if problem:
                wrong[kind] += 1
                print(f"PROBLEM {kind}: {problem}", flush=True)
        os.chdir("/")
    for kind in sorted(tried):
        print(f"{kind:40} {tried[kind]:6} {wrong[kind]:4}")
    print(f"{'all':40} {tried.total():6} {wrong.total():4}; {n_lost} records lost")
    return wrong.total()


def _fresh(template: Path, home: Path, copy: Callable[..., object] = shutil.copytree) -> None:
    shutil.rmtree(home, ignore_errors=True)
    copy(template, home)
    os.environ["RAGBENCH_HOME"] = str(home)
    os.chdir(home)
