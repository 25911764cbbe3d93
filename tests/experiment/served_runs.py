"""A small experiment behind a server, for tests of what the server does to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import Finished, run_experiment
from tests.models.loopback import MODEL, Request

QUESTIONS = 40
CONFIG = """\
name: served
scoring: generate
models:
  - {{name: m, backend: server, url: "{url}", model: {model}, retries: 1}}
tasks:
  - {{name: asked, task: mcq, options: {{path: asked.jsonl}}}}
arms: [closed-book]
"""


def write_config(home: Path, url: str, n: int = QUESTIONS) -> str:
    options = ["one", "two", "three"]
    (home / "asked.jsonl").write_text(
        "".join(
            json.dumps(
                {"id": f"q{i}", "question": f"Question {i}", "options": options, "answer": "A"}
            )
            + "\n"
            for i in range(n)
        )
    )
    path = home / "served.yaml"
    path.write_text(CONFIG.format(url=url, model=MODEL))
    return str(path)


def run(config: str, *overrides: str) -> Finished:
    return run_experiment(*load_config(config, overrides))


def records(home: Path) -> list[dict[str, Any]]:
    path = home / "runs" / "served" / "records" / "m+asked+closed-book.0.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if "\n" in line]


def is_question(request: Request) -> bool:
    """Say whether a request is one of the experiment's, and no check or poll."""
    return str(request.body["messages"][-1]["content"]).startswith("Question")
