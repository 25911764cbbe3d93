"""Retrieval measures by hand and against pytrec_eval used directly."""

from __future__ import annotations

import ir_measures
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.errors import UsageError
from ragbench.metrics.retrieval import depth_of, per_query

DOCS = [f"d{i}" for i in range(12)]
GOLD = st.dictionaries(
    st.sampled_from(["q1", "q2", "q3", "q4"]),
    st.lists(st.sampled_from(DOCS), min_size=1, max_size=5),
    min_size=1,
)
RANKED = st.dictionaries(
    st.sampled_from(["q1", "q2", "q3", "q4", "q5"]),
    st.lists(st.sampled_from(DOCS), max_size=12, unique=True),
)


@pytest.mark.parametrize(
    ("ranked", "expected"),
    [
        # Gold a and b. R@k = gold among the first k / 2; RR = 1 / place of the first gold.
        (["a", "b", "x"], {"R@1": 0.5, "R@3": 1.0, "RR": 1.0}),
        (["x", "b", "y", "a"], {"R@1": 0.0, "R@3": 0.5, "RR": 0.5}),
        (["x", "y", "z", "b"], {"R@1": 0.0, "R@3": 0.0, "RR": 0.25}),
        (["x", "y"], {"R@1": 0.0, "R@3": 0.0, "RR": 0.0}),
        ([], {"R@1": 0.0, "R@3": 0.0, "RR": 0.0}),
        # A repeat counts at its first place and takes none of its own: b is first, then third.
        (["b", "x", "b"], {"R@1": 0.5, "R@3": 0.5, "RR": 1.0}),
        (["x", "x", "y", "x", "b"], {"R@1": 0.0, "R@3": 0.5, "RR": 1 / 3}),
    ],
)
def test_worked_by_hand(ranked: list[str], expected: dict[str, float]) -> None:
    found = per_query(list(expected), {"q": ["a", "b"]}, {"q": ranked})
    assert found == {name: {"q": pytest.approx(value)} for name, value in expected.items()}


def test_gold_that_is_listed_twice_counts_once() -> None:
    assert per_query(["R@2"], {"q": ["a", "a", "b"]}, {"q": ["a", "x"]}) == {"R@2": {"q": 0.5}}


def test_a_query_without_hits_scores_0_and_one_without_gold_is_left_out() -> None:
    gold = {"hit": ["a"], "missed": ["b"], "no-gold": []}
    ranked = {"hit": ["a"], "no-gold": ["a"], "stranger": ["a"]}
    found = per_query(["R@5", "RR", "nDCG@10"], gold, ranked)
    for values in found.values():
        assert values == {"hit": 1.0, "missed": 0.0}


def test_order_alone_counts_beyond_where_trec_eval_would_tie() -> None:
    """trec_eval orders tied scores by id, descending: it would put ``z`` first here."""
    found = per_query(["RR"], {"q": ["a"]}, {"q": ["a", "z"]})
    assert found == {"RR": {"q": 1.0}}
    long = [f"d{i:05d}" for i in range(30_000)]
    assert per_query(["RR"], {"q": [long[-1]]}, {"q": long})["RR"]["q"] == pytest.approx(1 / 30_000)


def test_names_are_those_of_ir_measures() -> None:
    names = ["RR", "R@5", "nDCG@10", "P@3", "AP"]
    found = per_query(names, {"q": ["a"]}, {"q": ["a"]})
    assert list(found) == names == [str(ir_measures.parse_measure(name)) for name in names]


def test_graded_gold_worked_by_hand() -> None:
    """Grades 3, 1 and 0. DCG = 1/log2(2) + 3/log2(4) = 2.5; ideal 3 + 1/log2(3) = 3.63093."""
    gold = {"q": {"a": 3, "b": 1, "c": 0}, "none": {"c": 0}}
    found = per_query(["nDCG@10", "R@2", "R(rel=2)@1"], gold, {"q": ["b", "c", "a"], "none": ["c"]})
    assert found["nDCG@10"] == {"q": pytest.approx(2.5 / 3.63093, rel=1e-5), "none": 0.0}
    assert found["R@2"] == {"q": 0.5, "none": 0.0}
    assert found["R(rel=2)@1"] == {"q": 0.0, "none": 0.0}


@pytest.mark.parametrize(
    "name",
    [
        *("nonsense", "nDCG@x", "R@5 R@10", "__import__('os').getcwd()", "", "R(rel=[1])@5"),
        *("R@0", "nDCG@0", "AP(rel=0)", "P@9223372036854775808", "P(rel=99999999999)@5"),
    ],
)
def test_a_name_of_no_measure_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError, match="is not a measure") as caught:
        per_query([name], {"q": ["a"]}, {"q": ["a"]})
    assert "nDCG@10" in caught.value.fix


@pytest.mark.parametrize(
    ("name", "depth"),
    [("R@5", 5), ("nDCG(dcg='exp-log2')@10", 10), ("AP", 0), ("IPrec@0.1", 0), ("Rprec", 0)],
)
def test_how_many_hits_a_measure_looks_at(name: str, depth: int) -> None:
    assert depth_of(name) == depth


def test_a_measure_without_its_cutoff_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="cannot compute R"):
        per_query(["R"], {"q": ["a"]}, {"q": ["a"]})


@given(gold=GOLD, ranked=RANKED)
def test_values_equal_pytrec_eval(gold: dict[str, list[str]], ranked: dict[str, list[str]]) -> None:
    names = {"R@5": "recall_5", "RR": "recip_rank", "AP": "map", "nDCG@10": "ndcg_cut_10"}
    qrels = {query: dict.fromkeys(docs, 1) for query, docs in gold.items()}
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, {"recall", "recip_rank", "map", "ndcg_cut"})
    run = {
        query: {doc: 1000.0 - place for place, doc in enumerate(docs)}
        for query, docs in ranked.items()
        if docs
    }
    expected = evaluator.evaluate(run)
    found = per_query(list(names), gold, ranked)
    for ours, theirs in names.items():
        assert found[ours] == {
            query: pytest.approx(expected.get(query, {}).get(theirs, 0.0)) for query in gold
        }


@given(gold=GOLD, ranked=RANKED, k=st.integers(1, 12))
def test_recall_equals_counting(
    gold: dict[str, list[str]], ranked: dict[str, list[str]], k: int
) -> None:
    (found,) = per_query([f"R@{k}"], gold, ranked).values()
    for query, docs in gold.items():
        wanted = set(docs)
        seen = wanted & set(ranked.get(query, [])[:k])
        assert found[query] == pytest.approx(len(seen) / len(wanted))


@pytest.mark.parametrize("gold", [{}, {"q": []}])
def test_without_any_gold_there_is_no_value(gold: dict[str, list[str]]) -> None:
    assert per_query(["R@5"], gold, {"q": ["a"]}) == {"R@5": {}}
