"""Sentences on arms that a model wrote for."""

from __future__ import annotations

from pathlib import Path

from ragbench.analysis.load import Run
from ragbench.report.verdict.written import written
from tests.analysis.making import edited, make_run


def run_with(path: Path, arm: dict[str, object], queries: dict[str, object] | None = None) -> Run:
    cells = {(m, "t", a): "10" for m in ("general", "bio") for a in ("closed-book", "bm25")}
    run = make_run(path, cells, bases={"bio": "general"})
    for key, value in arm.items():
        run = edited(run, f"config.arms.-1.{key}", value)
    return edited(run, "config.queries", queries or {})


def test_a_run_without_writers_has_no_sentence(tmp_path: Path) -> None:
    assert list(written(run_with(tmp_path / "run", {}), "t")) == []


def test_one_writer_for_all(tmp_path: Path) -> None:
    queries: dict[str, object] = {"q": {"by": "general", "write": "passage"}}
    run = run_with(tmp_path / "run", {"queries": "q"}, queries)
    assert list(written(run, "t")) == [
        "In the arm bm25 on t, general wrote a hypothetical passage as the query; all models get "
        "the same passages."
    ]


def test_each_for_itself(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", {"write": {"by": "each", "n": 3, "options": "shown"}})
    (found,) = written(run, "t")
    assert found.startswith(
        "In the arm bm25 on t, each model, which saw the options, wrote the passages from memory, "
        "without a corpus. So each model has its own passages there"
    )


def test_a_filter(tmp_path: Path) -> None:
    arm = {"filter": {"by": "cross-encoder", "keep": 0.3}, "depth": 32}
    (found,) = written(run_with(tmp_path / "run", arm), "t")
    assert "a cross-encoder judged the first 32 passages, and those below 0.3 were dropped" in found
