"""Who gets whose passages, and the names of rankings by written queries."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.sources import readers_of, searches, source_keys, source_of
from ragbench.experiment.grid.written import Kept, Written
from ragbench.experiment.identity import resolved
from tests.experiment.writing.cases import make_cases


@pytest.fixture
def grid(home: Path) -> Grid:
    return Grid(*load_config(str(make_cases(home) / "written.yaml")))


def test_readers_of_each_arm(grid: Grid) -> None:
    both, all_alike = ("llama", "med"), ("",)
    assert {arm.name: readers_of(grid.config, arm) for arm in grid.config.arms} == {
        "closed-book": all_alike,
        "plain-1": all_alike,
        "rationale-1": all_alike,
        "own-1": both,
        "parts-2": all_alike,
        "shown-1": all_alike,
        "memory": both,
        "filtered-1": all_alike,
        "random-own-1": both,
        "random-memory": both,
        "shuffled-memory": both,
    }


def test_a_ranking_is_named_by_its_queries_and_their_writer(grid: Grid) -> None:
    (task,) = grid.tasks
    assert source_keys(grid.config, task) == {
        "bm25",
        "bm25~rationale",
        "bm25~own@llama",
        "bm25~own@med",
        "bm25~parts",
        "bm25~shown",
    }
    depths = {part.key: k for part, k in searches(grid.config, task).items()}
    # Rankings of subquestions are fused at the depth of a fusion.
    assert depths["bm25~parts"] == 100 and depths["bm25~own@med"] == 1


def test_the_run_folder_derives_the_same_names(grid: Grid) -> None:
    """The analysis reads the names of rankings from run.json, without this room."""
    (task,), config = grid.tasks, resolved(grid)
    for arm in grid.config.arms:
        assert config.has_own(arm.name) == (len(readers_of(grid.config, arm)) > 1)
        for model in ("llama", "med"):
            source = source_of(grid.config, arm, task, model)
            if source is not None and source.key:
                assert config.ranking(arm.name, "bm25", model) == source.key


def test_nothing_written_is_empty() -> None:
    assert Written() == Written({}, {}, {})
    assert (Kept().ids, Kept().dropped) == ((), 0)
