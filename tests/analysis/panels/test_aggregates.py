"""Aggregates of a cell against scikit-learn and hand arithmetic."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ragbench.analysis.load import Run
from ragbench.analysis.panels.aggregates import CODE_COUNTS, aggregates, majority
from ragbench.base.files import write_jsonl
from tests.analysis.making import about_of, question

LABELS = ["entailment", "contradiction", "neutral"]


def run_of(folder: Path, cell: pd.DataFrame) -> Run:
    """Return a run of the cell's questions, which have the cell's clusters."""
    lines = [
        question(row["question_id"], row["question_id"], cluster=row["cluster"])
        for row in cell.to_dict(orient="records")
    ]
    write_jsonl(folder / "questions" / "t.jsonl", lines)
    facts = {
        "classes": LABELS,
        "metrics": [name for name in CODE_COUNTS if name in cell] or ["accuracy"],
    }
    about = about_of({"analysis": {"resamples": 4000}}, {"t": facts})
    return Run(folder, about, cell, pd.DataFrame(), {})


def cell_of(answer: list[int], pick: list[int | None], **more: Any) -> pd.DataFrame:
    facts = {"model": "m", "task": "t", "arm": "a", "outcome": "parsed", "cluster": None}
    table = pd.DataFrame({"answer": answer, "pick": pd.array(pick, dtype="Int64"), **more})
    ids = [f"q{i}" for i in range(len(table))]
    return table.assign(question_id=ids, **(facts | more))


def found(cell: pd.DataFrame) -> dict[str, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        return {row["metric"]: row for row in aggregates(run_of(Path(folder), cell), cell)}


def test_by_class_as_scikit_learn() -> None:
    from sklearn.metrics import balanced_accuracy_score, f1_score

    draw = np.random.default_rng(1)
    answer = draw.choice(3, size=200, p=[0.6, 0.3, 0.1])
    pick = np.where(draw.random(200) < 0.5, answer, draw.integers(0, 3, size=200))
    rows = found(cell_of(answer.tolist(), pick.tolist()))
    assert rows["balanced_accuracy"]["value"] == pytest.approx(
        balanced_accuracy_score(answer, pick)
    )
    assert rows["macro_f1"]["value"] == pytest.approx(f1_score(answer, pick, average="macro"))
    # the interval is that of drawing questions, one by one, with scikit-learn
    drawn = []
    for _ in range(1000):
        i = draw.integers(0, 200, size=200)
        drawn.append(f1_score(answer[i], pick[i], average="macro"))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert rows["macro_f1"]["ci_low"] == pytest.approx(low, abs=0.015)
    assert rows["macro_f1"]["ci_high"] == pytest.approx(high, abs=0.015)


def test_by_class_by_hand_with_a_reply_without_one() -> None:
    # class 0: 2 asked, 1 right, 1 unread; class 1: 2 asked, both right; class 2 not asked
    rows = found(cell_of([0, 0, 1, 1], [0, None, 1, 1]))
    assert rows["balanced_accuracy"]["value"] == pytest.approx((0.5 + 1) / 2)
    # F of class 0: 2 * 1 / (2 asked + 1 given) = 2/3; of class 1: 1
    assert rows["macro_f1"]["value"] == pytest.approx((2 / 3 + 1) / 2)


def test_calibration_by_hand() -> None:
    sure = [0.95, 0.91, 0.55, 0.58]
    cell = cell_of([0, 0, 0, 0], [1, 0, 1, 1], likeliest=[0, 1, 0, 0], confidence=sure)
    # bin .9 to 1: one of two right, sure .93 -> gap |.5 - .93|; bin .5 to .6: both right, sure
    # .565 -> |1 - .565|; half the questions each
    rows = found(cell)
    assert rows["ece"]["value"] == pytest.approx(0.5 * 0.43 + 0.5 * 0.435)
    assert "ece" not in found(cell.assign(confidence=math.nan))


def test_calibration_is_numpys() -> None:
    """Of the likeliest option, whatever the pick is; bins by NumPy."""
    draw = np.random.default_rng(5)
    answer, pick, likeliest = draw.integers(0, 3, size=(3, 400))
    sure = np.append(draw.uniform(1 / 3, 1, size=399), 1.0)
    bins = np.digitize(sure, np.arange(1, 10) / 10)
    gaps = [
        (bins == i).mean() * abs((likeliest == answer)[bins == i].mean() - sure[bins == i].mean())
        for i in np.unique(bins)
    ]
    cell = cell_of(
        answer.tolist(), pick.tolist(), likeliest=likeliest.tolist(), confidence=sure.tolist()
    )
    assert found(cell)["ece"]["value"] == pytest.approx(sum(gaps))


def test_micro_f1_by_hand() -> None:
    counts = {"code_hits": [2.0, 0.0], "code_named": [4.0, 1.0], "code_gold": [3.0, 2.0]}
    # P 2/5, R 2/5
    assert found(cell_of([-1, -1], [None, None], **counts))["code_micro_f1"]["value"] == 0.4


def test_clusters_widen_the_interval() -> None:
    clusters = np.repeat(np.arange(40), 5)
    answer = clusters % 3
    pick = np.where((clusters // 3) % 2 == 0, answer, (answer + 1) % 3)  # a whole cluster alike
    cell = cell_of(answer.tolist(), pick.tolist())
    alone = found(cell)["macro_f1"]
    by_cluster = found(cell.assign(cluster=clusters.astype(str)))["macro_f1"]
    assert by_cluster["n_clusters"] == 40
    width = by_cluster["ci_high"] - by_cluster["ci_low"]
    assert width > 1.6 * (alone["ci_high"] - alone["ci_low"])  # sqrt(5) = 2.2


def test_a_cell_with_errors_has_none_and_the_majority_is_counted() -> None:
    cell = cell_of([0, 0, 1], [0, 0, None])
    assert not found(cell.assign(outcome=["parsed", "parsed", "error"]))
    assert majority(cell) == pytest.approx(2 / 3)
