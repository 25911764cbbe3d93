"""A run whose chat template writes today's date is resumed on another day."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from transformers.utils import chat_template_utils

from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import run_experiment
from tests.models.local import tiny
from tests.models.test_chat_templates import DATED

CONFIG = """\
name: dated
models: [{name: tiny, path: model, dtype: float32, device: cpu}]
tasks: [{name: q, task: mcq, options: {path: q.jsonl}, scoring: letters}]
arms: [closed-book]
"""


class Tomorrow(datetime):
    """Another day, whenever it is asked for."""

    @classmethod
    def now(cls, tz: object = None) -> Tomorrow:
        return cls(2031, 1, 2)


def test_another_day_changes_no_prompt(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.llama(home / "model", tiny.tokenizer(DATED))
    rows = [
        {"id": f"q{n}", "question": f"Which {n}?", "options": list("wxyz"), "answer": "x"}
        for n in range(3)
    ]
    (home / "q.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (home / "c.yaml").write_text(CONFIG, encoding="utf-8")
    run_experiment(*load_config(str(home / "c.yaml"), ()))
    (records,) = (home / "runs" / "dated" / "records").glob("*.jsonl")
    before = records.read_text(encoding="utf-8").splitlines()
    records.write_text("\n".join(before[:2]) + "\n", encoding="utf-8")
    monkeypatch.setattr(chat_template_utils, "datetime", Tomorrow)
    run_experiment(*load_config(str(home / "c.yaml"), ()))
    after = records.read_text(encoding="utf-8").splitlines()
    assert after[:2] == before[:2]
    assert [json.loads(line)["key"] for line in after] == [
        json.loads(line)["key"] for line in before
    ]
