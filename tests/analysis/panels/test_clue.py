"""CLUE's averages by hand, and the published ones made again."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ragbench.analysis.panels.clue import first_doubled, level_scores, task_score


def test_the_first_item_counts_twice() -> None:
    # five items, the first right: (1 + 1 + 0 + 0 + 1 + 0) / 6
    assert first_doubled([1.0, 0.0, 0.0, 1.0, 0.0]) == pytest.approx(3 / 6)
    assert first_doubled([0.25]) == pytest.approx(0.25)


def test_published_accuracies_on_mednli_have_the_doubled_denominator(shared_data: Path) -> None:
    """1,422 pairs, 3 of them examples, 1 doubled: every figure is a whole number of 1,420ths."""
    table = pd.read_csv(shared_data / "published_results.csv")
    site = table[(table.source == "CLUE_arXiv2404.04067_site") & (table.task == "MedNLI")]
    assert len(site) == 26

    def fits(value: float, n: int) -> bool:
        return round(100 * round(value / 100 * n) / n, 2) == round(value, 2)

    assert all(fits(value, 1420) for value in site.value)
    assert sum(fits(value, 1419) for value in site.value) < 10


def test_task_scores_by_hand() -> None:
    values = {"rougeL": 0.2, "rouge1": 0.3, "rouge2": 0.1, "bertscore_f1": 0.8}
    assert task_score("meqsum", values) == pytest.approx(35.0)
    assert task_score("medisumqa", values) is None  # UMLS-F1 is lacking
    assert task_score("medisumqa", values | {"umls_f1": 0.1}) == pytest.approx(30.0)
    assert task_score("mednli", {"accuracy": 0.74}) == pytest.approx(74.0)
    assert task_score("icd10cm", {"accuracy": 1.0}) is None


def test_level_scores_by_hand() -> None:
    scores = {"mednli": 74.0, "meqsum": 35.0, "problem_list": 30.0, "longhealth1": 60.0}
    assert level_scores(scores) == {"(clue level 1)": pytest.approx(139 / 3)}
    more = {"longhealth2": 30.0, "longhealth3": 0.0, "medisumqa": 20.0, "medisumcode": 10.0}
    found = level_scores(scores | more)
    assert found["longhealth"] == pytest.approx(30.0)
    assert found["(clue level 2)"] == pytest.approx(20.0)
