"""Who makes a pair, and in what the two are not asked alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ragbench.base.errors import UsageError
from ragbench.base.modelfacts import ModelFacts, ServedFacts
from ragbench.runfolder.pairs import Pair, check_alike, differences, pairs_of

FACTS = ModelFacts(
    "d",
    dtype="bfloat16",
    format="chat",
    context_tokens=8192,
    weights="w",
    chat_template_digest="a",
)
PAIR = Pair("bio", "general")


def facts(**other: Any) -> dict[str, ModelFacts]:
    return {"general": FACTS, "bio": replace(FACTS, **other)}


def test_pairs_come_in_the_order_of_the_models() -> None:
    members = [("a", None), ("b", "a"), ("c", None), ("d", "c")]
    assert pairs_of(members) == [Pair("b", "a"), Pair("d", "c")]
    assert str(PAIR) == "bio against general"


def test_a_pair_asked_alike_has_nothing_to_tell() -> None:
    check_alike(PAIR, facts())
    assert differences(PAIR, facts()) == []


def test_different_number_formats_are_refused() -> None:
    with pytest.raises(UsageError, match="runs in float32 and its base 'general' in bfloat16"):
        check_alike(PAIR, facts(dtype="float32"))


def test_a_runnable_is_paired_with_a_runnable() -> None:
    with pytest.raises(UsageError, match="runs in an unknown number format and its") as caught:
        check_alike(PAIR, facts(dtype=None))
    assert "`ragbench compare` compares any two models" in caught.value.fix
    check_alike(PAIR, {name: replace(FACTS, dtype=None) for name in ("bio", "general")})


def test_of_served_models_it_is_told_that_it_cannot_be_seen() -> None:
    served = facts(dtype="as served") | {"general": replace(FACTS, dtype="as served")}
    check_alike(PAIR, served)
    (line,) = differences(PAIR, served)
    assert "cannot compare" in line
    with pytest.raises(UsageError, match="runs in as served and its base") as caught:
        check_alike(PAIR, facts(dtype="as served"))
    assert "serve both" in caught.value.fix


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"format": "plain"}, "bio has plain prompts and its base general has chat prompts"),
        ({"chat_template_digest": "b"}, "have different chat templates"),
        ({"context_tokens": 2048}, "the context of bio (2,048 tokens) is shorter than that of"),
        ({"context_tokens": 9000}, "the context of general (8,192 tokens) is shorter"),
    ],
)
def test_every_difference_is_told(other: dict[str, object], words: str) -> None:
    (found,) = differences(PAIR, facts(**other))
    assert words in found


def test_servers_that_score_or_are_asked_differently_are_named() -> None:
    served = ServedFacts({}, "vllm", "estimated", None, letters="logprob_token_ids")
    other = replace(served, letters="chat alone", changed_parameters=("no seed",))
    alike = {name: replace(FACTS, dtype="as served", served=served) for name in ("general", "bio")}
    assert len(differences(PAIR, alike)) == 1  # that servers cannot be compared
    found = differences(PAIR, alike | {"bio": replace(alike["bio"], served=other)})
    assert "letters scored in two ways (chat alone; logprob_token_ids)" in found[1]
    assert "different parameters (no seed in one of them)" in found[2]
