"""Judged rankings against trec_eval itself, called through pytrec_eval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pytrec_eval

from ragbench.cli.retrieval.judged import Source, judge
from ragbench.indexes.evaluation.runfile import read_queries

NAMES = {
    "nDCG@10": "ndcg_cut_10",
    "R@5": "recall_5",
    "P@5": "P_5",
    "AP": "map",
    "RR": "recip_rank",
}


@pytest.fixture
def drawn(small: Path) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """Qrels and a run of 40 queries, drawn; a third of the judged ids is not in the corpus."""
    draw = np.random.default_rng(5)
    every = [*(f"d{n}" for n in range(5)), "x1", "x2", "x3"]
    qrels, run = {}, {}
    for number in range(40):
        judged = draw.choice(every, size=int(draw.integers(1, 6)), replace=False)
        qrels[f"t{number}"] = {str(key): int(draw.integers(0, 3)) for key in judged}
        found = draw.permutation(every[:5])[: int(draw.integers(0, 6))]
        if found.size:
            run[f"t{number}"] = {str(key): float(-rank) for rank, key in enumerate(found)}
    lines = [f"{q} 0 {d} {g}\n" for q, grades in qrels.items() for d, g in grades.items()]
    (small / "qrels").write_text("".join(lines), encoding="utf-8")
    lines = [f"{q} Q0 {d} {-s:.0f} {s} t\n" for q, hits in run.items() for d, s in hits.items()]
    (small / "run").write_text("".join(lines), encoding="utf-8")
    return qrels, run


def test_ids_outside_the_corpus_count_as_in_trec_eval(
    small: Path, drawn: tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]
) -> None:
    """Each query by trec_eval; one without hits has no line there and counts 0 (its option -c)."""
    qrels, run = drawn
    source = Source("bm25-small", small / "run", None, 100, "cpu")
    found = judge(source, None, small / "qrels", list(NAMES), "count")
    wanted = pytrec_eval.RelevanceEvaluator(qrels, set(NAMES.values())).evaluate(run)
    assert set(found.queries) == set(qrels)
    for name, theirs in NAMES.items():
        for query in qrels:
            expected = wanted[query][theirs] if query in wanted else 0.0
            assert found.values[name][query] == pytest.approx(expected), (name, query)
    relevant = {q: {d for d, g in grades.items() if g > 0} for q, grades in qrels.items()}
    assert found.n_irrelevant == sum(not ids for ids in relevant.values()) > 0
    gone = {q for q, ids in relevant.items() if ids and all(i.startswith("x") for i in ids)}
    assert found.n_unreachable == len(gone) > 0
    assert all(found.values[name][query] == 0 for name in NAMES for query in gone)
    assert found.n_absent == 3
    assert found.n_without_hits == len(qrels) - len(run) > 0


def test_a_measure_that_is_named_twice_is_computed_once(small: Path) -> None:
    source = Source("bm25-small", None, None, 10, "cpu")
    queries = read_queries(small / "q.jsonl")
    found = judge(source, queries, small / "qrels", ["RR@10", "P@2", "RR@10"], "error")
    assert list(found.values) == ["RR@10", "P@2"]
    assert found.queries == ["q1", "q2", "q3"]
    assert (found.source, found.n_missing, found.n_not_asked) == ("bm25-small", 1, 1)
