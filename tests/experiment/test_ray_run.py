"""A run on a Ray cluster whose machines are killed has the tables of a run on one machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ragbench.base.cluster.engine import Cluster
from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import Finished, run_experiment
from ragbench.report.write import write_report
from tests.base.cluster.machines import Machines, calls, kill_worker, once
from tests.models.local import tiny

SCRIPTED = "{name: m, backend: scripted, rule: hash, delay_s: 0.05}"
TINY = "{name: m, path: model, dtype: bfloat16, device: cpu}"
CONFIG = """\
name: NAME
models: [MODEL]
tasks:
  - {name: long, task: mcq, scoring: letters, options: {path: asked.jsonl}}
  - {name: short, task: mcq, scoring: options, options: {path: asked.jsonl}}
  - {name: written, task: mcq, scoring: generate, options: {path: asked.jsonl}, limit: 40}
arms:
  - closed-book
  - {name: made, run_file: made.trec, corpus: notes, k: 2}
reply_limit: 8
"""
N = 120
TIMES = ("elapsed_s", "ended_at", "seal", "sum")


@pytest.fixture
def machines() -> Iterator[Machines]:
    made = Machines()
    yield made
    made.stop()


def fill(home: Path) -> None:
    (home / "corpora").mkdir()
    (home / "corpora" / "notes.yaml").write_text("reader: jsonl\npath: ../notes.jsonl\n")
    lines = [
        {
            "id": f"q{n}",
            "question": f"Is {n * 7919}?",
            "options": list("abcd"),
            "answer": "ABCD"[n % 4],
        }
        for n in range(N)
    ]
    notes = [{"id": f"d{n}", "text": f"Note {n} on {n * 31}."} for n in range(9)]
    (home / "asked.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (home / "notes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in notes))
    ranked = (
        f"q{n} Q0 d{(n + rank) % 9} {rank} {9 - rank} x\n" for n in range(N) for rank in (1, 2)
    )
    (home / "made.trec").write_text("".join(ranked))
    tiny.llama(home / "model", tiny.tokenizer())


def run(home: Path, name: str, model: str, cluster: Cluster | None = None) -> Finished:
    path = home / f"{name}.yaml"
    path.write_text(CONFIG.replace("NAME", "same").replace("MODEL", model))
    finished = run_experiment(*load_config(str(path)), cluster=cluster)
    assert finished.errors == 0
    write_report(finished.folder.path)
    finished.folder.path.rename(home / name)
    return finished


def tables(home: Path, name: str) -> list[bytes]:
    return [(home / name / table).read_bytes() for table in ("results.csv", "effects.csv")]


def answers(home: Path, name: str) -> list[tuple[str, str, dict[str, object]]]:
    """Return everything in the records but times."""
    found: list[tuple[str, str, dict[str, object]]] = []
    for path in sorted((home / name / "records").glob("*.jsonl")):
        for line in map(json.loads, path.read_text().splitlines()):
            kept = {
                k: v for k, v in line.items() if k not in ("elapsed_s", "ended_at", "seal", "sum")
            }
            found.append((path.name, line["question_id"], kept))
    return sorted(found, key=lambda item: item[:2])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "what"),
    [(SCRIPTED, "node"), (TINY, "node"), (TINY, "process")],
    ids=["scripted-node", "tiny-node", "tiny-process"],
)
def test_a_node_or_a_process_that_is_killed_changes_no_byte(
    model: str,
    what: str,
    machines: Machines,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(home)
    fill(home)
    run(home, "alone", model)
    with machines.connected() as cluster:
        kill = machines.kill_node if what == "node" else partial(kill_worker, cluster)
        with once(lambda: calls(cluster) > 8 and len(cluster.pool._busy) == 2, kill):
            run(home, "many", model, cluster)
        logged = (home / "many" / "sessions.jsonl").read_text().splitlines()
        assert json.loads(logged[-1])["answered_on"] == cluster.calls
        assert "was lost" in capfd.readouterr().err
    assert tables(home, "many") == tables(home, "alone")
    assert answers(home, "many") == answers(home, "alone")
