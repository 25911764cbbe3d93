"""Picks and accuracy by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.records import UNANSWERABLE, Answered, Question
from ragbench.metrics.choice import accuracy, hallucination, over_refusal, pick_option

QUESTION = Question(id="q", text="?", options=("a", "b", "c"), answer=1, query="?")


@pytest.mark.parametrize(
    ("sums", "options", "expected"),
    [
        # -4/2 = -2.0 and -4.5/3 = -1.5: the longer option wins though its sum is lower.
        ([-4.0, -4.5], ["ab", "abc"], (1, False)),
        # -6/3 = -2 and -8/4 = -2 tie: the first of them.
        ([-9.0, -6.0, -8.0], ["abc", "abc", "abcd"], (1, True)),
        # A tie below the best is no tie.
        ([-1.0, -2.0, -2.0], ["a", "a", "a"], (0, False)),
        ([-5.0, -5.0, -5.0], ["a", "a", "a"], (0, True)),
        # Characters, not bytes: "é" is one. -2/2 = -1 against -2.4/2 = -1.2.
        ([-2.4, -2.0], ["ab", "éé"], (1, False)),
        # An empty option counts as one character: -3/1 against -3.2/1.
        ([-3.2, -3.0], ["a", ""], (1, False)),
        ([-7.0], ["alone"], (0, False)),
    ],
)
def test_the_best_mean_per_character_is_picked(
    sums: list[float], options: list[str], expected: tuple[int, bool]
) -> None:
    assert pick_option(sums, options) == expected


@given(st.lists(st.tuples(st.integers(-40, -1), st.integers(1, 6)), min_size=1, max_size=6))
def test_the_pick_is_the_first_of_the_best(drawn: list[tuple[int, int]]) -> None:
    pick, tied = pick_option([float(s) for s, _ in drawn], ["x" * n for _, n in drawn])
    means = [s / n for s, n in drawn]
    assert all(mean < means[pick] for mean in means[:pick])
    assert all(mean <= means[pick] for mean in means)
    assert tied == (sorted(means)[-2:].count(means[pick]) == 2)


def test_options_and_sums_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="zip"):
        pick_option([-1.0, -2.0], ["a"])


@pytest.mark.parametrize(("pick", "expected"), [(0, 0.0), (1, 1.0), (2, 0.0), (None, 0.0)])
def test_accuracy(pick: int | None, expected: float) -> None:
    assert accuracy([Answered(QUESTION, "parsed", pick)], {}) == [expected]


def test_no_pick_is_wrong_even_where_the_first_option_is_right() -> None:
    question = Question(id="q", text="?", options=("a", "b"), answer=0, query="?")
    assert accuracy([Answered(question, "unparsed", None)], {}) == [0.0]


def test_refusals_and_hallucinations_by_hand() -> None:
    options = ("a", "b", UNANSWERABLE)
    asked = Question(id="q", text="?", options=options, answer=0, query="?")
    not_asked = Question(id="q", text="?", options=options, answer=2, query="?")
    cell = [
        *(Answered(asked, "parsed", pick) for pick in (0, 1, 2)),
        *(Answered(not_asked, "parsed", pick) for pick in (0, 2)),
        Answered(not_asked, "unparsed", None),
    ]
    nan = float("nan")
    assert over_refusal(cell, {}) == pytest.approx([0, 0, 1, nan, nan, nan], nan_ok=True)
    assert hallucination(cell, {}) == pytest.approx([nan, nan, nan, 1, 0, 0], nan_ok=True)
