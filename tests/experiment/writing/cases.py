"""Cases whose own words find nothing, and writers whose texts name the right passage."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import run_experiment
from ragbench.report.write import write_report
from tests.conftest import FACTS

CONFIG = """\
name: written
seed: 3
indexes: {bm25: {recipe: bm25, corpus: facts}}
queries:
  rationale: {by: llama, write: rationale}
  own: {by: each, write: rationale}
  parts: {by: llama, write: subquestions, n: 2}
  shown: {by: llama, write: rewrite, options: shown}
models:
  - {name: llama, backend: scripted, rule: overlap, replies: llama.jsonl, calls: calls.jsonl}
  - {name: med, backend: scripted, rule: overlap, seed: 1, replies: med.jsonl, calls: calls.jsonl,
     kind: biomedical, base: llama}
tasks:
  - {name: cases, task: mcq, scoring: letters, options: {path: cases.jsonl, corpus: facts}}
arms:
  - closed-book
  - {name: plain-1, retriever: bm25, k: 1}
  - {name: rationale-1, retriever: bm25, k: 1, queries: rationale}
  - {name: own-1, retriever: bm25, k: 1, queries: own}
  - {name: parts-2, retriever: bm25, k: 2, queries: parts}
  - {name: shown-1, retriever: bm25, k: 1, queries: shown}
  - {name: memory, write: {by: each, n: 2}, corpus: facts}
  - name: filtered-1
    retriever: bm25
    queries: parts
    k: 1
    depth: 12
    filter: {by: med, keep: 0.5}
  - {control: random, like: own-1}
  - {control: random, like: memory}
  - {control: shuffled, like: memory}
"""
NAMES = list(FACTS)
N = len(NAMES)
WRONG = NAMES[:4]  # of which the biomedical model knows another disease
EMPTY = NAMES[4]  # for which it writes nothing
UNSUPPORTED = NAMES[5]  # whose passage it drops
YES, NO = (-0.1, -3.0), (-3.0, -0.1)  # 1 / (1 + e^-2.9) = 0.948


def known(model: str, name: str) -> str:
    """Return the disease that a writer has in mind."""
    return NAMES[(NAMES.index(name) + 1) % N] if model == "med" and name in WRONG else name


def case(name: str) -> str:
    return f"Case {NAMES.index(name) + 11}: which of the disorders is it?"


def questions() -> Iterable[dict[str, Any]]:
    for i, name in enumerate(NAMES):
        options = sorted({name, NAMES[(i + 1) % N], NAMES[(i + 6) % N]})
        yield {
            "id": f"q-{name}",
            "question": case(name),
            "options": options,
            "answer": name,
            "gold_doc_ids": [f"d-{name}"],
        }


def table(model: str) -> Iterable[dict[str, Any]]:
    """Yield what a writer replies; answers follow the rule."""
    for name in NAMES:
        fact, start = FACTS[known(model, name)], f"(?s){case(name)[:8]}"
        halves = fact.partition(", ")[::2]
        is_empty = model == "med" and name == EMPTY
        rationale = "<think>Gout?</think>" if is_empty else f"<think>Gout?</think>{fact}."
        for request, reply in (
            ("Write the reasoning", rationale),
            ("simpler questions", f"Questions:\n1. {halves[0]}?\n\n2) {halves[-1] or fact}?"),
            ("Write a query", f'"{fact}"'),
            ("passages that help", f"{known(model, name)} is {fact}.\n\nA passage on {name[:2]}."),
        ):
            yield {"matches": f"{start}.*{request}", "reply": reply}
        if name != UNSUPPORTED:
            matches = f"(?s)\\n{name} is .*{case(name)[:8]}.*Does the passage help"
            yield {"matches": matches, "log_likelihoods": YES}
    yield {"contains": "Does the passage help", "log_likelihoods": NO}


def make_cases(home: Path) -> Path:
    """Fill a home with the cases, the facts and the writers."""
    (home / "corpora").mkdir(parents=True, exist_ok=True)
    (home / "corpora" / "facts.yaml").write_text("reader: jsonl\npath: ../facts.jsonl\n")
    passages = [{"id": f"d-{name}", "text": f"{name} is {text}."} for name, text in FACTS.items()]
    for file, lines in (
        ("facts", passages),
        ("cases", list(questions())),
        ("llama", list(table("llama"))),
        ("med", list(table("med"))),
    ):
        (home / f"{file}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (home / "written.yaml").write_text(CONFIG)
    return home


def run_cases(home: Path, *overrides: str, report: bool = False) -> Path:
    """Run the config, write its report if it is wanted, and return the run folder."""
    folder = run_experiment(*load_config(str(home / "written.yaml"), overrides)).folder.path
    if report:
        write_report(folder)
    return folder


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def calls(home: Path) -> list[tuple[str, str, str]]:
    path = home / "calls.jsonl"
    found = lines(path) if path.exists() else []
    return [(line["model"], line["call"], line["prompt"]) for line in found]
