"""Controls over a real corpus: each differs from what it imitates in one thing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragbench.base.records import Question
from ragbench.corpora.build import build_corpus
from ragbench.corpora.card import Card, add_card
from ragbench.corpora.corpus import Corpus
from ragbench.experiment.config.spec import ArmSpec
from ragbench.experiment.stages.arms import Context, Delivery, Retrieved
from ragbench.experiment.stages.controls import Moved, Oracle, OracleRemoved, RandomLike, Shuffled
from ragbench.experiment.stages.prompts import passage_entry

QUESTION = Question("q1", "?", ("a", "b"), 0, "?", gold_doc_ids=("d7",))
LIKE = ArmSpec(name="a", retriever="r", k=3)


def count(text: str) -> int:
    return len(text.split())


@pytest.fixture
def corpus(home: Path, tmp_path: Path) -> Corpus:
    """200 passages of 3 to 22 words; document d7 is gold in the tests."""
    source = tmp_path / "words.jsonl"
    lines = [{"id": f"d{i}", "text": " ".join(["word"] * (3 + i % 20))} for i in range(200)]
    source.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    add_card("words", Card(reader="jsonl", path=str(source)), replace=False)
    return build_corpus("words")


def context(corpus: Corpus, ranked: list[str] | None = None, **changes: Any) -> Context:
    gold = tuple(row for row in [corpus.find("d7")] if row is not None)
    values: dict[str, Any] = {
        "task": "t",
        "corpus": corpus,
        "ranked": {"q1": ranked or []},
        "gold": {"q1": gold},
        "like": {},
        "like_spec": LIKE,
        "count_tokens": count,
        "budget_tokens": 100,
        "seed": 1,
    }
    found = Context(**{**values, **changes})
    if not found.like:
        delivered = Retrieved(LIKE).deliver(QUESTION, found)
        found = Context(**{**values, **changes, "like": {"q1": delivered}})
    return found


def control(kind: str, **keys: Any) -> ArmSpec:
    return ArmSpec.model_validate({"name": kind, "control": kind, "like": "a", **keys})


def ids(delivery: Delivery) -> list[str]:
    return [passage.id for passage in delivery.passages]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), target=st.integers(30, 100))
def test_placebo_is_as_long_and_never_gold(corpus: Corpus, seed: int, target: int) -> None:
    given_like = {"q1": Delivery((), target, 5)}
    arm = RandomLike(control("random"))
    found = arm.deliver(QUESTION, context(corpus, like=given_like, seed=seed))
    assert 0.9 * target <= found.tokens <= 1.1 * target
    assert found.tokens == sum(count(passage_entry(n, p)) for n, p in enumerate(found.passages, 1))
    assert "d7" not in ids(found)
    assert len(set(ids(found))) == len(ids(found))
    assert found.shortfall_tokens == 0
    assert arm.deliver(QUESTION, context(corpus, like=given_like, seed=seed)) == found


@pytest.fixture
def small(home: Path, tmp_path: Path) -> Corpus:
    """24 passages, each of one word: its row."""
    source = tmp_path / "small.jsonl"
    lines = [{"id": f"s{i}", "text": str(i)} for i in range(24)]
    source.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    add_card("small", Card(reader="jsonl", path=str(source)), replace=False)
    return build_corpus("small")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 80), min_size=24, max_size=24),
    target=st.integers(5, 150),
    budget=st.integers(20, 200),
    gold=st.sets(st.integers(0, 23), max_size=23),
    seed=st.integers(0, 9),
)
def test_placebo_is_as_long_whenever_the_corpus_can_do_it(
    small: Corpus, sizes: list[int], target: int, budget: int, gold: set[int], seed: int
) -> None:
    """Every length that passages can have together, as the bits of a whole number."""
    reached = 1
    for row, size in enumerate(sizes):
        reached |= reached << size if row not in gold else 0
    longest = max(n for n in range(min(target * 11 // 10, budget) + 1) if reached >> n & 1)
    can = longest * 10 >= target * 9
    found_context = context(
        small,
        like={"q1": Delivery((), target, 3)},
        gold={"q1": tuple(gold)},
        count_tokens=lambda text: sizes[int(text.split()[-1])],
        budget_tokens=budget,
        seed=seed,
    )
    found = RandomLike(control("random")).deliver(QUESTION, found_context)
    rows = [int(identifier[1:]) for identifier in ids(found)]
    assert found.tokens == sum(sizes[row] for row in rows) <= budget
    assert len(set(rows)) == len(rows)
    assert not gold & set(rows)
    if can:
        assert 9 * target <= 10 * found.tokens <= 11 * target
        assert found.shortfall_tokens == 0
    else:
        assert found.tokens == longest
        assert found.shortfall_tokens == target - longest
    assert RandomLike(control("random")).deliver(QUESTION, found_context) == found


def test_placebo_records_its_shortfall(corpus: Corpus) -> None:
    short = {"q1": Delivery((), 2, 1)}  # shorter than any passage with its number
    found = RandomLike(control("random")).deliver(QUESTION, context(corpus, like=short))
    assert (found.passages, found.tokens, found.shortfall_tokens) == ((), 0, 2)


def test_placebos_differ_between_questions(corpus: Corpus) -> None:
    other = Question("q2", "?", ("a", "b"), 0, "?")
    given_like = {q: Delivery((), 60, 5) for q in ("q1", "q2")}
    arm = RandomLike(control("random"))
    assert arm.deliver(QUESTION, context(corpus, like=given_like)).passages != (
        arm.deliver(other, context(corpus, like=given_like)).passages
    )


def test_oracle_gives_the_gold_alone(corpus: Corpus) -> None:
    found = Oracle(control("oracle")).deliver(QUESTION, context(corpus, ["d3", "d1"]))
    assert (ids(found), found.requested) == (["d7"], 1)


def test_oracle_gives_gold_in_text_order_whatever_its_rank(corpus: Corpus) -> None:
    rows = tuple(sorted(r for r in map(corpus.find, ("d9", "d2")) if r is not None))
    found = Oracle(control("oracle")).deliver(
        QUESTION, context(corpus, ["d9", "d2"], gold={"q1": rows})
    )
    assert ids(found) == ["d2", "d9"]


def test_oracle_filled_goes_on_with_the_ranking(corpus: Corpus) -> None:
    arm = Oracle(control("oracle", fill="retrieved"))
    found = arm.deliver(QUESTION, context(corpus, ["d3", "d7", "d1", "d2"]))
    assert (ids(found), found.requested) == (["d7", "d3", "d1"], 3)


def test_oracle_without_gold_gives_nothing(corpus: Corpus) -> None:
    found = Oracle(control("oracle")).deliver(QUESTION, context(corpus, ["d3"], gold={}))
    assert found == Delivery()


def test_oracle_keeps_to_the_budget(corpus: Corpus) -> None:
    found = Oracle(control("oracle")).deliver(QUESTION, context(corpus, budget_tokens=5))
    assert (ids(found), found.left_out) == ([], 1)


def test_gold_taken_out_is_refilled_from_the_same_ranking(corpus: Corpus) -> None:
    arm = OracleRemoved(control("oracle-removed"))
    found = arm.deliver(QUESTION, context(corpus, ["d3", "d7", "d1", "d2", "d4"]))
    assert (ids(found), found.requested) == (["d3", "d1", "d2"], 3)
    without = arm.deliver(QUESTION, context(corpus, ["d3", "d1", "d2", "d7"]))
    assert ids(without) == ["d3", "d1", "d2"]  # the very passages of the arm


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6))
def test_shuffled_has_the_same_passages(corpus: Corpus, seed: int) -> None:
    given_context = context(corpus, ["d3", "d7", "d1"], seed=seed)
    found = Shuffled(control("shuffled")).deliver(QUESTION, given_context)
    assert sorted(ids(found)) == ["d1", "d3", "d7"]
    assert found.tokens == given_context.like["q1"].tokens
    assert Shuffled(control("shuffled")).deliver(QUESTION, given_context) == found


def test_every_order_comes_up(corpus: Corpus) -> None:
    """Three passages have six orders; in 200 draws each comes up (chance of a miss 1e-15)."""
    orders = {
        tuple(
            ids(
                Shuffled(control("shuffled")).deliver(
                    QUESTION, context(corpus, ["d3", "d7", "d1"], seed=seed)
                )
            )
        )
        for seed in range(200)
    }
    assert len(orders) == 6


def moved(place: int) -> Moved:
    return Moved(control("moved", place=place))


@pytest.mark.parametrize("place", [1, 2, 3, 9])
def test_the_gold_passage_is_moved_and_nothing_else(corpus: Corpus, place: int) -> None:
    found = context(corpus, ["d1", "d7", "d3", "d4"])
    delivery = moved(place).deliver(QUESTION, found)
    expected = {1: ["d7", "d1", "d3"], 2: ["d1", "d7", "d3"]}.get(place, ["d1", "d3", "d7"])
    assert ids(delivery) == expected
    assert delivery.tokens == found.like["q1"].tokens
    assert delivery.requested == 3


def test_gold_that_was_not_found_takes_the_place_of_the_last(corpus: Corpus) -> None:
    found = context(corpus, ["d1", "d2", "d3", "d4"])
    sets = [set(ids(moved(place).deliver(QUESTION, found))) for place in (1, 2, 3)]
    assert sets == [{"d1", "d2", "d7"}] * 3  # the same passages at every place
    assert ids(moved(2).deliver(QUESTION, found)) == ["d1", "d7", "d2"]


def test_moved_keeps_the_budget(corpus: Corpus) -> None:
    # d1 and d2 take 5 and 6 words with their numbers; d7 takes 11.
    sizes = [count(passage_entry(1, corpus[row])) for row in (1, 2, 7)]
    found = context(corpus, ["d1", "d2"], budget_tokens=sizes[0] + sizes[2])
    assert ids(moved(1).deliver(QUESTION, found)) == ["d7", "d1"]
    tight = context(corpus, ["d1", "d2"], budget_tokens=sizes[2] - 1)
    delivery = moved(1).deliver(QUESTION, tight)
    kept = tight.like["q1"]
    assert delivery.tokens <= max(tight.budget_tokens, kept.tokens)


def test_without_known_gold_moved_gives_what_the_arm_gives(corpus: Corpus) -> None:
    found = context(corpus, ["d1", "d2"], gold={})
    assert moved(2).deliver(QUESTION, found) == found.like["q1"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"control": "moved", "like": "a"}, "needs `place`"),
        ({"control": "shuffled", "like": "a", "place": 1}, "needs `place`"),
        ({"control": "moved", "like": "a", "place": 0}, "place is a number from 1"),
        ({"control": "moved", "like": "a", "place": [2, 2]}, "list of different ones"),
        ({"control": "moved", "like": "a", "place": 1, "order": "best-last"}, "has no effect"),
    ],
)
def test_places_that_make_no_sense(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ArmSpec.model_validate({"name": "m", **keys})


def test_a_list_of_places_is_an_arm_each() -> None:
    spec = ArmSpec.model_validate({"control": "moved", "like": "a", "place": [1, 3]})
    assert [(arm.name, arm.place) for arm in spec.each()] == [
        ("moved-a-at-1", 1),
        ("moved-a-at-3", 3),
    ]
