"""The sentence and the four lines: what they say of shown, small, unclear and mixed effects."""

from __future__ import annotations

import math

import pytest

from ragbench.report.verdict.card import (
    BOUNDS,
    DOUBTFUL,
    EQUIVALENT,
    NOT_SHOWN,
    SHOWN,
    UNTESTED,
    Card,
    Number,
)
from ragbench.report.verdict.takeaways import lines_of, sentence_of, words


def number(
    estimate: float,
    state: str = SHOWN,
    effect: str = "retrieval less fine-tuning",
    stratum: str = "",
) -> Number:
    small = state == SHOWN and abs(estimate) < 0.025  # the interval is within 3 points
    low, high = estimate - 0.01, estimate + 0.01
    if state == UNTESTED:
        low = high = math.nan
    return Number(effect, "bm25", stratum, estimate, low, high, 40, state, small, True, 0.01, 0.1)


def card(
    task: str, *numbers: Number, general: str = "base", strata: tuple[Number, ...] = ()
) -> Card:
    return Card(general, "bio", task, "accuracy", "bm25", (), numbers, strata)


UP, DOWN, SMALL = number(0.2), number(-0.2), number(0.015)
UNCLEAR, EQUAL = number(0.1, NOT_SHOWN), number(0.0, EQUIVALENT)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ([UP], "Retrieval did better than fine-tuning on a."),
        ([UP, UP], "Retrieval did better than fine-tuning on both tasks."),
        ([UP] * 4, "Retrieval did better than fine-tuning on all 4 tasks."),
        (
            [UP, DOWN],
            "Retrieval did better than fine-tuning on a; fine-tuning did better than retrieval "
            "on b.",
        ),
        (
            [UP, UNCLEAR],
            "Retrieval did better than fine-tuning on a; no difference between retrieval and "
            "fine-tuning is shown on b.",
        ),
        ([SMALL], "Retrieval did better than fine-tuning by less than 3 points on a."),
        ([EQUAL], "Retrieval and fine-tuning did equally well, within 3 points, on a."),
        ([UNCLEAR] * 2, "No difference between retrieval and fine-tuning is shown on either task."),
        (
            [UNCLEAR] * 3,
            "No difference between retrieval and fine-tuning is shown on any of 3 tasks.",
        ),
        (
            [UP] * 4 + [UNCLEAR],
            "Retrieval did better than fine-tuning on 4 of 5 tasks; no difference between "
            "retrieval and fine-tuning is shown on e.",
        ),
        ([], "The run shows accuracies alone: it compares no arms and no models."),
    ],
)
def test_the_sentence_names_the_tasks(found: list[Number], sentence: str) -> None:
    cards = [card("abcde"[i], n) for i, n in enumerate(found)] or [card("a")]
    assert sentence_of(cards, 0.03) == sentence


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (UP, "+20.0 points (+19.0 to +21.0)"),
        (SMALL, "+1.5 points (+0.5 to +2.5), small"),
        (UNCLEAR, "+10.0 points (+9.0 to +11.0), not shown"),
        (EQUAL, "+0.0 points (-1.0 to +1.0), equivalent"),
        (number(0.1, UNTESTED), "+10.0 points, not tested"),
        (number(0.1, BOUNDS), "between +9.0 and +11.0 points, because answers are missing"),
        (
            number(0.1, DOUBTFUL),
            "+10.0 points (+9.0 to +11.0), depends on how replies without an answer count",
        ),
    ],
)
def test_an_effect_in_words(found: Number, text: str) -> None:
    assert words(found) == text


def test_one_pair_has_a_line_per_effect_and_a_limit() -> None:
    gain, tuning = number(0.5, effect="retrieval gain"), number(0.1, effect="fine-tuning gain")
    strata = (number(0.3, stratum="seen"), number(-0.1, NOT_SHOWN, stratum="held-out"))
    one = card("a", gain, tuning, UP, strata=strata)
    assert list(lines_of([one], ["First limit.", "Second."], "95 %")) == [
        "Retrieval (bm25) in the general model: +50.0 points (95 % interval +49.0 to +51.0).",
        "Fine-tuning, closed-book: +10.0 points (+9.0 to +11.0); seen +30.0, held-out -10.0 (not "
        "shown).",
        "General model with bm25 less biomedical one without: +20.0 points (+19.0 to +21.0).",
        "First limit. 1 more in the report.",
    ]


def test_limits_fill_the_lines_that_effects_leave() -> None:
    one = card("a", number(0.5, effect="retrieval gain"))
    limits = [f"Limit {i}." for i in range(5)]
    assert list(lines_of([one], limits, "95 %"))[1:] == [
        "Limit 0.",
        "Limit 1.",
        "Limit 2. 2 more in the report.",
    ]
    assert list(lines_of([one], limits[:1], "95 %"))[1:] == ["Limit 0."]


def test_many_pairs_have_a_line_each_and_never_more_than_four() -> None:
    cards = [card("a", UP, general=f"base{i}") for i in range(7)]
    lines = list(lines_of(cards, ["A limit."], "95 %"))
    assert lines[0] == (
        "bio against base0: retrieval less fine-tuning +20.0 points (95 % interval +19.0 to "
        "+21.0) on a."
    )
    assert lines[2:] == ["5 more are in the report.", "A limit."]
    assert sentence_of(cards, 0.03) == (
        "Retrieval did better than fine-tuning in 7 of 7 comparisons (7 pairs)."
    )
