"""Sentences on arms that a model wrote for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ragbench.analysis.load import Run
from ragbench.report.verdict.written import written
from ragbench.runfolder.retrieval import RetrievalNote
from tests.analysis.making import edited, make_run


def run_with(path: Path, arm: dict[str, object], queries: dict[str, object] | None = None) -> Run:
    cells = {(m, "t", a): "10" for m in ("general", "bio") for a in ("closed-book", "bm25")}
    run = make_run(path, cells, bases={"bio": "general"})
    for key, value in arm.items():
        run = edited(run, f"config.arms.-1.{key}", value)
    return edited(run, "config.queries", queries or {})


def test_a_run_without_writers_has_no_sentence(tmp_path: Path) -> None:
    assert list(written(run_with(tmp_path / "run", {}))) == []


def test_one_writer_for_all(tmp_path: Path) -> None:
    queries: dict[str, object] = {"q": {"by": "general", "write": "passage"}}
    run = run_with(tmp_path / "run", {"queries": "q"}, queries)
    assert list(written(run)) == [
        "In the arm bm25, general wrote a hypothetical passage as the query; all models get "
        "the same passages."
    ]


def test_each_for_itself(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", {"write": {"by": "each", "n": 3, "options": "shown"}})
    (found,) = written(run)
    assert found.startswith(
        "In the arm bm25, each model, which saw the options, wrote the passages from memory, "
        "without a corpus. So each model has its own passages there"
    )


def test_a_filter(tmp_path: Path) -> None:
    arm = {"filter": {"by": "cross-encoder", "keep": 0.3}, "depth": 32}
    (found,) = written(run_with(tmp_path / "run", arm))
    assert "a cross-encoder judged the first 32 passages, and those below 0.3 were dropped" in found


def test_tasks_share_a_sentence_and_empty_replies_are_summed(tmp_path: Path) -> None:
    """1 of 2 replies for t and 2 of 3 for u are empty: 3 of 5."""
    arms, models = ("closed-book", "bm25"), ("general", "bio")
    answers = {"t": "10", "u": "101"}
    cells = {(m, t, a): answers[t] for m in models for t in answers for a in arms}
    run = make_run(tmp_path / "run", cells, bases={"bio": "general"})
    run = edited(run, "config.arms.-1.queries", "q")
    run = edited(run, "config.arms.-1.retriever", "r")
    run = edited(run, "config.queries", {"q": {"by": "general", "write": "rewrite"}})
    notes = {
        (task, "r~q"): RetrievalNote(written_by="general", empty_queries=empty)
        for task, empty in (("t", 1), ("u", 2))
    }
    said, empty = written(replace(run, retrievals=notes))
    assert said.startswith("In the arm bm25, general wrote a rewritten query as the query")
    assert empty == (
        "3 of 5 replies of general to write the queries 'q' were empty (1 for t, 2 for u); the "
        "question itself was the query there."
    )
