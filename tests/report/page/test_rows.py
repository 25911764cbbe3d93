"""Tables of the page: primary rows first, averages on demand, columns that say nothing left out."""

from __future__ import annotations

from ragbench.report.page.rows import shown
from ragbench.report.sections import Table
from tests.report.conftest import Analysed

HEADER = ["model", "task", "effect", "arm", "stratum", "n", "points", "p"]


def test_what_the_verdict_is_of_comes_first(mixed: Analysed) -> None:
    """The primary arm of facts is bm25-2, which controls imitate."""
    rows = [
        ["m", "facts", "retrieval gain", "bm25-1", "all", "6", "+1.0", "-"],
        ["m", "(items)", "retrieval gain", "bm25-2", "all", "18", "+2.0", "-"],
        ["m", "facts", "retrieval gain", "bm25-2", "seen", "6", "+3.0", "-"],
        ["m", "facts", "interaction", "bm25-2", "all", "6", "+4.0", "-"],
        ["m", "facts", "placebo-corrected gain", "bm25-2", "all", "6", "+5.0", "-"],
        ["m", "(macro)", "retrieval gain", "bm25-2", "all", "18", "+6.0", "-"],
        ["m", "facts", "fine-tuning gain", "closed-book", "all", "6", "+7.0", "-"],
    ]
    found = shown(mixed.run, Table("Effects", HEADER, rows))
    place = found.header.index("points")
    order = [(row.kind, row.cells[place]) for row in found.rows]
    assert order == [
        ("primary", "+4.0"),
        ("primary", "+6.0"),
        ("primary", "+7.0"),
        ("other", "+1.0"),
        ("other", "+3.0"),
        ("other", "+5.0"),  # no primary effect
        ("average", "+2.0"),
    ]
    assert found.same == [("model", "m")]
    assert found.empty == ["p"]
    assert found.header == ["task", "effect", "arm", "stratum", "n", "points"]
    assert found.naming == 4


def test_figures_that_agree_keep_their_column(mixed: Analysed) -> None:
    rows = [["m", "facts", arm, "6", "50.0 %"] for arm in ("closed-book", "bm25-1", "bm25-2")]
    table = Table("Accuracy", ["model", "task", "arm", "n", "accuracy"], rows)
    found = shown(mixed.run, table)
    assert found.header == ["arm", "accuracy"]
    assert found.same == [("model", "m"), ("task", "facts"), ("n", "6")]
    short = shown(mixed.run, Table("Accuracy", table.header, rows[:2]))
    assert short.header == table.header
    assert [row.cells for row in short.rows] == rows[:2]


def test_no_row_is_lost(mixed: Analysed) -> None:
    for part in mixed.parts:
        found = shown(mixed.run, part.table)
        assert len(found.rows) == len(part.table.rows)
        assert set(found.header) | {n for n, _ in found.same} | set(found.empty) == set(
            part.table.header
        )
