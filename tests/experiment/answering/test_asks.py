"""The prompts of a unit: each distinct one once, with every open question that waits for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.errors import BackendError
from ragbench.experiment.answering.answer import answer_all
from ragbench.experiment.answering.asks import Asks
from ragbench.models.scripted import ScriptedModel
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.records import read_records
from tests.experiment.answering.parts import N, make_parts, opened_of


def test_equal_prompts_of_two_arms_are_one(home: Path) -> None:
    grid, packed = make_parts(home)
    opened, jobs = opened_of(grid, home / "run", packed)
    units = list(Asks(jobs, None).units("m", opened["m"]))
    assert len(units) == N + 4
    for unit in units:
        takers = [[taker.cell.cell.arm for taker in ask.takers] for ask in unit]
        assert takers == [["closed-book"], ["made", "same"]]
        assert all(ask.is_beside and ask.known is None for ask in unit)
        assert len({taker.job.question.id for ask in unit for taker in ask.takers}) == 1


def test_an_arm_that_is_there_gives_its_answer_and_is_not_asked_beside_a_new_one(
    home: Path,
) -> None:
    grid, packed = make_parts(home)
    folder = RunPaths(home / "run")
    answer_all(grid, folder, packed)
    folder.records("m", "long", "same").unlink()
    opened, jobs = opened_of(grid, home / "run", packed)
    units = list(Asks(jobs, None).units("m", opened["m"]))
    assert len(units) == N
    given = {r.question_id: r for r in read_records(folder.records("m", "long", "made"))}
    for unit in units:
        alone, shared = unit
        assert (alone.takers, alone.known, alone.is_beside) == ([], None, False)
        assert shared.known is not None and shared.is_beside
        assert shared.known.record == given[shared.job.question.id]


def test_an_error_of_a_shared_prompt_is_that_of_each_question_and_asked_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, packed = make_parts(home)
    folder, calls = RunPaths(home / "run"), []
    real = ScriptedModel.score_options

    def fail(model: ScriptedModel, prompt: str, options: tuple[str, ...]) -> object:
        calls.append(prompt)
        if "Question 3?" in prompt and "A passage." in prompt:
            raise BackendError("out of memory")
        return real(model, prompt, options)

    with monkeypatch.context() as broken:
        broken.setattr(ScriptedModel, "score_options", fail)
        errors = answer_all(grid, folder, packed)
    n_tasks = sum(any(q.id == "q3" for q in task.questions) for task in grid.tasks)
    assert errors == 2 * n_tasks
    assert len(calls) == 2 * (N + 4)
    failed = [r for r in read_records(folder.records("m", "long", "same")) if r.error]
    assert [(r.question_id, r.error, r.reused) for r in failed] == [("q3", "out of memory", None)]
    assert answer_all(grid, folder, packed) == 0
