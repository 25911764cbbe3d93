"""The same answer to every question, against counts."""

from __future__ import annotations

from pathlib import Path

from ragbench.analysis.load import load_run
from ragbench.analysis.results import results
from ragbench.report.baselines import constant_rows


def test_shares_of_the_answers(mixed_home: Path) -> None:
    run = load_run(mixed_home / "runs" / "mixed")
    header, rows = constant_rows(results(run))
    assert header == ["task", "answer", "n", "accuracy"]
    for task in run.members("tasks"):
        cell = run.cell("scripted", task, run.arms(task)[0])
        expected = {"ABCDE"[i]: (cell["answer"] == i).sum() for i in cell["answer"].unique()}
        mine = [row for row in rows if row[0] == task]
        assert {row[1]: row[3] for row in mine} == {
            letter: f"{100 * count / len(cell):.1f} %" for letter, count in expected.items()
        }
        shares = [float(row[3].removesuffix(" %")) for row in mine]
        assert shares == sorted(shares, reverse=True)
        assert {row[2] for row in mine} == {str(len(cell))}
