"""A way to put a task's questions to a scripted model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import run_experiment

DATA = Path(__file__).parents[1] / "data" / "tasks"


@dataclass(frozen=True)
class Asked:
    """What came of a run: score rows, raw records, prompts by arm and question, the task."""

    rows: list[dict[str, Any]]
    records: list[dict[str, Any]]
    prompts: dict[tuple[str, str], str]
    task: dict[str, Any]

    def of(self, task: str) -> Asked:
        """Return what came of one task of several."""
        rows = [row for row in self.rows if row["task"] == task]
        records = [record for record in self.records if record["task"] == task]
        return replace(self, rows=rows, records=records)


Ask = Callable[..., Asked]


@pytest.fixture
def ask(home: Path) -> Ask:
    """Run a task, closed-book and with one passage by BM25, and return what came of it."""

    def asked(
        task: str,
        options: dict[str, Any],
        passages: dict[str, str],
        *,
        limit: int = 3,
        **keys: Any,
    ) -> Asked:
        (home / "corpora").mkdir()
        (home / "corpora" / "small.yaml").write_text("reader: jsonl\npath: ../p.jsonl\n")
        lines = [json.dumps({"id": name, "text": text}) for name, text in passages.items()]
        (home / "p.jsonl").write_text("\n".join(lines), encoding="utf-8")
        config = {
            "name": "asked",
            "indexes": {"bm25": {"recipe": "bm25", "corpus": "small"}},
            "models": [{"name": "scripted", "backend": "scripted", "rule": "overlap"}],
            "tasks": [{"name": task, "limit": limit, "options": options}],
            "arms": ["closed-book", {"name": "bm25", "retriever": "bm25", "k": 1}],
            **keys,
        }
        (home / "asked.yaml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
        done = run_experiment(*load_config(str(home / "asked.yaml")))
        assert done.errors == 0
        return _read(done.folder.path, task)

    return asked


def _read(folder: Path, task: str) -> Asked:
    import pandas as pd

    texts = {line["digest"]: line["text"] for line in _lines(folder / "prompts" / "0.jsonl")}
    records = [line for p in sorted(folder.glob("records/*.jsonl")) for line in _lines(p)]
    (scores,) = folder.glob("scores/*.parquet")
    table = pd.read_parquet(scores)
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records"))
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return Asked(
        rows,
        records,
        {(r["arm"], r["question_id"]): texts[r["prompt"]] for r in records},
        run["identity"]["tasks"][task],
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def check_letters(asked: Asked) -> None:
    """Check picks and accuracy against the recorded log-likelihoods: one letter, one character."""
    scored = {(row["arm"], row["question_id"]): row for row in asked.rows}
    assert len(scored) == len(asked.records) == len(asked.rows)
    for record in asked.records:
        row = scored[record["arm"], record["question_id"]]
        likeliest = max(record["log_likelihoods"])
        assert row["outcome"] == "parsed"
        assert row["pick"] == record["log_likelihoods"].index(likeliest)
        assert row["accuracy"] == float(row["pick"] == row["answer"])
