"""The grid: which indexes are needed, at which depth, and what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.errors import UsageError
from ragbench.experiment.config import load_config
from ragbench.experiment.grid import Grid


@pytest.fixture
def grid(finished_home: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    monkeypatch.setenv("RAGBENCH_HOME", str(finished_home))
    return Grid(*load_config(str(finished_home / "small.yaml")))


def test_one_retrieval_at_the_largest_k(grid: Grid) -> None:
    found = [(task.spec.name, index.name, k) for task, index, k in grid.retrievals()]
    assert found == [
        ("icd10cm", "bm25-icd10cm", 5),
        ("icd10cm", "minilm-flat-icd10cm", 5),
    ]


def test_a_control_draws_from_the_corpus_of_the_arm_it_imitates(grid: Grid) -> None:
    arms = {arm.name: grid.index_of(arm, grid.tasks[0]) for arm in grid.config.arms}
    assert arms["closed-book"] is None
    assert arms["random-5"] == arms["bm25-5"]


def test_missing_lists_the_commands(
    grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert grid.missing() == []
    monkeypatch.setenv("RAGBENCH_HOME", str(tmp_path))
    assert grid.missing() == [
        "ragbench corpus build icd10cm",
        "ragbench index build bm25 --corpus icd10cm",
        "ragbench index build minilm-flat --corpus icd10cm",
    ]


def test_unknown_task_and_unknown_option(finished_home: Path) -> None:
    for override, what in (
        ("tasks.0.task=icd10", "there is no 'icd10'"),
        ("tasks.0.options={chapter: ['3']}", "there is no key 'chapter'"),
    ):
        grid = Grid(*load_config(str(finished_home / "small.yaml"), [override]))
        with pytest.raises(UsageError, match=what):
            _ = grid.tasks
