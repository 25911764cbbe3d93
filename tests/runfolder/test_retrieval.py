"""Notes of rankings, their measures, and the calls of a runnable."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from ragbench.base.errors import DataError
from ragbench.runfolder.retrieval import (
    CallLine,
    GivenPassage,
    QualityLine,
    RetrievalNote,
    read_calls,
    read_note,
    read_quality,
    sealed,
    write_calls,
    write_note,
    write_quality,
)
from tests.runfolder.golden import OWN


def test_what_a_ranking_was_made_of() -> None:
    index, fusion, run = (
        read_note(OWN.retrieval("facts", name, "json"))
        for name in ("bm25", "bm25+dense", "elsewhere")
    )
    dense = read_note(OWN.retrieval("facts", "dense", "json"))
    assert fusion.parts == (index.index, dense.index)
    assert (fusion.k0, fusion.depth, index.k0) == (60, 100, None)
    assert run.run_file and run.corpus_digest and run.index_name == "elsewhere.trec"
    assert {note.corpus for note in (index, fusion, run)} == {"facts"}
    assert read_note(OWN.retrieval("facts", "none", "json")) == RetrievalNote()


def test_a_note_says_what_another_asks() -> None:
    note = RetrievalNote(index="i", queries="q", depth=5, measures=())
    assert note.says(RetrievalNote(index="i", depth=5))
    assert note.says(RetrievalNote(measures=()))
    assert not note.says(RetrievalNote(index="i", depth=6))
    assert not note.says(RetrievalNote(gold="g"))


def test_only_what_is_known_is_written(tmp_path: Path) -> None:
    note = RetrievalNote(index="i", queries="q", depth=5, kind="index", measures=())
    write_note(tmp_path / "n.json", note)
    assert json.loads((tmp_path / "n.json").read_text()) == {
        **{"index": "i", "queries": "q", "depth": 5, "kind": "index", "measures": []}
    }
    assert read_note(tmp_path / "n.json") == note
    (tmp_path / "n.json").write_text('{"depth": "deep"}')
    with pytest.raises(DataError, match="'depth'"):
        read_note(tmp_path / "n.json")


def test_measures_question_by_question(tmp_path: Path) -> None:
    line = QualityLine(question_id="q", measure="R@2", value=0.5)
    nothing = replace(line, value=math.nan)
    write_quality(tmp_path / "q.jsonl", [line, nothing])
    first, second = read_quality(tmp_path / "q.jsonl")
    assert first == line
    assert math.isnan(second.value)


def call(question: str, seconds: float = 0.5) -> CallLine:
    passage = GivenPassage(id="d1", title="Joints", text="Gout.")
    return sealed(CallLine(key="k", question_id=question, passages=(passage,), seconds=seconds))


def test_the_last_call_of_a_question_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.calls.jsonl"
    assert read_calls(path) == {}
    write_calls(path, [call("q1"), call("q2"), call("q1", 2.0)])
    assert read_calls(path) == {"q1": call("q1", 2.0), "q2": call("q2")}


def test_a_changed_call_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.calls.jsonl"
    write_calls(path, [call("q1"), call("q2")])
    path.write_text(path.read_text().replace("Gout.", "Rout.", 1))
    with pytest.raises(DataError, match="has changed since it was written") as caught:
        read_calls(path)
    assert caught.value.where.endswith(":1")
