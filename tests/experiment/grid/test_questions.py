"""Entries of ``tasks`` as tasks with questions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import UsageError
from ragbench.base.records import Question
from ragbench.base.registry import Entry
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.run import run_experiment
from ragbench.tasks import tasks
from ragbench.tasks.task import TaskInfo, TaskOptions


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


class Doses:
    """A task of another package, whose statement a test changes."""

    Options = TaskOptions
    about = TaskInfo(instruction="Be brief.", default_corpus="", licence="CC0", data_use="open")
    info = about

    def __init__(self, options: TaskOptions) -> None: ...

    def questions(self, *, limit: int | None, seed: int) -> list[Question]:
        return [Question("d1", "How much?", ("1 mg", "2 mg"), 0, "dose")]


@pytest.mark.parametrize(
    ("stated", "override", "what", "hint"),
    [
        ({"reader": "optoin"}, "", "no 'optoin' among the reply-readers", "mean 'option'?"),
        ({"metrics": ("acuracy",)}, "", "no 'acuracy' among the metrics", "mean 'accuracy'"),
        ({"scoring": "leters"}, "", "unknown scoring 'leters'", "mean 'letters'?"),
        ({"answers": "labels"}, "", "unknown kind of answers 'labels'", "mean 'label'?"),
        ({}, "tasks.0.metrics=[rouge9]", "no 'rouge9' among the metrics", "mean 'rouge"),
        ({}, "tasks.0.scoring=leters", "'letters', 'generate'; it is \"leters\"", ""),
        ({}, "mode=mirage", "the task 'doses' has no mode 'mirage'", "known: correct"),
    ],
)
def test_unknown_names_of_a_task_are_refused_before_a_model_is_made(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    stated: dict[str, Any],
    override: str,
    what: str,
    hint: str,
) -> None:
    def never(grid: Grid) -> None:
        raise AssertionError("a model was made")

    monkeypatch.setattr(Grid, "models", property(never))
    entry = Entry(f"{__name__}:Doses", "doses")
    monkeypatch.setattr(tasks, "_table", {**tasks._table, "doses": entry})
    monkeypatch.setattr(Doses, "info", replace(Doses.info, **stated))
    (home / "doses.yaml").write_text(
        "name: doses\nmodels: [{name: m, path: m.gguf}]\ntasks: [{name: doses}]\n"
        "arms: [closed-book]\n"
    )
    with pytest.raises(UsageError) as caught:
        run_experiment(*load_config(str(home / "doses.yaml"), [override] if override else []))
    assert what in caught.value.what
    assert hint in caught.value.fix
    assert "--set" in caught.value.where if override else "doses.yaml:3" in caught.value.where
    if not override:
        assert "Doses" in caught.value.where
    assert not (home / "runs" / "doses" / "run.json").exists()
