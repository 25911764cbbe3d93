"""The grid: which indexes are needed, at which depth, and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import UsageError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid import Grid
from ragbench.indexes.bm25.index import Bm25Index
from ragbench.indexes.bm25.recipe import Bm25Recipe
from tests.conftest import make_mixed_home


@pytest.fixture
def grid(finished_home: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    monkeypatch.setenv("RAGBENCH_HOME", str(finished_home))
    return Grid(*load_config(str(finished_home / "small.yaml")))


@pytest.fixture
def mixed_grid(mixed_home: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    monkeypatch.setenv("RAGBENCH_HOME", str(mixed_home))
    return Grid(*load_config(str(mixed_home / "mixed.yaml")))


def test_one_retrieval_at_the_largest_k(grid: Grid) -> None:
    found = {index.name: k for index, k in grid.searches(grid.tasks[0]).items()}
    assert found == {"bm25-icd10cm": 5, "minilm-flat-icd10cm": 5}


def test_depth_counts_fusions_and_gold_to_be_taken_out(mixed_grid: Grid) -> None:
    """bm25 and dense are fused at 100; each question has one gold passage: 2 + 1 for removal."""
    task = mixed_grid.tasks[0]
    assert {i.key: k for i, k in mixed_grid.searches(task).items()} == {"bm25": 100, "dense": 100}
    assert {s.key: k for s, k in mixed_grid.sources(task).items()} == {"bm25": 3, "bm25+dense": 2}


def test_arms_are_limited_to_their_tasks(mixed_grid: Grid) -> None:
    first, second, _ = mixed_grid.tasks
    assert "oracle-filled" in [arm.name for arm in mixed_grid.arms_of(first)]
    assert "oracle-filled" not in [arm.name for arm in mixed_grid.arms_of(second)]


def test_a_control_has_the_tasks_of_what_it_imitates(mixed_grid: Grid, mixed_home: Path) -> None:
    arms = (
        "arms=[{name: b, retriever: bm25, k: 1, tasks: [facts]}, "
        "{name: r, control: random, like: b}]"
    )
    grid = Grid(*load_config(str(mixed_home / "mixed.yaml"), [arms]))
    names = [[arm.name for arm in grid.arms_of(task)] for task in grid.tasks]
    assert names == [["b", "r"], [], []]


def test_scoring_is_the_arms_the_configs_or_the_tasks_own(mixed_grid: Grid) -> None:
    assert [t.scoring for t in mixed_grid.tasks] == ["letters", "options", "generate"]
    assert [t.reply_limit for t in mixed_grid.tasks] == [12, 12, 12]


def test_a_task_without_a_corpus_needs_one_named(mixed_grid: Grid, mixed_home: Path) -> None:
    override = "tasks=[{name: facts, task: mcq, options: {path: facts.jsonl}}]"
    grid = Grid(*load_config(str(mixed_home / "mixed.yaml"), [override]))
    with pytest.raises(UsageError, match="no corpus of its own"):
        grid.corpora()


def test_a_control_draws_from_the_corpus_of_the_arm_it_imitates(grid: Grid) -> None:
    arms = {arm.name: grid.source_of(arm, grid.tasks[0]) for arm in grid.config.arms}
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


@pytest.mark.parametrize("arm", ["k: 4", "k: 2, within: documents"])
def test_more_hits_than_a_recipe_ranks_are_refused_before_it_is_built(home: Path, arm: str) -> None:
    """Within a question's own documents all twelve passages are ranked."""
    make_mixed_home(home)
    (home / "indexes").mkdir()
    recipe = "kind: hybrid\nparts: [bm25, bm25-okapi]\ndepth: 3\n"
    (home / "indexes" / "shallow.yaml").write_text(recipe, encoding="utf-8")
    changes = [
        "indexes={h: {recipe: shallow}}",
        f"arms=[closed-book, {{name: deep, retriever: h, {arm}}}]",
        "tasks=[{name: facts, task: mcq, options: {path: facts.jsonl, corpus: facts}}]",
    ]
    grid = Grid(*load_config(str(home / "mixed.yaml"), changes))
    with pytest.raises(UsageError, match=r"(4|12) hits .* from 'h.*', whose recipe ranks 3"):
        grid.build_missing()
    assert not (home / "indexes" / "shallow-facts").exists()
    with pytest.raises(UsageError, match="whose recipe ranks 3"):
        grid.missing()


def test_an_index_and_the_hybrid_of_it_are_built_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_mixed_home(home)
    (home / "indexes").mkdir()
    (home / "indexes" / "sharp.yaml").write_text("kind: bm25\nk1: 2\n")
    (home / "indexes" / "both.yaml").write_text("kind: hybrid\nparts: [bm25, sharp]\n")
    built: list[float] = []
    build = Bm25Index.build

    def counted(recipe: Bm25Recipe, *others: Any) -> dict[str, Any]:
        built.append(recipe.k1)
        return build(recipe, *others)

    monkeypatch.setattr(Bm25Index, "build", counted)
    changes = [
        "indexes={both: {recipe: both}, sharp: {recipe: sharp}, bm25: {recipe: bm25}}",
        "arms=[{retriever: sharp, k: 1}, {retriever: both, k: 1}, {retriever: bm25, k: 1}]",
    ]
    manifests = Grid(*load_config(str(home / "mixed.yaml"), changes)).build_missing()
    assert sorted(built) == [0.9, 2.0]
    parts = {part.name: part.digest for part in manifests["both-facts"].parts}
    assert parts == {name: manifests[name].digest for name in ("bm25-facts", "sharp-facts")}
