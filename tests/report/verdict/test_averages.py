"""Averages over tasks come with the smallest and the largest task, and their signs."""

from __future__ import annotations

from pathlib import Path

from ragbench.analysis.effects import effects
from ragbench.report.verdict.averages import averages, averages_alone
from ragbench.runfolder.pairs import Pair
from tests.analysis.making import make_run


def test_opposite_tasks_are_not_hidden_by_their_mean(tmp_path: Path) -> None:
    # 20 of 100 and 80 of 100: +60 in one task, -60 in the other, 0 on average.
    low, high = "1" * 20 + "0" * 80, "1" * 80 + "0" * 20
    cells = {
        ("m", "up", "closed-book"): low,
        ("m", "up", "bm25"): high,
        ("m", "down", "closed-book"): high,
        ("m", "down", "bm25"): low,
    }
    run = make_run(tmp_path / "run", cells)
    (line,) = averages_alone(run, effects(run), "m")
    assert line.startswith("m, retrieval gain (bm25) over 2 tasks: +0.0 points (95 % interval ")
    assert line.endswith(
        "; the smallest by task is -60.0 (down), the largest +60.0 (up); the tasks have opposite "
        "signs, so the averages describe none of them."
    )


def test_each_effect_of_a_pair_has_its_own_spread(tmp_path: Path) -> None:
    right = {  # of 10: general closed-book and with bm25, bio closed-book and with bm25
        "a": (2, 4, 3, 9),
        "b": (2, 5, 6, 7),
        "c": (2, 8, 5, 5),
    }
    cells = {}
    for task, counts in right.items():
        columns = [(m, arm) for m in ("general", "bio") for arm in ("closed-book", "bm25")]
        for (model, arm), n in zip(columns, counts, strict=True):
            cells[model, task, arm] = "1" * n + "0" * (10 - n)
    run = make_run(tmp_path / "run", cells, bases={"bio": "general"})
    lines = list(averages(run, effects(run), Pair("bio", "general")))
    spread = [line.partition("; the smallest by task is ")[2] for line in lines]
    assert spread == [
        # general: 4 - 2, 5 - 2, 8 - 2
        "+20.0 (a), the largest +60.0 (c).",
        # closed-book: 3 - 2, 6 - 2, 5 - 2
        "+10.0 (a), the largest +40.0 (b).",
        # general with bm25 less bio without: 4 - 3, 5 - 6, 8 - 5
        "-10.0 (b), the largest +30.0 (c); the tasks have opposite signs, which may be chance.",
        # gain of bio less that of general: 6 - 2, 1 - 3, 0 - 6
        "-60.0 (c), the largest +40.0 (a); the tasks have opposite signs, which may be chance.",
    ]
