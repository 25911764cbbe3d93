"""A run with every stage of writing gives the same whether it is killed, sharded or neither."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ragbench.analysis.load import load_run
from ragbench.analysis.results import write_tables
from ragbench.base.errors import BackendError, DataError
from ragbench.base.yamlfile import Document
from ragbench.experiment.answering.units import Shard
from ragbench.experiment.config.config import Config, load_config
from ragbench.experiment.run import prepare_experiment, run_experiment
from ragbench.experiment.sharded import answer_shard, finish_experiment
from tests.experiment.writing.cases import calls
from tests.experiment.writing.test_asking import check_scores, same_files, texts
from tests.experiment.writing.test_rounds import make_rounds

Loaded = tuple[Config, Document]
CONFIG = """\
name: killed
seed: 3
indexes: {bm25: {recipe: bm25, corpus: facts}}
queries: {own: {by: each, write: rationale}}
models:
  - {name: llama, backend: scripted, rule: overlap, replies: rounds.jsonl, calls: calls.jsonl}
  - {name: med, backend: scripted, rule: overlap, seed: 1, replies: med.jsonl, calls: calls.jsonl,
     kind: biomedical, base: llama}
tasks:
  - {name: cases, task: mcq, scoring: letters, options: {path: cases.jsonl, corpus: facts}}
arms:
  - closed-book
  - {name: own-1, retriever: bm25, k: 1, queries: own}
  - {name: r-2, retriever: bm25, k: 2, depth: 4, rounds: {by: llama, n: 3},
     filter: {by: med, keep: 0.5}}
  - {name: memory, write: {by: each, n: 2}, corpus: facts}
"""
# Files of each stage in the order in which a run comes to them.
STAGES = (
    "written/records/llama+*+queries.own.*",
    "written/records/llama+*+passages.memory.*",
    "written/records/med+*+queries.own.*",
    "written/records/med+*+passages.memory.*",
    "written/records/*+rounds.r-2.1.*",
    "written/records/*+answers.r-2.1.*",
    "written/records/*+rounds.r-2.2.*",
    "written/records/*+answers.r-2.2.*",
    "written/records/*+rounds.r-2.3.*",
    "written/records/*+filter.*",
    "records/llama+*",
    "records/med+*",
)
SAME = (
    *("questions", "retrieval", "written/retrieval", "rounds", "filtered", "packed"),
    "written/prompts",
)
SLOWLY = [word for m in ("llama", "med") for word in ("--set", f"models.{m}.delay_s=0.04")]


def recorded(folder: Path, stage: str = "**/records/*") -> list[tuple[str, str]]:
    """Return model and prompt of the whole records of a stage."""
    texts_of = (path.read_text(encoding="utf-8") for path in sorted(folder.glob(stage)))
    whole = [line for text in texts_of for line in text.splitlines(keepends=True) if "\n" in line]
    return [(record["model"], record["prompt"]) for record in map(json.loads, whole)]


def prompts(folder: Path) -> list[str]:
    """Return the lines of all prompts; shards write them in an order of their own."""
    files = sorted((folder / "prompts").iterdir())
    return [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]


def kill(home: Path, stage: str, enough: int) -> None:
    """Start the run and kill it, as hard as can be, once a stage has enough records."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ragbench", "run", "killed.yaml", *SLOWLY],
        env={**os.environ, "RAGBENCH_HOME": str(home)},
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 600
    while len(recorded(home / "runs" / "killed", stage)) < enough:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, stage
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


def make_home(home: Path) -> Loaded:
    make_rounds(home)
    (home / "killed.yaml").write_text(CONFIG)
    return load_config(str(home / "killed.yaml"))


def run_whole(loaded: Loaded) -> Path:
    folder = run_experiment(*loaded).folder.path
    write_tables(load_run(folder))
    return folder


def check_same(folder: Path, whole: Path) -> None:
    """Compare a run with an uninterrupted one, byte for byte wherever no time is noted."""
    assert texts(folder) == texts(whole)
    same_files(folder, whole, *SAME)
    assert sorted(prompts(folder)) == sorted(prompts(whole))
    check_scores(folder, whole)
    for name in ("results.csv", "effects.csv", "evidence.csv"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_shards_of_a_run_with_every_stage_give_the_same(home: Path, tmp_path: Path) -> None:
    loaded = make_home(home)
    whole = run_whole(loaded).rename(tmp_path / "whole")
    once = calls(home)
    (home / "calls.jsonl").unlink()
    prepare_experiment(*loaded)
    written = calls(home)
    assert {call for _, call, _ in written} == {"generate", "score"}  # the filter scores
    for number in (3, 1, 2):
        answer_shard(*loaded, Shard(3, number))
    folder = finish_experiment(*loaded, command="killed.yaml").folder.path
    write_tables(load_run(folder))
    assert all(call == "score" for _, call, _ in calls(home)[len(written) :])
    assert set(calls(home)) == set(once)
    check_same(folder, whole)


def test_a_shard_of_what_could_not_be_written_is_refused(home: Path) -> None:
    make_home(home)
    path, failing = str(home / "killed.yaml"), "fail_on=Does the passage"
    both = [f"models.{model}.{failing}" for model in ("llama", "med")]
    with pytest.raises(BackendError) as failed:
        prepare_experiment(*load_config(path, both))
    assert failed.value.exit_code == 5
    with pytest.raises(DataError, match="is not prepared"):
        answer_shard(*load_config(path), Shard(2, 1))
    assert not list((home / "runs" / "killed").glob("records/*"))


@pytest.mark.slow
def test_a_run_that_is_killed_in_every_stage_gives_the_same(home: Path, tmp_path: Path) -> None:
    loaded = make_home(home)
    whole = run_whole(loaded).rename(tmp_path / "whole")
    once = calls(home)
    assert len(once) == len(set(once))
    sizes = {stage: len(recorded(whole, stage)) for stage in STAGES}
    assert min(sizes.values()) > 3
    (home / "calls.jsonl").unlink()
    folder, caught, kills = home / "runs" / "killed", set(), 0
    for stage, size in sizes.items():
        for enough in (2, size // 2 + 1):
            if len(recorded(folder, stage)) >= enough:
                continue  # stages of one model take turns
            known, asked = set(recorded(folder)), len(calls(home))
            kill(home, stage, enough)
            kills += 1
            again = {(model, prompt) for model, _, prompt in calls(home)[asked:]}
            assert not again & known
            caught |= {s for s, n in sizes.items() if 0 < len(recorded(folder, s)) < n}
    assert caught == set(STAGES)
    assert kills >= 12
    run_whole(loaded)
    assert set(calls(home)) == set(once)
    assert len(calls(home)) <= len(once) + kills  # at most the call under way at each kill
    check_same(folder, whole)
