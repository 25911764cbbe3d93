"""A finished run with queries, passages, judgements and a runnable, whose writers are hostile."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from seeds import Target

CONFIG = """\
name: strong
seed: 5
reply_limit: 20
indexes: {bm25: {recipe: bm25, corpus: facts}}
queries:
  rationale: {by: s, write: rationale}
  parts: {by: each, write: subquestions, n: 3}
models:
  - {name: s, backend: scripted, rule: overlap, replies: data/hostile.jsonl}
tasks:
  - {name: facts, task: mcq, options: {path: data/mcq.jsonl, corpus: facts}}
arms:
  - closed-book
  - {name: plain-2, retriever: bm25, k: 2}
  - {name: asked-2, retriever: bm25, k: 2, queries: rationale}
  - {name: parts-2, retriever: bm25, k: 2, queries: parts}
  - {name: kept-2, retriever: bm25, k: 2, depth: 4, filter: {by: each, keep: 0.2}}
  - {name: memory, write: {by: each, n: 2}, corpus: facts}
  - {name: theirs, k: 2, corpus: facts, runnable: {factory: 'theirs:build', trust_code: true, servers: []}}
  - {control: random, like: memory}
  - {control: misled, like: parts-2}
analysis: {resamples: 1000}
"""
PIPELINE = """\
class Pipeline:
    def invoke(self, question):
        return [{"page_content": f"<script>alert(1)</script>\\x00\\u202e {question}", "id": "../x"}]


def build():
    return Pipeline()
"""
HOSTILE = "<script>alert('x')</script>\x1b[31m\x07\u202e\ud800 =1+1 | `x` [y](javascript:z)"
REPLIES = [
    {"contains": "Write the reasoning", "reply": f"</think>{HOSTILE} gout\r\n" * 3},
    {
        "contains": "simpler questions",
        "reply": "".join(f"{n}. fever {n}?\n" for n in range(20_000)),
    },
    {"contains": "passages that help", "reply": f"1. {HOSTILE}\n\n<img src=x onerror=y>\n\n\n"},
]
PATTERNS = (
    *("written/records/*.jsonl", "written/prompts/*.jsonl", "filtered/*.jsonl"),
    *("retrieval/*.calls.jsonl", "retrieval/*", "packed/*", "run.json"),
)
READERS = (("analyze strong",), ("report strong",), ("score strong", "analyze strong"),
           ("run strong.yaml",), ("show strong q0",))  # fmt: skip


def write_strong(home: Path, ragbench: Callable[[str], int]) -> list[Target]:
    """Add the run to a home with the corpus ``facts``, and return what reads it.

    What the writers and the pipeline return is data: the run must finish, and the page of its
    report must hold none of it as code.
    """
    (home / "theirs.py").write_text(PIPELINE)
    lines = "".join(json.dumps(line) + "\n" for line in REPLIES)
    (home / "data" / "hostile.jsonl").write_text(lines)
    (home / "strong.yaml").write_text(CONFIG)
    for command in ("run strong.yaml", "report strong"):
        assert ragbench(command) == 0, command
    folder = home / "runs" / "strong"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page and "<img src=x" not in page
    shown = (folder / "report.md").read_text(encoding="utf-8")
    assert "\x1b" not in shown and "\x07" not in shown
    targets = [
        Target(
            f"strong run: {pattern}", (f"runs/strong/{pattern}",), READERS, reseals=True, weight=3
        )
        for pattern in PATTERNS
    ]
    plan = (("plan strong.yaml",), ("run strong.yaml --set name=strong2",))
    targets.append(Target("config of strong retrieval", ("strong.yaml",), plan, weight=4))
    run = (("run strong.yaml --set name=strong3", "report strong3"),)
    targets.append(Target("replies of writers", ("data/hostile.jsonl",), run, weight=2))
    return targets
