"""Records of several cells at a time: each in its own file, its errors in the questions' order."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ragbench.base.errors import BackendError, DataError
from ragbench.base.files import JsonlAppender
from ragbench.base.records import Question, Reply
from ragbench.experiment.answering.writing import Cell, Job, Open, OpenCell, Writer
from ragbench.experiment.config.spec import TaskSpec
from ragbench.experiment.grid.parts import TaskPart
from ragbench.runfolder.passages import read_prompts
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.records import read_records, sealed
from ragbench.tasks.task import TaskInfo

INFO = TaskInfo(instruction="Be brief.", default_corpus="c", licence="", data_use="open")
REPLY = Reply(text="A", tokens=1, finish="stop", prompt_tokens=9, elapsed_s=0.25)


def open_cell(model: str, size: int) -> OpenCell:
    spec = TaskSpec(name="asked", task="mcq")
    task = TaskPart(spec, INFO, [], "generate", 4)
    return OpenCell(Cell(model, task, "closed-book"), {n: n for n in range(size)})


def asked(cell: OpenCell, n: int) -> Open:
    question = Question(f"q{n}", "Which?", ("a", "b"), 0, "Which?")
    return Open(cell, n, Job(question, f"prompt {n}", [], "0" * 64))


def test_cells_are_written_side_by_side_and_each_file_is_closed_with_its_last_record(
    tmp_path: Path,
) -> None:
    folder = RunPaths(tmp_path)
    first, second = open_cell("m", 2), open_cell("n", 2)
    writer = Writer(17, folder)
    now = time.time()
    for place in (1, 0):
        for cell in (first, second):
            record = writer.write(asked(cell, place), REPLY, now)
            assert (record.elapsed_s, record.ended_at) == (0.25, round(now, 3))
        if place:
            with pytest.raises(DataError, match="is being written by another process"):
                JsonlAppender(folder.records("m", "asked", "closed-book"))
    JsonlAppender(folder.records("m", "asked", "closed-book")).close()
    writer.close()
    for name in ("m", "n"):
        found = read_records(folder.records(name, "asked", "closed-book"))
        assert [record.question_id for record in found] == ["q1", "q0"]
    assert len(set(read_prompts(folder.prompts))) == 2  # each text once for both models
    assert (writer.written, writer.errors) == (4, 0)


def test_files_of_unfinished_cells_are_closed_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunPaths(tmp_path)
    cell = open_cell("m", 3)
    writer = Writer(17, folder)
    writer.write(asked(cell, 0), Reply("\ud800", 1, "stop", 9, 0.1), 1000.0)
    failed = writer.write(asked(cell, 1), BackendError("out \ud800 of memory"), 1000.0)
    assert (failed.error, failed.finish, failed.ended_at) == ("out \ufffd of memory", "error", None)
    writer.close()
    assert (writer.written, writer.errors) == (2, 1)
    assert "m, asked, closed-book: the replies had 1 halves" in capsys.readouterr().err
    JsonlAppender(folder.records("m", "asked", "closed-book")).close()
    JsonlAppender(folder.prompts).close()


def test_errors_in_a_row_follow_the_order_of_questions() -> None:
    cell = open_cell("m", 12)
    for place in (2, 9, 4, 0, 3):
        cell.failed.add(place)
    assert [cell.failed_in_a_row(place) for place in (0, 1, 2, 3, 4, 9)] == [1, 0, 3, 3, 3, 1]


def test_a_reused_answer_has_the_figures_of_the_answer_and_the_names_of_its_own_question(
    tmp_path: Path,
) -> None:
    folder = RunPaths(tmp_path)
    first, second = open_cell("m", 1), open_cell("n", 1)
    writer = Writer(17, folder)
    given = writer.write(asked(first, 0), REPLY, 1000.0)
    same = writer.reuse(asked(second, 0), given, "run")
    writer.close()
    assert (given.reused, same.reused) == (None, "run")
    assert (same.model, same.question_id, same.reply) == ("n", "q0", "A")
    assert (same.elapsed_s, same.ended_at, same.prompt_tokens) == (0.25, 1000.0, 9)
    (read,) = read_records(folder.records("n", "asked", "closed-book"))
    assert read == sealed(same)
