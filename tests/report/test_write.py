"""All files of a report, made from the run folder alone."""

from __future__ import annotations

from pathlib import Path

from ragbench.report.write import write_report


def test_report_is_remade_identically(run_copy: Path) -> None:
    names = ("report.md", "results.csv", "effects.csv", "analysis.json", "accuracy.svg")
    before = {name: (run_copy / name).read_bytes() for name in names}
    for name in names:
        (run_copy / name).unlink()
    assert write_report(run_copy).path == run_copy / "report.md"
    assert {name: (run_copy / name).read_bytes() for name in names} == before
