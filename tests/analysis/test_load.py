"""Loading a run: its tables, and a run without scores."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from ragbench.analysis.load import Run, load_run
from ragbench.base.errors import DataError


def test_tables_of_a_finished_run(finished_home: Path) -> None:
    run = load_run(finished_home / "runs" / "small")
    assert run.members("arms") == ["closed-book", "bm25-2", "bm25-5", "dense-5", "random-5"]
    assert run.metrics("icd10cm") == ["accuracy"]
    assert len(run.scores) == 5 * 10
    assert set(run.scores.outcome) == {"parsed"}
    assert {r["retriever"] for r in run.retrievals} == {"bm25", "dense"}
    assert set(run.quality.measure) == {"R@2", "R@5", "RR@5"}


def test_a_run_without_scores_says_how_to_make_them(run_copy: Path) -> None:
    (run_copy / "scores" / "correct.parquet").unlink()
    with pytest.raises(DataError, match="has no scores") as caught:
        load_run(run_copy)
    assert caught.value.fix == "ragbench score small"
    (run_copy / "scores" / "correct.parquet").write_bytes(b"no table")
    with pytest.raises(DataError, match="cannot be read"):
        load_run(run_copy)


def test_scores_behind_an_interrupted_extension_are_refused(run_copy: Path) -> None:
    about = json.loads((run_copy / "run.json").read_text())
    about["identity"]["tasks"]["icd10cm"]["arms"].append("bm25-1")
    (run_copy / "run.json").write_text(json.dumps(about))
    with pytest.raises(DataError, match="not those of the run's models") as caught:
        load_run(run_copy)
    assert "ragbench run" in caught.value.fix
    (run_copy / "run.json").write_text("{}")
    with pytest.raises(DataError, match="format None"):
        load_run(run_copy)


def test_gold_ids_over_a_union_may_stand_behind_the_name_of_a_member() -> None:
    corpora = {"both": {"members": {"a": "1", "b": "2"}}, "plain": {}}
    none = pd.DataFrame()
    run = Run(Path("r"), {"identity": {"corpora": corpora}}, none, none, [])
    assert run.ids_in("both", ["x", "b/y"]) == {"x", "a/x", "b/x", "b/y", "a/b/y", "b/b/y"}
    assert run.ids_in("plain", ["x"]) == run.ids_in("", ["x"]) == {"x"}
