"""The parts of a report: each has rows as wide as its header, titles are unique."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.analysis.effects import effects
from ragbench.analysis.load import load_run
from ragbench.analysis.results import results
from ragbench.report.sections import NAMING, sections


@pytest.mark.parametrize("name", ["mixed"])
def test_parts_are_whole(mixed_home: Path, name: str) -> None:
    run = load_run(mixed_home / "runs" / name)
    parts = list(sections(run, results(run), effects(run)))
    titles = [part.title for part in parts]
    assert len(set(titles)) == len(titles)
    assert len({part.key for part in parts}) == len(parts)
    for part in parts:
        assert part.table.rows
        assert {len(row) for row in part.table.rows} == {len(part.table.header)}
        assert set(part.table.header[: part.table.naming]) <= NAMING
    assert {"Outcomes", "Cost", "Retrieval quality", "Headroom"} <= set(titles)
