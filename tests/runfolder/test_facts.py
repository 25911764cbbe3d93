"""What is recorded of tasks, models, indexes and corpora."""

from __future__ import annotations

import pytest

from ragbench.base.errors import DataError
from ragbench.base.modelfacts import ModelFacts
from ragbench.base.records import Question
from ragbench.runfolder.facts import CorpusFacts, shared_options
from ragbench.runfolder.runfile import read_run_file
from ragbench.runfolder.schema import parse, to_json
from tests.runfolder.golden import MIRAGE, OWN


def test_facts_of_a_run() -> None:
    found = read_run_file(OWN.run).identity
    task = found.tasks["facts"]
    assert (task.n, task.scoring, task.metrics, task.reply_limit) == (
        *(2, "options", ("accuracy",), None),
    )
    assert found.tasks["facts-written"].reply_limit == 12
    assert found.indexes is not None and found.corpora is not None
    assert found.indexes["bm25-facts"].corpus.name == "facts"
    assert found.corpora["facts"].n == 12
    excluded = read_run_file(MIRAGE.run).identity.tasks["medmcqa"].excluded
    (pair,) = excluded
    assert pair == ("m2", "another option has the same text as the right one")


def test_facts_that_only_a_backend_knows_are_kept() -> None:
    raw = {"digest": "d", "dtype": "bfloat16", "format": "chat", "context_tokens": 8, "mine": 1}
    found = parse(ModelFacts, raw, "")
    assert (found.digest, found.dtype, found.format) == ("d", "bfloat16", "chat")
    assert to_json(found) == raw


@pytest.mark.parametrize("name", ["digest", "dtype", "context_tokens"])
def test_a_fact_of_another_type_is_named(name: str) -> None:
    with pytest.raises(DataError, match=f"has an unreadable '{name}'"):
        parse(ModelFacts, {"digest": "d", name: ["x"]}, "run.json")


def test_only_a_union_has_members() -> None:
    assert "members" not in to_json(CorpusFacts(digest="d", n=1))
    assert to_json(CorpusFacts(members={"a": "1"}))["members"] == {"a": "1"}


def test_options_that_all_questions_share() -> None:
    yes_no = [Question(str(i), "?", ("yes", "no"), 0, "?") for i in range(2)]
    assert shared_options(yes_no) == ("yes", "no")
    assert shared_options([*yes_no, Question("2", "?", ("a", "b"), 0, "?")]) is None
    assert shared_options([Question("0", "?", (), -1, "?", reference="r")]) is None
