"""Where the files of a run are: every name stays in its folder, and a run is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ragbench.base.errors import DataError
from ragbench.runfolder.paths import RunPaths, find_run
from tests.runfolder.golden import OWN

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


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "a\0b", "..\\..\\secret"])
def test_a_name_cannot_leave_the_folder(name: str) -> None:
    paths: list[Callable[[], Path]] = [
        lambda: PATHS.questions(name),
        lambda: PATHS.packed("t", name),
        lambda: PATHS.records(name, "t", "a"),
        lambda: PATHS.retrieval("t", name, "json"),
        lambda: PATHS.scores(name),
    ]
    for path in paths:
        with pytest.raises(DataError, match="cannot be a name") as caught:
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
