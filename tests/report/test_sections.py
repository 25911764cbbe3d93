"""The parts of a report: each has rows as wide as its header, titles are unique."""

from __future__ import annotations

from ragbench.report.sections import NAMING
from tests.report.conftest import Analysed


def test_parts_are_whole(mixed: Analysed) -> None:
    parts = mixed.parts
    titles = [part.title for part in parts]
    assert len(set(titles)) == len(titles)
    assert len({part.key for part in parts}) == len(parts)
    for part in parts:
        assert part.table.rows
        assert {len(row) for row in part.table.rows} == {len(part.table.header)}
        assert set(part.table.header[: part.table.naming]) <= NAMING
    wanted = {"Outcomes", "Cost", "Retrieval quality", "Headroom with gold delivered"}
    wanted |= {"What the gold passages did", "Wrong closed-book, then right"}
    wanted.add("Gold delivered or missing, right or wrong")
    assert wanted <= set(titles)
