"""Grids of the two finished homes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid


@pytest.fixture
def grid(finished_home: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    monkeypatch.setenv("RAGBENCH_HOME", str(finished_home))
    return Grid(*load_config(str(finished_home / "small.yaml")))


@pytest.fixture
def mixed_grid(mixed_home: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    monkeypatch.setenv("RAGBENCH_HOME", str(mixed_home))
    return Grid(*load_config(str(mixed_home / "mixed.yaml")))
