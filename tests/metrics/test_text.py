"""ROUGE against hand arithmetic and Google's rouge_score; lists of problems by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.files import read_jsonl
from ragbench.base.records import Answered, Question
from ragbench.metrics.text import (
    common_subsequence,
    exact_match,
    problem_f1,
    problems,
    rouge1,
    rouge2,
    rouge_l,
    rouge_n,
    rougeL,
)

words = st.lists(st.sampled_from("abcde"), max_size=12)


def answered(text: str, reference: str) -> Answered:
    return Answered(Question("q", "t", (), -1, "t", reference=reference), "parsed", None, text)


def test_rouge_by_hand() -> None:
    prediction, reference = "The patient has acute pancreatitis", "Patient with acute pancreatitis"
    # tokens: the patient has acute pancreatitis (5) / patient with acute pancreatitis (4);
    # common words 3: P 3/5, R 3/4 -> 2 * .45 / 1.35 = 2/3
    assert rouge_n(prediction, reference, 1) == pytest.approx(2 / 3)
    # pairs: 4 and 3, common "acute pancreatitis": P 1/4, R 1/3 -> 2 * (1/12) / (7/12) = 2/7
    assert rouge_n(prediction, reference, 2) == pytest.approx(2 / 7)
    # subsequence: patient acute pancreatitis = 3
    assert rouge_l(prediction, reference) == pytest.approx(2 / 3)
    # order matters for L alone: "b a" against "a b" have both words, and one in order
    assert rouge_n("b a", "a b", 1) == 1.0
    assert rouge_l("b a", "a b") == 0.5
    # a word counts as often as it stands in both: P 1/3, R 1/1
    assert rouge_n("a a a", "a", 1) == pytest.approx(0.5)
    assert rouge_n("", "a", 1) == rouge_l("", "a") == rouge_n("a", "b", 2) == 0.0


@given(words, words)
def test_the_subsequence_is_that_of_the_table(left: list[str], right: list[str]) -> None:
    table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, mine in enumerate(left):
        for j, theirs in enumerate(right):
            longest = max(table[i][j + 1], table[i + 1][j])
            table[i + 1][j + 1] = table[i][j] + 1 if mine == theirs else longest
    assert common_subsequence(left, right) == table[-1][-1]


@given(st.text(max_size=40), st.text(max_size=40))
def test_rouge_is_rouge_scores(left: str, right: str) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    found = scorer.score(target=right, prediction=left)
    (mine,) = rouge1([answered(left, right)], {})
    assert mine == pytest.approx(found["rouge1"].fmeasure)
    assert rouge2([answered(left, right)], {}) == [pytest.approx(found["rouge2"].fmeasure)]
    assert rougeL([answered(left, right)], {}) == [pytest.approx(found["rougeL"].fmeasure)]


def test_rouge_of_real_summaries_is_rouge_scores(shared_data: Path) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    rows = [row for _, row in read_jsonl(shared_data / "tasks" / "meqsum.jsonl")][:100]
    for row in rows:
        found = scorer.score(target=row["summary"], prediction=row["question"])
        mine = answered(row["question"], row["summary"])
        values = [rouge1([mine], {})[0], rouge2([mine], {})[0], rougeL([mine], {})[0]]
        assert values == pytest.approx([found[n].fmeasure for n in ("rouge1", "rouge2", "rougeL")])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sepsis; AKI; Anemia", {"sepsis", "aki", "anemia"}),
        ("1. Sepsis\n2) AKI\n- Anemia (chronic)", {"sepsis", "aki", "anemia chronic"}),
        ("* sepsis, * A.K.I.", {"sepsis", "a k i"}),
        ("COVID-19, type 2 diabetes", {"covid 19", "type 2 diabetes"}),
        ("", set()),
    ],
)
def test_problems_by_hand(text: str, expected: set[str]) -> None:
    assert problems(text) == expected


def test_problem_f1_by_hand() -> None:
    # two of three named are right, of four: P 2/3, R 2/4 -> 2 * (1/3) / (7/6) = 4/7
    cell = [
        answered("Sepsis; sepsis; AKI; gout", "sepsis, aki, anemia, hypotension"),
        answered("", "sepsis"),
    ]
    assert problem_f1(cell, {}) == [pytest.approx(4 / 7), 0.0]


def test_exact_match_by_hand() -> None:
    cell = [answered(" Vitamin C. ", "vitamin c"), answered("vitamin C!", "vitamin D")]
    assert exact_match(cell, {}) == [1.0, 0.0]
