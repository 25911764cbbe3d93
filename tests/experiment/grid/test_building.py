"""What a run needs and does not have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import UsageError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.building import build_missing
from ragbench.experiment.grid.grid import Grid
from ragbench.indexes.bm25.index import Bm25Index
from ragbench.indexes.bm25.recipe import Bm25Recipe
from tests.conftest import make_mixed_home


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
        build_missing(grid.config, grid.tasks)
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
    grid = Grid(*load_config(str(home / "mixed.yaml"), changes))
    manifests = build_missing(grid.config, grid.tasks)
    assert sorted(built) == [0.9, 2.0]
    parts = {part.name: part.digest for part in manifests["both-facts"].parts}
    assert parts == {name: manifests[name].digest for name in ("bm25-facts", "sharp-facts")}
