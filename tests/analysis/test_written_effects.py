"""What written queries and a filter bring over the same retrieval without them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.analysis.effects import effects
from ragbench.analysis.load import Run
from tests.analysis.making import edited, make_run, with_arms

CELLS = {
    "closed-book": "11000000",
    "bm25-5": "11110000",
    "asked-5": "11111100",
    "kept-5": "11100001",
    "both-5": "11111110",
    "bm25-3": "11110000",
    "rounds-5": "11111010",
}
FILTER = {"by": "m", "keep": 0.5}
PLAIN = {"retriever": "bm25", "k": 5}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    cells = {("m", "t", arm): letters for arm, letters in CELLS.items()}
    made = make_run(tmp_path / "run", cells, full=True)
    made = edited(made, "config.queries", {"rationale": {"by": "m", "write": "rationale"}})
    return with_arms(
        made,
        bm25_5=PLAIN,
        asked_5={**PLAIN, "queries": "rationale"},
        kept_5={**PLAIN, "filter": FILTER, "depth": 32},
        both_5={**PLAIN, "queries": "rationale", "filter": FILTER, "depth": 32},
        bm25_3={**PLAIN, "k": 3},
        rounds_5={**PLAIN, "rounds": {"by": "m", "n": 2, "queries": 2}},
    )


def test_an_arm_is_compared_with_the_same_retrieval_without_queries_or_filter(run: Run) -> None:
    table = effects(run)
    found = table[table.effect.str.startswith("gain from")]
    assert {
        (row["effect"], row["arm"], row["baseline"]): row["estimate"]
        for row in found.to_dict(orient="records")
    } == {
        ("gain from written queries", "asked-5", "bm25-5"): 2 / 8,
        ("gain from written queries", "both-5", "kept-5"): (7 - 4) / 8,
        ("gain from rounds", "rounds-5", "bm25-5"): (6 - 4) / 8,
        ("gain from the filter", "kept-5", "bm25-5"): 0,
        ("gain from the filter", "both-5", "asked-5"): 1 / 8,
        ("gain from written queries and the filter", "both-5", "bm25-5"): 3 / 8,
    }
    assert set(found.family) == {"exploratory"}
    # The retrieval gain of an arm with queries is against closed-book, as of every arm.
    gains = table[table.effect == "gain over closed-book"].set_index("arm").estimate
    assert gains["asked-5"] == 4 / 8
    one = found[(found.arm == "kept-5")].iloc[0]
    assert (one.helped, one.hurt) == (1, 1)


@pytest.mark.parametrize("key", ["order", "within", "budget_tokens", "retriever"])
def test_another_retrieval_is_no_baseline(run: Run, key: str) -> None:
    other = {"order": "best-last", "within": "documents", "budget_tokens": 9, "retriever": "x"}
    run = with_arms(run, bm25_5={**PLAIN, key: other[key]})
    assert "bm25-5" not in set(effects(run).baseline) - {"closed-book"}


def test_arms_with_the_same_prompts_have_no_effect(run: Run) -> None:
    run.__dict__["same"] = {"t": {"asked-5": "bm25-5"}}
    found = effects(run)
    assert not ((found.arm == "asked-5") & (found.baseline == "bm25-5")).any()
