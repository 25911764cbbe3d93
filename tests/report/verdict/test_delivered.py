"""Arms that delivered fewer passages than they request: one sentence per arm."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.analysis.load import Run
from ragbench.report.verdict.delivered import listed, named_cells, short_deliveries
from ragbench.runfolder.packed import PackedLine, write_packed
from tests.analysis.making import make_run

ARMS = ("closed-book", "lex")


def made(path: Path) -> Run:
    cells = {("m", task, arm): "1010" for task in ("t", "u", "v") for arm in ARMS}
    return make_run(path, cells, full=True)


def deliver(run: Run, task: str, *counts: int) -> None:
    lines = [
        PackedLine(
            question_id=f"q{n}",
            passages=tuple(f"d{i}" for i in range(count)),
            requested=3,
            left_out=0,
        )
        for n, count in enumerate(counts)
    ]
    write_packed(run.files.packed(task, "lex"), lines)


def test_tasks_of_an_arm_share_a_sentence(tmp_path: Path) -> None:
    """Means 9/4 = 2.25 and 4/4 = 1; 2 + 4 of 8 questions have fewer, and one of them none."""
    run = made(tmp_path / "run")
    deliver(run, "t", 3, 3, 2, 1)
    assert list(short_deliveries(run)) == [
        "lex on t delivered 2.2 passages on average, not 3 (the ranking has fewer for 2 of 4 "
        "questions)."
    ]
    deliver(run, "u", 2, 1, 1, 0)
    deliver(run, "v", 3, 3, 3, 3)
    assert list(short_deliveries(run)) == [
        "lex on t and u delivered 1.0 to 2.2 passages on average, not 3 (the ranking has fewer "
        "for 6 of 8 questions; it has none for 1, which were asked closed-book)."
    ]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([("t", ""), ("u", "")], "t and u"),
        ([("t", "a"), ("t", "b"), ("u", "a"), ("u", "b")], "t and u for a and b"),
        ([("t", "a"), ("u", "a"), ("u", "b")], "t for a, and on u for a and b"),
    ],
)
def test_cells_are_named_by_task_and_model(cells: list[tuple[str, str]], expected: str) -> None:
    assert named_cells(cells) == expected


def test_parts_are_listed() -> None:
    assert [listed(list(names)) for names in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
