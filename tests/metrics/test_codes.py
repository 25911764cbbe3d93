"""Codes in replies, and their F-measures, by hand."""

from __future__ import annotations

import math

import pytest

from ragbench.base.records import Answered, Question
from ragbench.metrics import codes


def answered(text: str, reference: str) -> Answered:
    return Answered(Question("q", "t", (), -1, "t", reference=reference), "parsed", None, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I10, E11.9, E119", ["I10", "E119"]),
        ("i10 and e11.65", ["I10", "E1165"]),
        ("U07.1; C7A.1; Z3A.12; M1A.9XX0", ["U071", "C7A1", "Z3A12", "M1A9XX0"]),
        ("S72.001A (initial encounter)", ["S72001A"]),
        ("vitamin B12, fracture of T11, H1N1, P2Y12", []),
        ("I50.9.", ["I509"]),
        ("(I50.9)/J18.9", ["I509", "J189"]),
        ("E11.99999999", []),
        ("no codes at all", []),
    ],
)
def test_codes_in_a_reply(text: str, expected: list[str]) -> None:
    assert codes.codes_of(text) == expected


def test_f_measures_by_hand() -> None:
    # named I10, E119, I509 (repeat dropped); right: I10, E1165, N179
    cell = [answered("I10, I10, E11.9, I50.9", "I10, E1165, N179")]
    # exact: one common of 3 and 3 -> 1/3; categories I10, E11, I50 and I10, E11, N17 -> 2/3
    assert codes.code_em_f1(cell, {}) == [pytest.approx(1 / 3)]
    assert codes.code_ap_f1(cell, {}) == [pytest.approx(2 / 3)]


def test_valid_and_billable_by_hand() -> None:
    # E11 is a heading, E119 billable, I509 billable, I5099 is none
    cell = [answered("E11, E11.9, I50.9, I50.99", "I10"), answered("none", "I10")]
    assert codes.code_valid(cell, {})[0] == 0.75
    assert codes.code_billable(cell, {})[0] == 0.5
    assert math.isnan(codes.code_valid(cell, {})[1])
    assert math.isnan(codes.code_billable(cell, {})[1])


def test_clues_forms_keep_its_faults() -> None:
    # a list of 3 with a repeat; 2 of them in the gold: P 2/3, R 1/3 -> 2 * (2/9) / 1 = 4/9
    cell = [answered("I10, I10, B12", "I10, U071, N179")]
    assert codes.clue_codes("I10, I10, B12, U07.1, c50.9, Z3A.12") == ["I10", "I10", "B12"]
    assert codes.clue_code_em_f1(cell, {}) == [pytest.approx(4 / 9)]
    # more codes named than gold: P 2/4, R 1/2 -> 1/2; fewer: P 1/1, R 1/3 -> 2 * (1/3) / (4/3)
    more, fewer = answered("I10, I10, B12, C50", "I10, U071"), answered("I10", "I10, U071, N179")
    assert codes.clue_code_em_f1([more, fewer], {}) == [pytest.approx(1 / 2), pytest.approx(1 / 2)]
    # sets of categories: {I10, B12} against {I10, U07, N17}: P 1/2, R 1/3 -> 2/5
    assert codes.clue_code_ap_f1(cell, {}) == [pytest.approx(2 / 5)]
    # I10 twice is in the older list, B12 is not
    assert codes.clue_code_valid(cell, {}) == [pytest.approx(2 / 3)]
    assert codes.clue_code_valid([answered("none", "I10")], {}) == [0.0]
    # no gold: one empty text, which nothing can be
    assert codes.clue_code_em_f1([answered("I10", "")], {}) == [0.0]


def test_the_edition() -> None:
    every, billable = codes.code_table()
    assert {"E11", "E119", "U071", "S72001A", "C7A1"} <= every
    assert "E11" not in billable
    assert {"E119", "I10", "S72001A"} <= billable
    assert len(billable) > 70_000
    assert {"B12", "T11"}.isdisjoint(codes.categories())
