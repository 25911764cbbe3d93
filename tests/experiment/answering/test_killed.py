"""SIGKILL in a run that may stop early: the same order, looks, decisions and tables afterwards."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from ragbench.analysis.judging import judge
from ragbench.analysis.load import load_run
from ragbench.analysis.results import write_tables
from ragbench.api import UntilWhen
from ragbench.experiment.answering.rounds import Until
from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import run_experiment
from ragbench.runfolder.looks.stopped import read_stopped
from ragbench.runfolder.paths import RunPaths
from tests.copies import started
from tests.experiment.answering.stopping_home import N, make_stopping_home

pytestmark = pytest.mark.slow  # each process takes seconds

TABLES = ("stopped.json", "results.csv", "effects.csv", "trajectory.csv")
SLOWLY = ("--set", "models.reads.delay_s=0.004", "--set", "models.guesses.delay_s=0.004")
CLOCKED = ("elapsed_s", "ended_at", "sum")  # keys of records that differ between equal runs


@pytest.fixture
def run(home: Path, stopped_home: Path) -> RunPaths:
    """Return the folder of a run that has not started; what it needs is built."""
    make_stopping_home(home)
    for name in ("corpora", "indexes"):
        shutil.copytree(stopped_home / name, home / name, dirs_exist_ok=True)
    return RunPaths(home / "runs" / "stops")


def asked(run: RunPaths) -> dict[str, list[dict[str, object]]]:
    """Return the whole lines of each cell's records without times."""
    found = {}
    for path in sorted((run.path / "records").glob("*.jsonl")):
        lines = path.read_bytes().splitlines(keepends=True)
        whole = [json.loads(line) for line in lines if line.endswith(b"\n")]
        found[path.name] = [{k: v for k, v in one.items() if k not in CLOCKED} for one in whole]
    return found


def count(run: RunPaths) -> int:
    return sum(map(len, asked(run).values()))


def looks(run: RunPaths) -> int:
    stopped = read_stopped(run)
    return 0 if stopped is None else len(stopped.looks)


def kill_when(run: RunPaths, is_time: Callable[[], bool], until: UntilWhen = "decided") -> bool:
    """Start the run, kill it as hard as can be, and return whether it was still going on."""
    home = run.path.parents[1]
    environment = {**os.environ, "RAGBENCH_HOME": str(home)}
    process = started(["run", "stops.yaml", "--until", until, *SLOWLY], environment, home)
    deadline = time.monotonic() + 600
    while not is_time() and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def finish(run: RunPaths, until: UntilWhen) -> None:
    loaded = load_config(str(run.path.parents[1] / "stops.yaml"))
    run_experiment(*loaded, until=Until(judge, every=until == "all"))
    write_tables(load_run(run.path))


def check_same(run: RunPaths, other: RunPaths, names: tuple[str, ...] = TABLES) -> None:
    assert asked(run) == asked(other)
    for name in names:
        assert (run.path / name).read_bytes() == (other.path / name).read_bytes(), name


def moments(run: RunPaths) -> Iterator[Callable[[], bool]]:
    """Yield when to kill a run: after drawn numbers of records, and between each look and round."""
    draw = random.Random(24)
    for enough in sorted(draw.sample(range(1, 195), 8)):
        yield partial(has, count, run, enough)
    for enough in range(1, 6):
        yield partial(has, looks, run, enough)


def has(number: Callable[[RunPaths], int], run: RunPaths, enough: int) -> bool:
    return number(run) >= enough


def test_killed_a_dozen_times_it_decides_the_same(run: RunPaths, stopped_home: Path) -> None:
    killed, before = 0, asked(run)
    for is_time in moments(run):
        killed += not is_time() and kill_when(run, is_time)
        after = asked(run)
        assert all(after[name][: len(lines)] == lines for name, lines in before.items())
        before = after
    assert killed >= 8
    finish(run, "decided")
    check_same(run, RunPaths(stopped_home / "runs" / "stops"))


@pytest.mark.parametrize("number", range(13))
def test_killed_once_at_any_moment_it_decides_the_same(
    run: RunPaths, stopped_home: Path, number: int
) -> None:
    assert kill_when(run, list(moments(run))[number])
    finish(run, "decided")
    check_same(run, RunPaths(stopped_home / "runs" / "stops"))


def test_stopped_killed_and_extended_equals_never_stopped(
    run: RunPaths, stopped_home: Path, tmp_path: Path
) -> None:
    finish(run, "all")
    whole = RunPaths(run.path.rename(tmp_path / "whole"))
    shutil.copytree(stopped_home / "runs" / "stops", run.path)
    assert kill_when(run, lambda: count(run) >= 250, until="all")
    finish(run, "all")
    assert count(run) == 6 * N
    check_same(run, whole, ("results.csv",))
    # The primary effects keep the looks that were taken; all else is as if there were none.
    tables = [pd.read_csv(one.path / "effects.csv") for one in (run, whole)]
    mine, other = (table[table.family != "primary"].reset_index(drop=True) for table in tables)
    pd.testing.assert_frame_equal(mine, other)
    known = ["effect", "model", "task", "arm", "n", "estimate", "helped", "hurt"]
    pd.testing.assert_frame_equal(tables[0][known], tables[1][known])
    verdicts = []
    for one in (run, whole):
        stopped = read_stopped(one)
        assert stopped is not None
        verdicts.append([effect.verdict for effect in stopped.effects])
    assert verdicts[0] == verdicts[1] == ["shown", "exhausted"]
