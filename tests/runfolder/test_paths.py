"""Where the files of a run are: every name stays in its folder, and a run is found."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ragbench.analysis.load import load_run
from ragbench.base.errors import DataError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import run_experiment
from ragbench.experiment.stages.score import score_run
from ragbench.report.write import write_report
from ragbench.runfolder.paths import RunPaths, find_run
from tests.runfolder.golden import OWN
from tests.runfolder.sealing import reseal

PATHS = RunPaths(Path("runs/r"))


def test_files_are_where_a_run_has_them() -> None:
    found = {
        OWN.run,
        OWN.sessions,
        OWN.passages,
        OWN.prompts,
        OWN.questions("facts"),
        OWN.retrieval("facts", "bm25+dense", "trec"),
        OWN.retrieval("facts", "bm25", "json"),
        OWN.retrieval("facts", "bm25", "quality.jsonl"),
        OWN.packed("facts", "bm25-2"),
        OWN.records("smollm2", "facts", "bm25-2"),
    }
    assert all(path.is_file() for path in found)
    assert OWN.records("smollm2", "facts", "bm25-2") in OWN.all_records()
    assert OWN.scores("correct") == OWN.path / "scores" / "correct.parquet"


def test_shards_are_folders_of_their_own(tmp_path: Path) -> None:
    run = RunPaths(tmp_path)
    assert run.shards() == []
    shard = run.shard("3-of-16")
    assert shard.prompts == tmp_path / "shards" / "3-of-16" / "prompts" / "0.jsonl"
    shard.path.mkdir(parents=True)
    (tmp_path / "shards" / ".3-of-16.lock").touch()
    assert run.shards() == [shard]
    assert run.all_records() == []


@pytest.mark.parametrize(
    "name", ["../../secret", "/etc/passwd", "a\0b", "..\\..\\secret", "..", "", "a" * 300, "\ud800"]
)
def test_a_name_cannot_leave_the_folder(name: str) -> None:
    paths: list[Callable[[], Path]] = [
        lambda: PATHS.questions(name),
        lambda: PATHS.packed("t", name),
        lambda: PATHS.records(name, "t", "a"),
        lambda: PATHS.retrieval("t", name, "json"),
        lambda: PATHS.scores(name),
    ]
    for path in paths:
        with pytest.raises(DataError, match=r"cannot be (a|the) name") as caught:
            path()
        assert caught.value.where == str(Path("runs/r/run.json"))


def test_a_run_is_found_by_name_and_path(home: Path) -> None:
    folder = home / "runs" / "r"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    assert find_run("r").path == find_run(str(folder)).path == folder.resolve()
    with pytest.raises(DataError, match="no run 'q'") as caught:
        find_run("q")
    assert "runs here: r" in caught.value.fix


@pytest.mark.parametrize("entry", ["results.csv", "scores", "records/.x.lock", "prompts/0.jsonl"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_link_out_of_a_run_is_neither_read_nor_written(
    run_copy: Path, tmp_path: Path, entry: str, exists: bool
) -> None:
    """A folder from elsewhere may hold links; nothing is read or written through them."""
    outside = tmp_path / "outside"
    entry_path = run_copy / entry
    if entry_path.is_dir():
        shutil.rmtree(entry_path)
    entry_path.unlink(missing_ok=True)
    if exists:
        outside.write_text("mine")
    entry_path.symlink_to(outside)
    config = load_config(str(run_copy.parents[1] / "small.yaml"))
    commands: list[Callable[[], object]] = [
        lambda: load_run(run_copy),
        lambda: score_run(RunPaths(run_copy)),
        lambda: write_report(run_copy),
        lambda: find_run("small"),
        lambda: run_experiment(*config),
    ]
    for command in commands:
        with pytest.raises(DataError, match="a link that leads out") as caught:
            command()
        assert caught.value.where == str(entry_path)
    assert outside.exists() == exists
    assert not exists or outside.read_text() == "mine"


def test_links_within_a_run_are_followed_and_pipes_are_not(run_copy: Path) -> None:
    (run_copy / "again.csv").symlink_to("results.csv")
    moved = run_copy.with_name("elsewhere")
    moved.symlink_to(run_copy)  # the run itself may be a link
    assert find_run("elsewhere").path == run_copy
    (run_copy / "loop").symlink_to("loop")
    with pytest.raises(DataError, match="a link that leads out"):
        find_run("small")
    (run_copy / "loop").unlink()
    os.mkfifo(run_copy / "pipe")
    with pytest.raises(DataError, match="pipe or a device"):
        find_run("small")


@pytest.mark.parametrize("mode", ["../../escaped", "correct/x", "/tmp/x", "", None, 1])
def test_the_mode_of_a_run_json_is_no_path(run_copy: Path, mode: object) -> None:
    about = json.loads((run_copy / "run.json").read_text())
    about["config"]["mode"] = mode
    (run_copy / "run.json").write_text(json.dumps(about))
    reseal(run_copy)
    before = sorted(run_copy.parents[1].rglob("*"))
    for command in (load_run, write_report, lambda path: score_run(RunPaths(path))):
        with pytest.raises(DataError, match=r"unreadable 'config\.mode'"):
            command(run_copy)
    assert sorted(run_copy.parents[1].rglob("*")) == before


def test_a_model_gets_its_own_passages_or_those_of_all(tmp_path: Path) -> None:
    run = RunPaths(tmp_path)
    shared = tmp_path / "packed" / "t+a.jsonl"
    assert run.delivered("t", "a", "m") == run.packed("t", "a") == shared
    own = run.packed("t", "a", "m")
    assert own == tmp_path / "packed" / "t+a+m.jsonl"
    own.parent.mkdir()
    own.touch()
    assert run.delivered("t", "a", "m") == own and run.delivered("t", "a", "n") == shared
    assert run.filtered("t", "a", "m") == tmp_path / "filtered" / "t+a+m.jsonl"
    assert run.written.records("m", "t", "q").parent == tmp_path / "written" / "records"
