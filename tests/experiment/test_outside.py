"""A package that brings a task, a reply reader and a metric, from its entry points to scores."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ragbench.base.registry import Registry
from ragbench.experiment.importing.imported import (
    ImportedAnswer,
    ImportedArm,
    ImportedRun,
    ImportedTask,
    write_run,
)
from ragbench.experiment.stages.score import score_run
from ragbench.metrics import metrics
from ragbench.runfolder.paths import RunPaths
from ragbench.tasks import tasks
from ragbench.tasks.replies import reply_readers

TASK = """
from ragbench.base.records import Question
from ragbench.tasks.task import TaskInfo, TaskOptions

GRADES = ("none", "mild", "moderate", "severe")


class PainTask:
    Options = TaskOptions
    about = TaskInfo(
        instruction="Grade the pain from 0 to 3. Reply with `Grade: N`.",
        default_corpus="",
        licence="CC0",
        data_use="open",
        scoring="generate",
        reader="grade",
        metrics=("closeness", "accuracy"),
    )
    info = about

    def __init__(self, options):
        pass

    def questions(self, *, limit, seed):
        right = {"p1": 3, "p2": 0, "p3": 1, "p4": 2, "p5": 2}
        asked = [Question(i, f"How bad is {i}?", GRADES, a, i) for i, a in right.items()]
        return asked[:limit]
"""
READER = '''
import re

from ragbench.tasks.replies.reader import Reading


def read_grade(reply, question, finish):
    """The last grade counts; one beyond the scale is none."""
    found = re.findall(r"Grade: ([0-9]+)", reply)
    if found and int(found[-1]) < len(question.options):
        return Reading("parsed", int(found[-1]), "grade", reply, "")
    return Reading("truncated" if finish == "length" else "unparsed", None, "", reply, "")
'''
METRIC = '''
def closeness(answers, options):
    """1 for the right grade, 0 for the other end of the scale or no grade."""
    return [
        0.0
        if a.pick is None
        else 1 - abs(a.pick - a.question.answer) / (len(a.question.options) - 1)
        for a in answers
    ]
'''
POINTS = """
[ragbench.tasks]
pain = pain_task:PainTask

[ragbench.reply_readers]
grade = pain_reader:read_grade

[ragbench.metrics]
closeness = pain_metric:closeness
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay out a package as pip installs it, and let the registries look for it."""
    site = tmp_path / "site"
    info = site / "pain-1.0.dist-info"
    info.mkdir(parents=True)
    for name, code in (("task", TASK), ("reader", READER), ("metric", METRIC)):
        assert len(code.splitlines()) < 60
        (site / f"pain_{name}.py").write_text(code, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pain\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(site))
    registries: tuple[Registry[object], ...] = (tasks, reply_readers, metrics)  # type: ignore[assignment]
    for registry in registries:
        monkeypatch.setattr(registry, "_table", dict(registry._table))
        monkeypatch.setattr(registry, "_outside_loaded", False)


@pytest.mark.usefixtures("package")
def test_a_run_is_scored_by_what_the_package_brings(home: Path) -> None:
    kind = tasks.get("pain")
    task = kind(kind.Options())
    replies = {
        "p1": ImportedAnswer(reply="Grade: 3", finish="stop"),
        "p2": ImportedAnswer(reply="Grade: 1, or rather Grade: 2", finish="stop"),
        "p3": ImportedAnswer(reply="It hurts a lot.", finish="stop"),
        "p4": ImportedAnswer(reply="Grade: 30", finish="length"),
    }  # and no record of p5
    run = ImportedRun(
        name="pain",
        mode="correct",
        sources={},
        tasks=[
            ImportedTask(
                "pain",
                task.questions(limit=None, seed=1),
                scoring=task.info.scoring,
                reader=task.info.reads,
                metrics=task.info.metrics,
            )
        ],
        arms=[ImportedArm("closed-book")],
        models=["m"],
        answers={("m", "pain", "closed-book"): replies},
    )
    folder = RunPaths(write_run(run))
    folder.scores("correct").unlink()
    assert score_run(folder) == 1
    found = pd.read_parquet(folder.scores("correct")).set_index("question_id")
    assert found.outcome.to_dict() == {
        "p1": "parsed",
        "p2": "parsed",
        "p3": "unparsed",
        "p4": "truncated",
        "p5": "error",
    }
    assert found.pick[["p1", "p2"]].tolist() == [3, 2]
    assert found.rule[["p1", "p2"]].tolist() == ["grade", "grade"]
    # p1 is right; p2 says 2 where 0 is right, on a scale of 3 steps: 1 - 2 / 3.
    assert found.closeness[:4].tolist() == pytest.approx([1, 1 / 3, 0, 0])
    assert found.accuracy[:4].tolist() == [1, 0, 0, 0]
    assert found.closeness.isna().tolist() == [False] * 4 + [True]


@pytest.mark.usefixtures("package")
def test_the_registries_name_the_package() -> None:
    for registry, name in ((tasks, "pain"), (reply_readers, "grade"), (metrics, "closeness")):
        (entry,) = [entry for key, entry in registry.items() if key == name]
        assert entry.summary == "from pain"
        assert "pain_" in registry.find(name)
