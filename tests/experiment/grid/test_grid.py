"""The grid: tasks, models and pairs of a config."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragbench.base.cluster.engine import Node
from ragbench.base.errors import UsageError
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


@pytest.mark.parametrize("use", ["open", "restricted"])
def test_restricted_prompts_go_only_to_machines_of_a_cluster_that_are_named(
    use: str, home: Path
) -> None:
    line = {"id": "q", "question": "Gout?", "options": ["yes", "no"], "answer": "A"}
    (home / "asked.jsonl").write_text(json.dumps(line) + "\n")
    (home / "c.yaml").write_text(
        "name: c\nmodels: [{name: m, backend: scripted}]\narms: [closed-book]\n"
        "tasks: [{name: t, task: mcq, options: {path: asked.jsonl, data_use: " + use + "}}]\n"
        "trusted_endpoints: ['ray://10.0.0.7']\n"
    )
    grid = Grid(*load_config(str(home / "c.yaml")))
    grid.check_node(Node("10.0.0.7", 2, 0))
    grid.check_node(Node("10.0.0.8", 2, 0, is_here=True))
    if use == "open":
        grid.check_node(Node("10.0.0.8", 2, 0))
    else:
        with pytest.raises(UsageError, match=r"the task 't' is restricted.*10\.0\.0\.8"):
            grid.check_node(Node("10.0.0.8", 2, 0))
