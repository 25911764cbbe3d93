"""Queries that models wrote, as a run folder has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.errors import DataError, UsageError
from ragbench.experiment.writing.kinds import QueryKind, arms_with_queries, written_kinds
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.questions import read_questions
from ragbench.runfolder.runfile import read_run_file
from tests.conftest import FACTS
from tests.experiment.writing.cases import EMPTY, NAMES, case


def kinds_of(path: Path, *arms: str) -> dict[str, QueryKind]:
    folder = RunPaths(path)
    questions = read_questions(folder.questions("cases"))
    found = written_kinds(folder, read_run_file(folder.run).config, "cases", arms, questions)
    return {kind.name: kind for kind in found}


def test_queries_of_several_arms_are_listed_once_with_their_texts(written_run: Path) -> None:
    config = read_run_file(written_run / "run.json").config
    arms = arms_with_queries(config)
    assert arms == ["rationale-1", "own-1", "parts-2", "shown-1", "filtered-1"]
    found = kinds_of(written_run, *arms)  # parts-2 and filtered-1 have the same queries
    assert list(found) == ["rationale", "own@llama", "own@med", "parts", "shown"]
    name = NAMES[8]
    assert found["rationale"].texts[f"q-{name}"] == (f"{FACTS[name]}.",)
    assert len(found["parts"].texts[f"q-{NAMES[0]}"]) == 2
    own = found["own@med"]
    assert (own.kind, own.writer, own.empty) == ("rationale", "med", 1)
    assert own.texts[f"q-{EMPTY}"] == (case(EMPTY),)  # the question itself is searched


def test_an_arm_without_written_queries_is_refused(written_run: Path) -> None:
    config = read_run_file(written_run / "run.json").config
    assert arms_with_queries(config, "own-1") == ["own-1"]
    with pytest.raises(UsageError, match="no arm 'memory' that searches with queries"):
        arms_with_queries(config, "memory")


def test_a_missing_text_is_refused(written_copy: Path) -> None:
    path = written_copy / "written" / "records" / "llama+cases+queries.rationale.0.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(DataError, match=f"the run has no rationale for question 'q-{NAMES[0]}'"):
        kinds_of(written_copy, "rationale-1")
