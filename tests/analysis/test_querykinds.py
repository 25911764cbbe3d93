"""Written queries against the question over the same index, against SciPy and by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from ragbench.analysis.load import Run
from ragbench.analysis.querykinds import differences, plain_source, query_kinds
from ragbench.report.tables import query_kind_rows
from ragbench.runfolder.retrieval import RetrievalNote
from tests.analysis.making import clustered, make_run

Values = Mapping[tuple[str, str], Sequence[float]]


def run_with(path: Path, values: Values) -> Run:
    """Return a run with the values of (ranking, measure), question by question."""
    n = max(map(len, values.values()))
    run = make_run(path, {("m", "t", "closed-book"): "1" * n})
    ids = [question.id for question in run.questions("t")]
    rows = [
        {"task": "t", "retriever": source, "question_id": name, "measure": measure, "value": value}
        for (source, measure), every in values.items()
        for name, value in zip(ids, every, strict=False)
    ]
    notes = {("t", source): RetrievalNote(kind="index") for source, _ in values}
    return replace(run, quality=pd.DataFrame(rows), retrievals=notes)


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("bm25", "bm25"),
        ("bm25~rationale", "bm25"),
        ("bm25~rationale@llama", "bm25"),
        ("bm25~documents", "bm25~documents"),
        ("bm25~documents~hyde", "bm25~documents"),
        ("bm25~documentation", "bm25"),
        ("bm25~hyde+dense~hyde", "bm25+dense"),
        ("bm25~hyde+dense~hyde~50~60", "bm25+dense~50~60"),
        ("bm25+dense~50~60", "bm25+dense~50~60"),
    ],
)
def test_the_ranking_with_the_question_itself(source: str, plain: str) -> None:
    assert plain_source(source) == plain


def test_found_or_not_is_mcnemars_test(tmp_path: Path) -> None:
    """Of 40 questions, the rationale finds 7 that the question misses and loses 1."""
    plain = [1.0] * 20 + [0.0] * 7 + [1.0] + [0.0] * 12
    written = [1.0] * 20 + [1.0] * 7 + [0.0] + [0.0] * 12
    values = {("bm25", "R@5"): plain, ("bm25~rationale", "R@5"): written}
    (one,) = query_kinds(run_with(tmp_path / "run", values))
    assert (one.source, one.other, one.n) == ("bm25~rationale", "bm25", 40)
    assert (one.value, one.other_value) == (27 / 40, 21 / 40)
    assert one.estimate == pytest.approx(6 / 40)
    assert (one.better, one.worse) == (7, 1)
    exact = mcnemar([[20, 7], [1, 12]], exact=True).pvalue
    assert one.p == pytest.approx(exact - stats.binom.pmf(1, 8, 0.5))
    assert one.p == one.p_adjusted
    assert (one.low > 0) == (one.p < 0.05)


def test_graded_differences_are_near_the_paired_t_test_and_holm_covers_the_run(
    tmp_path: Path,
) -> None:
    draw = np.random.default_rng(4)
    plain = draw.uniform(size=150)
    better = np.clip(plain + draw.normal(0.05, 0.2, size=150), 0, 1)
    same = np.clip(plain + draw.normal(0.0, 0.2, size=150), 0, 1)
    values = {
        ("bm25", "RR@5"): plain.tolist(),
        ("bm25~rationale", "RR@5"): better.tolist(),
        ("bm25~hyde", "RR@5"): same.tolist(),
        ("dense~hyde", "RR@5"): same.tolist(),  # no ranking of the question itself
        ("bm25~rationale", "R@1"): better.tolist(),  # a measure that the question's lacks
    }
    run = run_with(tmp_path / "run", values)
    hyde, rationale = query_kinds(run)
    assert (hyde.source, rationale.source) == ("bm25~hyde", "bm25~rationale")
    paired = stats.ttest_rel(better, plain)
    interval = paired.confidence_interval()
    slack = (interval.high - interval.low) / 10
    assert (rationale.low, rationale.high) == pytest.approx(
        (interval.low, interval.high), abs=slack
    )
    assert rationale.p_adjusted == pytest.approx(2 * rationale.p)
    assert hyde.p_adjusted == pytest.approx(max(hyde.p, rationale.p_adjusted))
    header, rows = query_kind_rows(run)
    row = dict(zip(header, rows[1], strict=True))
    assert (row["retriever"], row["against"], row["n"]) == ("bm25~rationale", "bm25", "150")
    assert row["difference"] == f"{(better - plain).mean():+.3f}"


def test_any_two_rankings_over_the_questions_that_both_have(tmp_path: Path) -> None:
    """The second has no value for the last two of ten questions; eight are 1 against 0.5."""
    values = {("bm25", "R@1"): [1.0] * 10, ("dense", "R@1"): [0.5] * 8 + [math.nan] * 2}
    run = run_with(tmp_path / "run", values)
    assert query_kinds(run) == []
    (one,) = differences(run, [("t", "bm25", "dense")])
    assert (one.n, one.estimate, one.better, one.worse) == (8, 0.5, 8, 0)


def test_clusters_are_the_units(tmp_path: Path) -> None:
    """Ten questions of five patients: fewer than eight clusters have no interval."""
    values = {("bm25", "R@1"): [0.0] * 10, ("bm25~hyde", "R@1"): [1.0, 0.0] * 5}
    run = run_with(tmp_path / "run", values)
    (alone,) = query_kinds(run)
    assert alone.low <= alone.estimate <= alone.high
    patients = {q.id: f"p{place // 2}" for place, q in enumerate(run.questions("t"))}
    (one,) = query_kinds(clustered(run, "t", patients))
    assert math.isnan(one.low) and math.isnan(one.p) and one.estimate == 0.5
