"""The fixtures of CLUE's tasks: where they lie, and how a test makes a task of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ragbench.base.records import Message, Mode, Question
from ragbench.experiment.stages.prompts import messages
from ragbench.tasks import tasks

DATA = Path(__file__).parents[1] / "data" / "clue"
FILES = {
    "mednli": "mli_test_v1.jsonl",
    "meqsum": "meqsum.jsonl",
    "problem_list": "BioNLP2023-1A-Test.csv",
    "medisumqa": "MeDiSumQA.json",
    "medisumcode": "MeDiSumCode.json",
    "longhealth1": "benchmark_v5.json",
    "longhealth2": "benchmark_v5.json",
    "longhealth3": "benchmark_v5.json",
}


def make(name: str, mode: Mode = "correct", **options: Any) -> Any:
    """Return a task over its fixture, or over another path among the options."""
    kind: Any = tasks.get(name)
    return kind(kind.Options(**{"path": str(DATA / FILES[name]), **options}), mode=mode)


def every(task: Any) -> list[Question]:
    """Return all questions of a task."""
    return list(task.questions(limit=None, seed=17))


def turns(task: Any, question: Question) -> list[Message]:
    """Return the closed-book prompt of a question as the task has it asked."""
    return messages(task.info, question, [], task.info.scoring)


def lines(name: str) -> list[dict[str, Any]]:
    """Return the rows of a fixture in JSON or JSON lines."""
    text = (DATA / name).read_text(encoding="utf-8")
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in text.splitlines()]
    return list(json.loads(text))


def write_lines(path: Path, rows: list[dict[str, Any]]) -> str:
    """Write JSON lines and return the path as a task's option takes it."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)
