"""Saved calls of a pipeline: written, read, and refused when changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.errors import DataError
from ragbench.runfolder.calls import CallLine, GivenPassage, read_calls, sealed, write_calls


def line(question: str, seconds: float = 0.5) -> CallLine:
    passage = GivenPassage(id="d1", title="Joints", text="Gout.")
    return sealed(CallLine(key="k", question_id=question, passages=(passage,), seconds=seconds))


def test_the_last_call_of_a_question_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.calls.jsonl"
    assert read_calls(path) == {}
    write_calls(path, [line("q1"), line("q2"), line("q1", 2.0)])
    assert read_calls(path) == {"q1": line("q1", 2.0), "q2": line("q2")}


def test_a_changed_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.calls.jsonl"
    write_calls(path, [line("q1"), line("q2")])
    path.write_text(path.read_text().replace("Gout.", "Rout.", 1))
    with pytest.raises(DataError, match="has changed since it was written") as caught:
        read_calls(path)
    assert caught.value.where.endswith(":1")
