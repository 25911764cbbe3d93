"""An imported run is a run: it is scored, analysed, reported and shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner

from ragbench.base.records import Question
from ragbench.cli.main import cli
from ragbench.experiment.importing.imported import (
    ImportedAnswer,
    ImportedArm,
    ImportedRun,
    ImportedTask,
    write_run,
)
from ragbench.experiment.stages.score import score_run
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.records import last_records

QUESTIONS = [Question(f"q{i}", f"What is {i}?", ("a", "b"), i % 2, "?") for i in range(4)]


def run_of(name: str = "outside") -> ImportedRun:
    """Two arms of four questions; one has no answer in the arm with passages."""
    closed = {q.id: ImportedAnswer(reply="A") for q in QUESTIONS}
    given = {q.id: ImportedAnswer(reply="AB"[q.answer]) for q in QUESTIONS[:3]}
    return ImportedRun(
        name=name,
        mode="correct",
        sources={"file.jsonl": "0" * 64},
        tasks=[ImportedTask("t", QUESTIONS)],
        arms=[ImportedArm("closed-book"), ImportedArm("theirs-5", 5)],
        models=["gpt"],
        answers={("gpt", "t", "closed-book"): closed, ("gpt", "t", "theirs-5"): given},
    )


def test_a_lacking_answer_is_an_error_and_no_wrong_one(home: Path) -> None:
    folder = RunPaths(write_run(run_of()))
    assert score_run(folder) == 1
    records = last_records(folder.records("gpt", "t", "theirs-5"))
    assert records["q3"].error
    assert records["q2"].reply == "A"


def test_commands_take_it_as_their_own(home: Path) -> None:
    path = write_run(run_of())
    for command in (["score"], ["analyze"], ["report"]):
        result = CliRunner().invoke(cli, [*command, "outside"])
        assert result.exit_code == 0, result.output
    result = CliRunner().invoke(cli, ["show", "outside", "q1"])
    assert "What is 1?" in result.output
    text = (path / "report.md").read_text(encoding="utf-8")
    assert "imported file.jsonl" in text
    assert "| nan" not in text


def test_an_error_message_in_place_of_a_reply_is_an_error(home: Path) -> None:
    """Whatever the importer: replies are checked where every imported run is written."""
    run = run_of()
    message = "503 Server Error: Service Unavailable for url: http://localhost:8000/v1"
    closed = {**run.answers["gpt", "t", "closed-book"], "q0": ImportedAnswer(reply=message)}
    answers = {**run.answers, ("gpt", "t", "closed-book"): closed}
    folder = RunPaths(write_run(replace(run, answers=answers)))
    assert score_run(folder) == 2  # and the one without an answer
    record = last_records(folder.records("gpt", "t", "closed-book"))["q0"]
    assert (record.reply, record.finish) == (None, "error")
    assert record.error == f"in place of a reply: {message}"
