"""All files of a report, made from the run folder alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.errors import DataError
from ragbench.report.write import write_report


def test_report_is_remade_identically(run_copy: Path) -> None:
    names = (
        "report.md",
        "report.html",
        "results.csv",
        "effects.csv",
        "analysis.json",
        "accuracy.svg",
    )
    before = {name: (run_copy / name).read_bytes() for name in names}
    for name in names:
        (run_copy / name).unlink()
    written = write_report(run_copy)
    assert (written.path, written.page) == (run_copy / "report.md", run_copy / "report.html")
    assert {name: (run_copy / name).read_bytes() for name in names} == before


def test_a_broken_line_leaves_the_old_report(run_copy: Path) -> None:
    before = (run_copy / "report.html").read_bytes()
    path = run_copy / "questions" / "icd10cm.jsonl"
    path.write_text("{}\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(DataError, match=r"questions/icd10cm\.jsonl has changed") as caught:
        write_report(run_copy)
    assert caught.value.where == f"{path}:1"
    assert (run_copy / "report.html").read_bytes() == before
