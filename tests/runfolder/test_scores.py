"""The table of scores: its columns have a type, whatever is missing in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ragbench.base.errors import DataError
from ragbench.runfolder.scores import CELL, COLUMNS, TYPES, ScoreRow, read_scores, write_scores
from tests.runfolder.golden import RUNS, lines


def row(identifier: str, **metrics: float) -> ScoreRow:
    values: dict[str, Any] = {
        **dict.fromkeys(COLUMNS),
        **{"model": "m", "task": "t", "arm": "a", "mode": "correct", "scoring": "generate"},
        **{"question_id": identifier, "stratum": "", "outcome": "error"},
        **{"seed": 1, "answer": 0, "gold_delivered": 0},
        **dict.fromkeys(("tied", "has_gold", "answer_truncated"), False),
    }
    return ScoreRow(**values, metrics=metrics)


def test_columns_are_those_of_the_golden_runs() -> None:
    assert COLUMNS[: len(CELL)] == CELL
    for run in RUNS:
        (path,) = (run.path / "scores").glob("*.jsonl")
        for line in lines(path):
            newer = ("sent_tokens", "cached_tokens", "ended_at", "model_calls")
            known = [n for n in COLUMNS if n not in newer and not n.startswith("written_")]
            assert list(line)[: len(known)] == known


def test_what_is_missing_in_every_row_has_a_type(tmp_path: Path) -> None:
    path = tmp_path / "run" / "scores" / "correct.parquet"
    write_scores(path, [row("q0", accuracy=1.0), row("q1", rougeL=0.5)])
    table = read_scores(path)
    assert list(table.columns) == [*COLUMNS, "accuracy", "rougeL"]
    assert {name: str(table[name].dtype) for name in TYPES} == TYPES
    assert table.rougeL.isna().tolist() == [True, False]


def test_a_table_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "small" / "scores" / "correct.parquet"
    with pytest.raises(DataError, match="has no scores") as caught:
        read_scores(path)
    assert caught.value.fix == "ragbench score small"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no table")
    with pytest.raises(DataError, match="cannot be read"):
        read_scores(path)
    pd.DataFrame({"model": ["m"], "task": ["t"], "arm": ["a"], "outcome": ["parsed"]}).to_parquet(
        path
    )
    with pytest.raises(DataError, match="missing the column 'question_id'"):
        read_scores(path)
