"""The page docs/add-a-task.md, followed to the letter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragbench.base.records import Question
from ragbench.tasks.mcq import KNOWN
from tests.docs.page import DOCS, blocks, follow

PAGE = DOCS / "add-a-task.md"


@pytest.mark.slow
def test_every_command_of_the_page_does_what_it_says(tmp_path: Path) -> None:
    assert "Traceback" not in follow(PAGE, tmp_path)


def test_the_task_has_forty_lines() -> None:
    files = {block.file: block.text for block in blocks(PAGE) if block.file}
    assert len(files["doses/doses.py"].splitlines()) <= 40


def test_the_page_names_every_field() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in KNOWN)


def test_the_reply_reader_of_the_page() -> None:
    (code,) = [block.text for block in blocks(PAGE) if block.file == "grades.py"]
    made: dict[str, Any] = {}
    exec(code, made)
    question = Question("p", "How bad?", ("none", "mild", "severe"), 2, "pain")
    for reply, finish, outcome, pick in (
        ("Grade: 1, or rather Grade: 2", "stop", "parsed", 2),
        ("Grade: 3", "stop", "unparsed", None),
        ("It hurts", "length", "truncated", None),
    ):
        found = made["read_grade"](reply, question, finish)
        assert (found.outcome, found.pick) == (outcome, pick)
