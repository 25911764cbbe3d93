"""The grid: tasks, models and pairs of a config."""

from __future__ import annotations

from pathlib import Path

from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.runfolder.pairs import Pair


def test_parts_are_made_once(mixed_grid: Grid) -> None:
    assert mixed_grid.tasks is mixed_grid.tasks
    assert mixed_grid.models is mixed_grid.models
    assert list(mixed_grid.models) == [model.name for model in mixed_grid.config.models]


def test_the_reference_model_is_the_first_general_one(mixed_grid: Grid) -> None:
    first = next(m.name for m in mixed_grid.config.models if m.kind == "general")
    assert mixed_grid.reference_model is mixed_grid.models[first]


def test_a_pair_is_a_model_with_its_base(mixed_home: Path) -> None:
    models = (
        "models=[{name: general, path: ./g}, "
        "{name: ours, path: ./o, kind: biomedical, base: general}]"
    )
    grid = Grid(*load_config(str(mixed_home / "mixed.yaml"), [models]))
    assert grid.pairs == [Pair("ours", "general")]
