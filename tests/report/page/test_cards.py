"""Cards of the first screen: the average leads, and no number is stronger than its test."""

from __future__ import annotations

import math

from ragbench.report.page.cards import views
from ragbench.report.verdict.card import Card, Cell, Number
from tests.report.conftest import Analysed

STATES = {"hpo": "shown", "icd": "not shown", "(macro)": "not shown"}


def card(task: str, estimate: float) -> Card:
    cells = tuple(
        Cell(kind, model, arm, value, value - 0.1, value + 0.1, 40)
        for kind, model, arm, value in (
            ("general", "g", "closed-book", 0.25),
            ("general", "g", "bm25", 0.75),
            ("biomedical", "b", "closed-book", 0.5),
            ("biomedical", "b", "bm25", 0.6),
        )
    )
    number = Number(
        *("retrieval less fine-tuning", "bm25", "", estimate, 0.1, 0.4, 40),
        state=STATES[task],
        is_primary=True,
        p=0.01,
        detectable=0.2,
        is_small=False,
    )
    return Card("g", "b", task, "accuracy", "bm25", cells, (number,))


def test_the_average_leads_and_its_tasks_follow(mixed: Analysed) -> None:
    cards = [card("(macro)", 0.25), card("icd", 0.2), card("hpo", 0.3)]
    (view,) = views(mixed.run, cards)
    assert (view.title, view.about) == ("b against g", "Average over tasks, accuracy, 40 questions")
    (figure,) = view.figures
    assert figure.compared == "g with bm25, less b closed-book"
    assert (figure.value, figure.interval) == ("+25.0", "+10.0 to +40.0")
    assert not figure.is_shown
    assert figure.by_task == [("icd", "+20.0", "not shown"), ("hpo", "+30.0", "shown")]
    assert [task for task, _ in view.tasks] == ["icd", "hpo"]
    keys = [view.drawing.key, *(drawing.key for _, drawing in view.tasks)]
    assert len(set(keys)) == 3


def test_without_an_average_each_task_has_a_card(mixed: Analysed) -> None:
    found = views(mixed.run, [card("icd", 0.2), card("hpo", 0.3)])
    assert [view.about.partition(",")[0] for view in found] == ["icd", "hpo"]
    assert all(view.tasks == [] for view in found)
    assert len({view.drawing.key for view in found}) == 2


def test_an_incomplete_cell_has_its_bounds_and_no_bar(mixed: Analysed) -> None:
    cell = Cell("general", "g", "closed-book", 0.25, 0.2, 0.6, 40, is_complete=False)
    (view,) = views(mixed.run, [Card("g", None, "t", "accuracy", None, (cell,), ())])
    (bar,) = view.drawing.bars
    assert bar.width is None
    assert bar.low is not None
    assert view.drawing.headings == [("g", 0)]
    assert math.isclose((bar.high or 0) - bar.low, 0.4 * 96)
