"""The run folder: another experiment is refused, an extension is let in."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError, UsageError
from ragbench.base.files import write_json
from ragbench.base.records import Question
from ragbench.experiment.folder import (
    RunFolder,
    find_run,
    question_from_json,
    question_to_json,
)

CONFIG: dict[str, Any] = {
    "seed": 1,
    "description": "",
    "analysis": {"alpha": 0.05},
    "tasks": [{"name": "t", "limit": 5}],
    "arms": [{"name": "closed-book"}],
    "models": [{"name": "m", "path": "x"}],
}
IDENTITY: dict[str, Any] = {
    "tasks": {"t": {"digest": "a", "n": 5}},
    "models": {"m": {"digest": "b", "device": "cpu"}},
    "indexes": {"i": {"digest": "c"}},
}


RECORD: dict[str, Any] = {
    "key": "k",
    "question_id": "q",
    "prompt": "p",
    "log_likelihoods": [],
    "error": None,
}


@pytest.fixture
def folder(home: Path) -> RunFolder:
    made = RunFolder(home / "runs" / "r")
    made.start(CONFIG, IDENTITY, extend=False)
    path = made.records("m", "t", "closed-book")
    path.parent.mkdir()
    path.write_text(json.dumps(RECORD) + "\n", encoding="utf-8")
    return made


def changed(path: str, value: object) -> tuple[dict[str, Any], dict[str, Any]]:
    both = {"config": copy.deepcopy(CONFIG), "identity": copy.deepcopy(IDENTITY)}
    place: Any = both
    *parents, last = path.split(".")
    for part in parents:
        place = place[int(part)] if part.isdigit() else place[part]
    place[last] = value
    return both["config"], both["identity"]


def test_the_same_experiment_goes_on(folder: RunFolder) -> None:
    folder.start(CONFIG, IDENTITY, extend=False)
    assert len((folder.path / "sessions.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("config.seed", 2, "config.seed"),
        ("config.tasks.0.limit", 6, "config.tasks.t.limit"),
        ("config.models.0.path", "y", "config.models.m.path"),
        ("identity.indexes.i.digest", "d", "indexes.i.digest"),
        ("identity.models.m.digest", "d", "models.m.digest"),
        ("config.arms", [], "config.arms"),
    ],
)
def test_another_experiment_is_refused(
    folder: RunFolder, path: str, value: object, named: str
) -> None:
    with pytest.raises(UsageError, match="another config") as caught:
        folder.start(*changed(path, value), extend=False)
    assert named in caught.value.where


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("config.description", "new words"),
        ("config.analysis", {"alpha": 0.1}),
        ("identity.models.m.device", "cuda"),
    ],
)
def test_what_changes_no_record_may_change(folder: RunFolder, path: str, value: object) -> None:
    folder.start(*changed(path, value), extend=False)
    folder.check(*changed(path, value), extend=False)
    assert (folder.path / "run.json").is_file()


def test_extend_adds_and_nothing_else(folder: RunFolder) -> None:
    arms = [{"name": "closed-book"}, {"name": "b", "k": 5}]
    folder.check(*changed("config.arms", arms), extend=True)
    folder.check(*changed("config.tasks.0.limit", 6), extend=True)
    for path, value in (
        ("config.seed", 2),
        ("config.tasks.0.limit", 4),
        ("config.arms", [{"name": "b", "k": 5}]),
        ("identity.indexes.i.digest", "d"),
    ):
        with pytest.raises(UsageError):
            folder.check(*changed(path, value), extend=True)


def test_find_run_by_name_and_path(folder: RunFolder) -> None:
    assert find_run("r").path == folder.path.resolve()
    assert find_run(str(folder.path)).path == folder.path.resolve()
    with pytest.raises(DataError, match="no run 'q'") as caught:
        find_run("q")
    assert "runs here: r" in caught.value.fix


def test_other_format_is_refused(folder: RunFolder) -> None:
    write_json(folder.path / "run.json", {"format": 99})
    with pytest.raises(DataError, match="format 99"):
        folder.read()


def test_questions_survive_the_round_trip() -> None:
    question = Question("q", "t", ("a", "b"), 1, "s", ("g",), "stratum", "cluster")
    assert question_from_json(question_to_json(question)) == question


def test_a_run_without_an_answer_may_change(folder: RunFolder) -> None:
    """What a refused plan has left must not stand in the way of the mended config."""
    folder.records("m", "t", "closed-book").write_text("")
    folder.start(*changed("config.seed", 2), extend=False)
    assert folder.read()["config"]["seed"] == 2


def test_records_are_checked_line_by_line(folder: RunFolder) -> None:
    assert list(folder.read_records("m", "t", "closed-book")) == [RECORD]
    assert list(folder.read_records("m", "t", "other")) == []
    with folder.records("m", "t", "closed-book").open("a", encoding="utf-8") as handle:
        handle.write('{"question_id": "x"}\n')
    with pytest.raises(DataError, match="it has no error, key") as caught:
        list(folder.read_records("m", "t", "closed-book"))
    assert caught.value.where.endswith(".0.jsonl:2")


@pytest.mark.parametrize(
    ("path", "value", "fits"),
    [
        ("identity.tasks.t.n", 9, True),
        ("identity.tasks.t.n", 4, False),  # questions were dropped
        ("identity.tasks.t.digest", "z", True),  # more questions; their records' keys say which
        ("config.tasks.0.options", {"strata": ["one"]}, False),  # a new option of an old task
        ("identity.tasks.u", {"digest": "a", "n": 5}, True),
    ],
)
def test_an_extension_only_adds(folder: RunFolder, path: str, value: object, fits: bool) -> None:
    config, identity = changed(path, value)
    if fits:
        folder.check(config, identity, extend=True)
        return
    with pytest.raises(UsageError, match="another config"):
        folder.check(config, identity, extend=True)
