"""Entries of ``tasks`` as tasks with questions."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.errors import UsageError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid


def test_scoring_is_the_arms_the_configs_or_the_tasks_own(mixed_grid: Grid) -> None:
    assert [t.scoring for t in mixed_grid.tasks] == ["letters", "options", "generate"]
    assert [t.reply_limit for t in mixed_grid.tasks] == [12, 12, 12]


def test_unknown_task_and_unknown_option(finished_home: Path) -> None:
    for override, what in (
        ("tasks.0.task=icd10", "there is no 'icd10'"),
        ("tasks.0.options={chapter: ['3']}", "there is no key 'chapter'"),
    ):
        grid = Grid(*load_config(str(finished_home / "small.yaml"), [override]))
        with pytest.raises(UsageError, match=what):
            _ = grid.tasks
