"""A home whose run stops early: retrieval answers every question that closed-book only guesses."""

from __future__ import annotations

import json
from pathlib import Path

from ragbench.runfolder.looks.stopped import EffectDecision, StopFile, read_stopped
from ragbench.runfolder.paths import RunPaths

N = 60
CONFIG = """\
name: stops
seed: 3
indexes:
  bm25: {recipe: bm25}
models:
  - {name: reads, backend: scripted, rule: overlap}
  - {name: guesses, backend: scripted, rule: hash}
tasks:
  - {name: facts, task: mcq, options: {path: facts.jsonl, corpus: facts}}
arms:
  - closed-book
  - {retriever: bm25, k: 1}
  - {control: random, like: bm25-1}
analysis:
  stop: {effects: [retrieval gain], min_questions: 20}
"""


def make_stopping_home(folder: Path) -> Path:
    """Fill a home with 60 facts, each with a question of four options."""
    (folder / "corpora").mkdir(parents=True, exist_ok=True)
    names = [f"drug{i:03d}" for i in range(N)]
    passages = [
        {"id": f"d{i}", "text": f"Disease{i} marker{i} sign{i} is treated with {name}."}
        for i, name in enumerate(names)
    ]
    questions = [
        {
            "id": f"q{i}",
            "question": f"What treats disease{i} with marker{i} and sign{i}?",
            "options": sorted(names[(i + step) % N] for step in (0, 3, 11, 40)),
            "answer": name,
            "gold_doc_ids": [f"d{i}"],
        }
        for i, name in enumerate(names)
    ]
    for file, lines in (("passages", passages), ("facts", questions)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{file}.jsonl").write_text(text, encoding="utf-8")
    card = "reader: jsonl\npath: ../passages.jsonl\n"
    (folder / "corpora" / "facts.yaml").write_text(card, encoding="utf-8")
    (folder / "stops.yaml").write_text(CONFIG, encoding="utf-8")
    return folder


def cluster_and_part(home: Path) -> None:
    """Put each three questions into a cluster, and the first fifteen into their own stratum."""
    path = home / "facts.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for i, line in enumerate(lines):
        line |= {"cluster": f"c{i // 3}", "stratum": "rare" if i < 15 else "common"}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def add_a_task(home: Path) -> None:
    """Add a task of the first 24 questions, and make their average the only primary effect."""
    text = (home / "facts.jsonl").read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)[:24]
    (home / "few.jsonl").write_text("".join(lines), encoding="utf-8")
    path = home / "stops.yaml"
    config = path.read_text(encoding="utf-8")
    task = "  - {name: few, task: mcq, options: {path: few.jsonl, corpus: facts}}\narms:"
    primary = "analysis:\n  primary: {tasks: ['(macro)']}"
    config = config.replace("arms:", task).replace("analysis:", primary)
    path.write_text(config, encoding="utf-8")


def decisions(home: Path) -> StopFile:
    found = read_stopped(RunPaths(home / "runs" / "stops"))
    assert found is not None
    return found


def of(model: str, stopped: StopFile) -> EffectDecision:
    return next(effect for effect in stopped.effects if effect.model == model)
