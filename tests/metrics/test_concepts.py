"""Concepts by hand; UMLS needs what is not here."""

from __future__ import annotations

import math
from importlib.util import find_spec

import pytest

from ragbench.base.errors import PrerequisiteError
from ragbench.base.records import Answered, Question
from ragbench.metrics.concepts import hpo_concept_f1, hpo_terms, umls_f1


def answered(text: str, reference: str) -> Answered:
    return Answered(Question("q", "t", (), -1, "t", reference=reference), "parsed", None, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The patient had seizures.", {"HP:0001250"}),
        ("A SEIZURE, then another seizure", {"HP:0001250"}),
        ("arterial hypertension", {"HP:0000822"}),  # Hypertension is its name
        ("pulmonary arterial hypertension", {"HP:0002092"}),  # the longest wins
        ("nothing of note", set()),
    ],
)
def test_terms_of_a_text(text: str, expected: set[str]) -> None:
    assert hpo_terms(text) == expected


def test_f_measure_by_hand() -> None:
    # named: seizure, hypertension; right: seizure, fever, headache -> P 1/2, R 1/3 -> 2/5
    cell = [
        answered("Seizures and hypertension", "seizure, fever and headache"),
        answered("Seizures", "nothing"),
        answered("", "fever"),
    ]
    found = hpo_concept_f1(cell, {})
    assert found[0] == pytest.approx(2 / 5)
    assert math.isnan(found[1])
    assert found[2] == 0.0


@pytest.mark.skipif(find_spec("scispacy") is not None, reason="scispaCy is installed")
def test_umls_says_what_it_needs() -> None:
    with pytest.raises(PrerequisiteError, match="scispaCy") as caught:
        umls_f1([answered("a", "b")], {})
    assert "hpo_concept_f1" in caught.value.fix
