"""The headline: cards of a worked 2 x 2, and no crash on any odd run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ragbench.analysis.effects import effects
from ragbench.analysis.load import Run
from ragbench.analysis.results import results
from ragbench.report.headline import Headline, headline
from ragbench.report.verdict.card import SHOWN
from ragbench.report.verdict.verdict import verdict
from tests.analysis.making import FULL, edited
from tests.analysis.test_pairs import worked
from tests.report.conftest import Analysed
from tests.report.verdict.odd_runs import RUNS

ODD = (
    "one question of a pair, closed-book alone, retrieval alone, a cell with errors, "
    "errors in one of two tasks, sign depends on policy, two clusters of a pair, opposite tasks, "
    "a pair without closed-book, two models without a pair, two pairs, an imported run, "
    "a continuous metric, shown within the margin, five tasks"
).split(", ")


def whole(run: Run) -> Run:
    """Return a run whose scores have every column, and that knows its models."""
    every = {**FULL, "has_gold": False, "answer": 0}
    missing = {name: value for name, value in every.items() if name not in run.scores}
    none = pd.DataFrame(columns=["task", "retriever", "question_id", "measure", "value"])
    run = replace(run, scores=run.scores.assign(**missing), quality=none)
    models = {name: {"digest": name, "dtype": "float32"} for name in run.members("models")}
    return edited(run, "identity.models", models)


def made(run: Run) -> Headline:
    run = whole(run)
    return headline(run, results(run), effects(run))


def test_the_card_of_twelve_questions_by_hand(tmp_path: Path) -> None:
    found = made(worked(tmp_path))
    (card,) = found.cards
    assert (card.name, card.task, card.arm) == ("bio against general", "t", "bm25")
    # Right of 12: general 2 closed-book and 9 with bm25, bio 4 and 6.
    rates = {(c.kind, c.arm): (round(c.value * 12), c.n) for c in card.cells}
    assert rates == {
        ("general", "closed-book"): (2, 12),
        ("general", "bm25"): (9, 12),
        ("biomedical", "closed-book"): (4, 12),
        ("biomedical", "bm25"): (6, 12),
    }
    cell = card.cell("general", "closed-book")
    # Wilson's interval of 2 of 12: (2 + z²/2 ± z √(2 · 10 / 12 + z²/4)) / (12 + z²), z = 1.96
    assert cell is not None
    # The lower end is further out: two or more of 12 are right with .05 at the rate 0.0305, for
    # 1 - 0.9695^12 - 12 * 0.0305 * 0.9695^11 = 0.05.
    assert (cell.low, cell.high) == pytest.approx((0.0305, 0.4480), abs=5e-4)
    numbers = [(n.effect, round(n.estimate * 12), n.state) for n in card.numbers]
    assert numbers == [
        ("retrieval gain", 7, SHOWN),  # p = 1 / 128, times the four of the family: 0.031
        ("fine-tuning gain", 2, "not shown"),
        ("retrieval less fine-tuning", 5, "not shown"),  # p = 1 / 32, times three: 0.094
    ]
    assert [(s.stratum, round(s.estimate * 6)) for s in card.strata] == [
        ("held-out", 0),
        ("seen", 2),
    ]
    assert found.sentence == "No difference between retrieval and fine-tuning is shown on t."


@pytest.mark.parametrize("name", ODD)
def test_an_odd_run_has_a_headline_no_stronger_than_its_verdict(tmp_path: Path, name: str) -> None:
    run = whole(RUNS[name](tmp_path / "run"))
    found = headline(run, results(run), effects(run))
    sentences = verdict(run, effects(run))
    said = " ".join(sentences)
    assert found.sentence.endswith(".") and 1 <= len(found.lines) <= 4
    assert len(found.cards) >= len(run.members("tasks"))
    for card in found.cards:
        assert len(card.cells) <= 4 and len(card.numbers) <= 3
        assert len({(c.kind, c.arm) for c in card.cells}) == len(card.cells)
        for number in card.numbers:
            if number.state == SHOWN and not card.is_average:  # the verdict has it as shown, too
                assert f"{abs(100 * number.estimate):.1f} points" in said
                assert number.low > 0 or number.high < 0
    assert set(found.limits) >= {
        line for line in verdict(run, effects(run)) if "cannot show" in line
    }


def test_a_run_without_a_pair_has_a_row_of_two_cells(mixed: Analysed) -> None:
    found = headline(mixed.run, mixed.results, mixed.effects)
    assert {(card.general, card.biomedical) for card in found.cards} == {("scripted", None)}
    average, *tasks = found.cards
    assert average.is_average and [card.task for card in tasks] == mixed.run.members("tasks")
    for card in tasks:
        assert [(c.kind, c.arm) for c in card.cells] == [
            ("general", "closed-book"),
            ("general", card.arm),
        ]
    mean = sum(card.cells[0].value for card in tasks) / len(tasks)
    assert average.cells[0].value == pytest.approx(mean)
    assert average.cells[0].n == 18  # 3 tasks of 6 questions
    # Right of 6, closed-book: 2, 0 and 2. Wilson's lower ends are 0.0968, 0 and 0.0968, so that of
    # the average is 4/18 - sqrt(2 x (2/6 - 0.0968)²) / 3 = 0.2222 - 0.1115.
    assert [round(card.cells[0].value * 6) for card in tasks] == [2, 0, 2]
    assert average.cells[0].low == pytest.approx(0.1107, abs=0.0001)


def test_a_cell_with_errors_has_bounds_and_its_effects_are_not_shown(tmp_path: Path) -> None:
    (card,) = made(RUNS["a cell with errors"](tmp_path / "run")).cards
    assert [cell.is_complete for cell in card.cells].count(False) == 1
    assert [number.state for number in card.numbers] == ["bounds only"]
