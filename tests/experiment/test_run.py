"""The whole path: killed and resumed, it gives what an uninterrupted run gives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import make_small_home, ragbench


def records(home: Path) -> dict[str, list[str]]:
    found = {}
    for path in sorted((home / "runs" / "small" / "records").glob("*.jsonl")):
        text = path.read_text(encoding="utf-8")
        found[path.name] = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return found


def kill_after(home: Path, enough: int) -> None:
    """Start a run and kill it, as hard as can be, once it has written enough records."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ragbench", "run", "small.yaml"],
        env={**os.environ, "RAGBENCH_HOME": str(home)},
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while sum(map(len, records(home).values())) < enough and time.monotonic() < deadline:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_killed_twice_and_resumed_equals_uninterrupted(finished_home: Path, tmp_path: Path) -> None:
    home = make_small_home(tmp_path / "home")
    for enough in (4, 27):
        kill_after(home, enough)
        kept = records(home)
        assert 0 < sum(map(len, kept.values())) < 50
    done = ragbench(home, "run", "small.yaml")
    assert done.returncode == 0, done.stderr
    after = records(home)
    for name, lines in kept.items():
        assert after[name][: len(lines)] == lines  # nothing asked again, nothing rewritten
    for lines in after.values():
        ids = [json.loads(line)["question_id"] for line in lines]
        assert len(ids) == len(set(ids)) == 10
    for name in ("results.csv", "effects.csv"):
        assert (home / "runs" / "small" / name).read_bytes() == (
            finished_home / "runs" / "small" / name
        ).read_bytes()


def test_changed_config_is_refused_and_extend_adds(run_copy: Path, home: Path) -> None:
    refused = ragbench(home, "run", "small.yaml", "--set", "seed=18")
    assert refused.returncode == 2
    assert "config.seed: 17 -> 18" in refused.stderr
    before = records(home)
    longer = ragbench(home, "run", "small.yaml", "--set", "tasks.0.limit=12", "--extend")
    assert longer.returncode == 0, longer.stderr
    after = records(home)
    assert all(after[name][:10] == lines for name, lines in before.items())
    assert all(len(lines) == 12 for lines in after.values())


def test_an_index_of_another_corpus_stops_a_resumed_run(run_copy: Path, home: Path) -> None:
    card = home / "corpora" / "icd10cm.yaml"
    card.write_text(card.read_text().replace('["3"]', '["3", "4"]'), encoding="utf-8")
    rebuilt = ragbench(home, "corpus", "build", "icd10cm", "--replace")
    assert rebuilt.returncode == 0, rebuilt.stderr
    refused = ragbench(home, "run", "small.yaml")
    assert refused.returncode == 3
    assert "another corpus" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_another_tokenizer_for_packing_is_refused(run_copy: Path, home: Path) -> None:
    """The first general model counts tokens: putting another first would change the packing."""
    text = (home / "small.yaml").read_text()
    model = next(line for line in text.splitlines() if "smollm2," in line)
    other = model.replace("smollm2,", "again, format: plain,")
    (home / "small.yaml").write_text(text.replace(model, f"{other}\n{model}"))
    packed = (run_copy / "packed" / "icd10cm+bm25-5.jsonl").read_bytes()
    refused = ragbench(home, "run", "small.yaml", "--extend")
    assert refused.returncode == 2
    assert "packing.tokenizer: 'smollm2' -> 'again'" in refused.stderr
    assert (run_copy / "packed" / "icd10cm+bm25-5.jsonl").read_bytes() == packed
