"""The parts of a grid."""

from __future__ import annotations

from dataclasses import replace

from ragbench.base.records import Question
from ragbench.experiment.config.spec import TaskSpec
from ragbench.experiment.grid.parts import IndexPart, TaskPart
from ragbench.tasks.task import TaskInfo

QUESTION = Question("q1", "Which?", ("a", "b"), 0, "Which?")
INFO = TaskInfo("Answer.", "", "CC0", "open", metrics=("accuracy", "brier"))


def part(**fields: object) -> TaskPart:
    made = TaskPart(TaskSpec.model_validate({"name": "t"}), INFO, [QUESTION], "letters", 8)
    return replace(made, **fields)  # type: ignore[arg-type]


def test_the_digest_covers_questions_and_examples() -> None:
    digest = part().digest
    assert part().digest == digest
    assert part(questions=[replace(QUESTION, text="What?")]).digest != digest
    assert part(info=replace(INFO, examples=(QUESTION,))).digest != digest
    assert part(reply_limit=9).digest == digest


def test_metrics_of_the_config_come_after_the_tasks_own() -> None:
    spec = TaskSpec.model_validate({"name": "t", "metrics": ["rougeL", "brier"]})
    assert part(spec=spec).metrics == ("accuracy", "brier", "rougeL")


def test_an_index_is_named_after_recipe_and_corpus() -> None:
    assert IndexPart("dense~documents", "minilm-flat", "ward", True).name == "minilm-flat-ward"
