"""A run in a notebook: typed tables that agree with the files of the run."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

import ragbench
from ragbench.base.errors import DataError

ROOT = Path(__file__).parents[2]


def test_tables_agree_with_the_files(mixed_home: Path) -> None:
    folder = mixed_home / "runs" / "mixed"
    run = ragbench.load_run(folder)
    for table, name in ((run.results, "results.csv"), (run.effects, "effects.csv")):
        kept = pd.read_csv(folder / name)
        assert list(table.columns) == list(kept.columns)
        assert len(table) == len(kept)
        for column in ("estimate", "value", "n", "p"):
            if column in table:
                assert table[column].astype(float).to_numpy() == pytest.approx(
                    kept[column].to_numpy(dtype=float), nan_ok=True, rel=1e-9
                )
    assert str(run.scores["model"].dtype) == "category"
    assert str(run.scores["delivered_k"].dtype) == "Int64"
    assert (
        len(run.questions) == run.scores.groupby("task", observed=True).question_id.nunique().sum()
    )
    assert set(run.retrieval.columns) == {"task", "retriever", "question_id", "measure", "value"}
    assert repr(run).startswith("<ragbench run mixed: 1 model, 3 tasks, ")


def test_wide_has_a_column_a_cell(mixed_home: Path) -> None:
    run = ragbench.load_run(str(mixed_home / "runs" / "mixed"))
    table = run.wide()
    cell = run.scores[(run.scores.task == "facts") & (run.scores.arm == "bm25-2")]
    mean = table.loc["facts"]["scripted"]["bm25-2"].mean()
    assert mean == pytest.approx(cell.accuracy.mean())
    with pytest.raises(DataError, match="no metric 'rougeL'"):
        run.wide("rougeL")


def test_a_run_is_found_by_its_name(mixed_copy: Path) -> None:
    assert ragbench.load_run("mixed").path == mixed_copy
    with pytest.raises(DataError, match="there is no run 'nothing'"):
        ragbench.load_run("nothing")


def test_every_column_is_documented(mixed_home: Path) -> None:
    run = ragbench.load_run(mixed_home / "runs" / "mixed")
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    words = set(re.findall(r"[\w@]+", text))
    tables = (run.scores, run.results, run.effects, run.retrieval, run.questions)
    columns = {str(name) for table in tables for name in table.columns}
    assert not columns - words
