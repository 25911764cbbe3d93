"""Scoring: repeatable from the records alone, without a model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ragbench.errors import DataError
from ragbench.experiment.folder import RunFolder
from ragbench.experiment.score import score_run


def test_scores_are_the_same_when_made_again(run_copy: Path) -> None:
    path = run_copy / "scores" / "correct.parquet"
    before = pd.read_parquet(path)
    path.unlink()
    assert score_run(RunFolder(run_copy)) == 0
    pd.testing.assert_frame_equal(before, pd.read_parquet(path))


def test_scoring_loads_neither_torch_nor_faiss(run_copy: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from ragbench.experiment.folder import RunFolder\n"
        "from ragbench.experiment.score import score_run\n"
        f"score_run(RunFolder(Path({str(run_copy)!r})))\n"
        "print(sorted({'torch', 'faiss', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_question_has_a_row_in_every_cell(run_copy: Path) -> None:
    (run_copy / "records" / "smollm2+icd10cm+random-5.0.jsonl").unlink()
    assert score_run(RunFolder(run_copy)) == 10
    table = pd.read_parquet(run_copy / "scores" / "correct.parquet")
    assert table.groupby("arm").size().eq(10).all()
    lost = table[table.arm == "random-5"]
    assert set(lost.outcome) == {"error"}
    assert set(lost.error) == {"not answered"}
    assert lost.accuracy.isna().all()


def test_a_record_that_is_not_whole_is_named(run_copy: Path) -> None:
    path = run_copy / "records" / "smollm2+icd10cm+bm25-5.0.jsonl"
    path.write_text('{"question_id": "x"}\n', encoding="utf-8")
    with pytest.raises(DataError, match="not whole") as caught:
        score_run(RunFolder(run_copy))
    assert caught.value.where.endswith(".0.jsonl:1")
