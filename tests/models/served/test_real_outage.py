"""A real vLLM that is killed in mid-run and started again: the run goes on by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ragbench.models.served.server import ServerOptions
from tests.models.served.conftest import ENGINE
from tests.models.served.real import RealServer, items, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "patience_s" not in ServerOptions.model_fields, reason="outages are not waited out"
    ),
]
QUESTIONS, BEFORE, AWAY_S = 120, 20, 20
CONFIG = """\
name: {name}
scoring: letters
models:
  - name: m
    backend: server
    url: "{url}"
    model: "{model}"
    tokenizer: "{model}"
    concurrency: 4
tasks:
  - {{name: asked, task: mcq, options: {{path: asked.jsonl}}}}
arms: [closed-book]
"""


def start(home: Path, name: str, server: RealServer, model: Path) -> subprocess.Popen[str]:
    text = CONFIG.format(name=name, url=server.url, model=model)
    (home / f"{name}.yaml").write_text(text)
    return subprocess.Popen(
        [sys.executable, "-m", "ragbench", "run", f"{name}.yaml"],
        env={**os.environ, "RAGBENCH_HOME": str(home)},
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def answered(home: Path, name: str) -> int:
    files = (home / "runs" / name / "records").glob("*.jsonl")
    return sum(file.read_bytes().count(b"\n") for file in files)


def table(home: Path, name: str) -> str:
    text = (home / "runs" / name / "results.csv").read_text()
    return text.replace(name, "NAME")


def test_killed_and_started_again_the_results_are_the_same(
    smollm2_folder: Path, home: Path, tmp_path: Path
) -> None:
    lines = [
        {"id": f"q{n}", "question": one.question, "options": one.options, "answer": "A"}
        for n, one in enumerate(items()[:QUESTIONS])
    ]
    (home / "asked.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with running("vllm", smollm2_folder, tmp_path, *ENGINE) as server:
        whole = start(home, "whole", server, smollm2_folder)
        said = whole.communicate(timeout=3600)[0]
        assert whole.returncode == 0, said
        broken = start(home, "broken", server, smollm2_folder)
        while answered(home, "broken") < BEFORE:
            assert broken.poll() is None, broken.communicate()[0]
            time.sleep(0.02)
        server.kill()
        kept = answered(home, "broken")
        assert BEFORE <= kept < QUESTIONS
        time.sleep(AWAY_S)
        assert broken.poll() is None, broken.communicate()[0]
        server.start()
        said = broken.communicate(timeout=3600)[0]
    assert broken.returncode == 0, said
    assert answered(home, "broken") == QUESTIONS
    assert table(home, "broken") == table(home, "whole")
