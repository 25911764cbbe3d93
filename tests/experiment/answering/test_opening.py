"""What is open: counted per cell, checked against the plan, and never rendered more than needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ragbench.base.errors import UsageError
from ragbench.experiment.answering.answer import answer_all
from ragbench.experiment.answering.opening import check_lengths, plan_units
from ragbench.experiment.answering.units import Shard
from ragbench.models.scripted import ScriptedModel
from ragbench.runfolder.paths import RunPaths
from tests.experiment.answering.parts import N, make_parts, opened_of


def test_every_question_is_open_at_first_and_none_at_the_end(home: Path) -> None:
    grid, packed = make_parts(home)
    opened, _ = opened_of(grid, home / "run", packed)
    assert [(task.task.spec.name, task.left) for task in opened["m"]] == [
        ("long", 3 * N),
        ("short", 3 * 4),
    ]
    assert answer_all(grid, RunPaths(home / "run"), packed) == 0
    opened, _ = opened_of(grid, home / "run", packed)
    assert [task.left for task in opened["m"]] == [0, 0]
    assert {cell.before for task in opened["m"] for cell in task.cells} == {N, 4}


def test_a_shard_opens_its_own_questions_without_those_that_the_run_has(home: Path) -> None:
    grid, packed = make_parts(home)
    shares = [
        opened_of(grid, home / f"{n}", packed, Shard(3, n), RunPaths(home / "run"))[0]
        for n in (1, 2, 3)
    ]
    assert sum(task.left for share in shares for task in share["m"]) == 3 * (N + 4)
    seen = [
        (task.task.spec.name, place)
        for share in shares
        for task in share["m"]
        for place in task.cells[0].open
    ]
    assert len(seen) == len(set(seen)) == N + 4
    answer_all(grid, RunPaths(home / "run"), packed)
    opened, _ = opened_of(grid, home / "1", packed, Shard(3, 1), RunPaths(home / "run"))
    assert [task.left for task in opened["m"]] == [0, 0]


def test_prompts_are_rendered_once_and_only_those_of_the_shard(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, packed = make_parts(home)
    real, rendered = ScriptedModel.render, []

    def noted(model: ScriptedModel, messages: object) -> str:
        rendered.append(messages)
        return real(model, messages)  # type: ignore[arg-type]

    monkeypatch.setattr(ScriptedModel, "render", noted)
    opened, jobs = opened_of(grid, home / "run", packed)
    check_lengths(grid, opened, jobs)
    assert len(rendered) == 3 * (N + 4)
    rendered.clear()
    opened, jobs = opened_of(grid, home / "1", packed, Shard(7, 1))
    assert sum(task.left for task in opened["m"]) == 2 * 3  # two of the 14 units, in three arms
    check_lengths(grid, opened, jobs)
    assert len(rendered) == 2 * 3


def test_the_worst_prompt_is_named_and_texts_are_counted_together(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, packed = make_parts(home)
    sizes = []

    def count_all(model: ScriptedModel, texts: Sequence[str]) -> list[int]:
        sizes.append(len(texts))
        return [5000 if "Question 7?" in text else 1000 for text in texts]

    monkeypatch.setattr(ScriptedModel, "count_all", count_all)
    opened, jobs = opened_of(grid, home / "run", packed)
    check_lengths(grid, opened, jobs)
    # Per cell: its prompts, and once the replies that are new: two letters, then two options.
    assert sizes == [N, 2, N, N, 4, 2, 4, 4]
    monkeypatch.setattr(grid.models["m"], "context_tokens", 5999)
    with pytest.raises(UsageError, match="a prompt of 6,000 tokens") as caught:
        check_lengths(grid, opened, jobs)
    assert caught.value.where == "task long, arm closed-book, question q7"


def test_units_follow_the_batch_size_of_each_model(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, _ = make_parts(home)
    assert [len(units) for units in plan_units(grid)["m"].values()] == [N, 4]
    monkeypatch.setattr(grid.models["m"], "batch_size", 3 * 4)  # four questions in three arms
    assert [len(units) for units in plan_units(grid)["m"].values()] == [3, 1]
