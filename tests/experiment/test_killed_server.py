"""Runs whose server is killed: the same results once it is back, and no other model's answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ragbench.analysis.load import load_run
from ragbench.analysis.results import write_tables
from ragbench.base.errors import PrerequisiteError
from ragbench.models.served import http
from ragbench.models.served.patience import outages
from tests.experiment.served_runs import QUESTIONS, records, run, write_config
from tests.models.standing import Standing


@pytest.fixture(autouse=True)
def polled_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "pause", lambda _: None)
    monkeypatch.setattr(outages, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(outages, "LONGEST_PAUSE_S", 0.05)


def results(home: Path) -> str:
    folder = home / "runs" / "served"
    write_tables(load_run(folder))
    return (folder / "results.csv").read_text()


def once_there_are(home: Path, count: int, *steps: Callable[[], None]) -> threading.Thread:
    """Do some steps in a thread once a run has so many records."""

    def work() -> None:
        while len(records(home)) < count:
            time.sleep(0.01)
        for step in steps:
            step()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def standing() -> Iterator[Standing]:
    made = Standing()
    made.start()
    yield made
    made.kill()


def test_a_server_that_is_killed_and_restarted_changes_nothing(
    standing: Standing,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    found = []
    for name in ("whole", "broken"):
        home = tmp_path / name
        home.mkdir()
        monkeypatch.setenv("RAGBENCH_HOME", str(home))
        config = write_config(home, standing.url)
        if name == "broken":
            steps = (standing.kill, lambda: time.sleep(0.3), standing.start)
            thread = once_there_are(home, 10, *steps)
        assert run(config).errors == 0
        found.append(results(home))
    thread.join(60)
    assert found[0] == found[1]
    assert "m,asked,closed-book,accuracy," in found[0]
    written = records(home)
    assert sorted(r["question_id"] for r in written) == sorted(f"q{n}" for n in range(QUESTIONS))
    assert all(r["error"] is None for r in written)
    said = capfd.readouterr().err
    assert f"m: {standing.url} is away (" in said
    assert f"m: {standing.url} is back after " in said


@pytest.mark.slow
def test_another_model_in_a_new_process_is_refused(standing: Standing, home: Path) -> None:
    config = write_config(home, standing.url)
    thread = once_there_are(home, 10, standing.kill, lambda: standing.start("/tuned"))
    with pytest.raises(PrerequisiteError, match="serves another model as 'owner/served'"):
        run(config)
    thread.join(60)
    kept = records(home)
    assert 10 <= len(kept) < QUESTIONS
    standing.kill()
    standing.start()
    assert run(config).errors == 0
    assert records(home)[: len(kept)] == kept


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", [1, 4])
def test_ctrl_c_at_a_terminal_is_clean(standing: Standing, home: Path, concurrency: int) -> None:
    config = write_config(home, standing.url)
    once_there_are(home, 10, standing.kill)
    command = [sys.executable, "-m", "ragbench", "run", config]
    command += ["--set", f"models.m.concurrency={concurrency}"]
    environment = {**os.environ, "RAGBENCH_HOME": str(home)}
    running = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, text=True)
    assert running.stderr is not None
    said = ""
    while "is away" not in said:
        said = running.stderr.readline()
        assert said, "the run has ended"
    pressed = time.monotonic()
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    assert time.monotonic() - pressed < 30  # of 900 s of patience
    assert running.stderr.read().strip() == "interrupted; finished work is kept"
    running.stderr.close()
    assert all(r["error"] is None for r in records(home))
