"""Which arms a task has, and what ranks their passages."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.errors import UsageError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.sources import arms_of, corpora, searches, source_of, sources


def test_one_retrieval_at_the_largest_k(grid: Grid) -> None:
    found = {index.name: k for index, k in searches(grid.config, grid.tasks[0]).items()}
    assert found == {"bm25-icd10cm": 5, "minilm-flat-icd10cm": 5}


def test_depth_counts_fusions_and_gold_to_be_taken_out(mixed_grid: Grid) -> None:
    """bm25 and dense are fused at 100; each question has one gold passage: 2 + 1 for removal."""
    task = mixed_grid.tasks[0]
    assert {i.key: k for i, k in searches(mixed_grid.config, task).items()} == {
        "bm25": 100,
        "dense": 100,
    }
    assert {s.key: k for s, k in sources(mixed_grid.config, task).items()} == {
        "bm25": 3,
        "bm25+dense": 2,
    }


def test_arms_are_limited_to_their_tasks(mixed_grid: Grid) -> None:
    first, second, _ = mixed_grid.tasks
    assert "oracle-filled" in [arm.name for arm in arms_of(mixed_grid.config, first)]
    assert "oracle-filled" not in [arm.name for arm in arms_of(mixed_grid.config, second)]


def test_a_control_has_the_tasks_of_what_it_imitates(mixed_grid: Grid, mixed_home: Path) -> None:
    arms = (
        "arms=[{name: b, retriever: bm25, k: 1, tasks: [facts]}, "
        "{name: r, control: random, like: b}]"
    )
    grid = Grid(*load_config(str(mixed_home / "mixed.yaml"), [arms]))
    names = [[arm.name for arm in arms_of(grid.config, task)] for task in grid.tasks]
    assert names == [["b", "r"], [], []]


def test_a_task_without_a_corpus_needs_one_named(mixed_grid: Grid, mixed_home: Path) -> None:
    override = "tasks=[{name: facts, task: mcq, options: {path: facts.jsonl}}]"
    grid = Grid(*load_config(str(mixed_home / "mixed.yaml"), [override]))
    with pytest.raises(UsageError, match="no corpus of its own"):
        corpora(grid.config, grid.tasks)


def test_a_control_draws_from_the_corpus_of_the_arm_it_imitates(grid: Grid) -> None:
    arms = {arm.name: source_of(grid.config, arm, grid.tasks[0]) for arm in grid.config.arms}
    assert arms["closed-book"] is None
    assert arms["random-5"] == arms["bm25-5"]
