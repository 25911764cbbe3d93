"""Wrong and odd values of the keys of written queries, filters, runnables and evidence use."""

from __future__ import annotations

from typing import Any

import pytest

from ragbench.base.errors import UsageError
from ragbench.experiment.config.config import load_config

RUNNABLE = {"factory": "theirs:build", "trust_code": True}
FILTERED = {"retriever": "bm25", "k": 1, "depth": 4}
CONTROLS = ("random", "near", "oracle", "oracle-removed", "shuffled", "misled")


def config(**keys: Any) -> dict[str, Any]:
    """Return a config with further arms under ``arms``, and other keys in their places."""
    arms = ["closed-book", {"name": "plain", "retriever": "bm25", "k": 1}, *keys.pop("arms", [])]
    task = {"name": "cases", "task": "mcq", "options": {"path": "cases.jsonl"}}
    return {
        "name": "odd",
        "indexes": {"bm25": {"recipe": "bm25", "corpus": "facts"}},
        "queries": {"own": {"by": "each", "write": "rationale"}},
        "models": [{"name": "llama", "backend": "scripted"}],
        "tasks": [task | keys.pop("task", {})],
        "arms": arms,
        **keys,
    }


def refused(value: dict[str, Any]) -> str:
    with pytest.raises(UsageError) as caught:
        load_config(value)
    return str(caught.value)


@pytest.mark.parametrize("value", [True, 0, 3.5, [], {}, ["own"]])
@pytest.mark.parametrize(
    ("key", "sample"),
    [
        ("queries", "a NAME of `queries`"),
        ("filter", "filter: {by: each, keep: 0.5}"),
        ("write", "write: {by: each, n: 3}"),
        ("runnable", "trust_code: true"),
        ("like", "the name of another arm"),
    ],
)
def test_a_value_of_another_type_is_refused_with_a_right_sample(
    key: str, sample: str, value: Any
) -> None:
    arm: dict[str, Any] = {"name": "a", "retriever": "bm25", "k": 1, key: value}
    assert sample in refused(config(arms=[arm]))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"queries": {"q": {"by": "gpt", "write": "rewrite"}}}, "there is no model 'gpt'"),
        ({"queries": {"q": {"by": "llama", "write": "poem"}}}, "`write` takes one of"),
        ({"queries": {"q": {"by": "llama", "write": "rewrite", "n": 2}}}, "`n` has no effect"),
        ({"queries": {"../q": {"by": "llama", "write": "rewrite"}}}, "cannot be the name"),
        ({"queries": {"a~b": {"by": "llama", "write": "rewrite"}}}, "cannot be the name"),
        ({"queries": {"documents": {"by": "llama", "write": "rewrite"}}}, "another meaning"),
        ({"queries": {"50": {"by": "llama", "write": "rewrite"}}}, "another meaning"),
        ({"models": [{"name": "each", "backend": "scripted"}]}, "another meaning"),
        ({"models": [{"name": "cross-encoder", "backend": "scripted"}]}, "another meaning"),
        ({"task": {"cite": "often"}}, "write `cite: true`"),
        ({"task": {"abstain": 2}}, "write `abstain: true`"),
    ],
)
def test_odd_queries_models_and_tasks_are_refused(keys: dict[str, Any], said: str) -> None:
    assert said in refused(config(**keys))


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ({"retriever": "bm25", "k": 1, "queries": "owm"}, "did you mean 'own'"),
        ({**FILTERED, "filter": {"by": "llama"}}, "the key 'keep' is missing"),
        ({**FILTERED, "filter": {"by": "llama", "keep": 1.5}}, "`keep`"),
        ({**FILTERED, "k": 9, "filter": {"by": "llama", "keep": 0.5}}, "larger than the `depth`"),
        ({**FILTERED, "filter": {"by": "llama", "keep": 0.5, "model": "x"}}, "`by: cross-enc"),
        ({**FILTERED, "filter": {"by": "cross-encoder", "keep": 0.5}}, "needs `model`"),
        ({"fuse": ["bm25", "bm25"], "k": 1}, "two or more different"),
        ({"write": {"by": "llama"}, "k": 3}, "needs `k`, and no other"),
        ({"write": {"by": "llama"}, "queries": "own"}, "`queries` has no effect"),
        ({"write": {"by": "llama"}, "retriever": "bm25"}, "give one of"),
        ({"runnable": RUNNABLE, "k": 1, "queries": "own"}, "`queries` has no effect"),
        ({"runnable": RUNNABLE, "k": 1, "within": "documents"}, "`within` has no effect"),
        ({"control": "random", "like": "a"}, "there is no arm with a retriever 'a'"),
        ({"control": "random", "like": "closed-book"}, "there is no arm with a retriever"),
    ],
)
def test_odd_arms_are_refused(arm: dict[str, Any], said: str) -> None:
    assert said in refused(config(arms=[{"name": "a", **arm}]))


@pytest.mark.parametrize("control", CONTROLS)
def test_controls_of_arms_without_a_corpus(control: str) -> None:
    """A control needs a corpus or only the passages; a control of a control is refused."""
    like = {"control": control, "like": "a"}
    bare = {"name": "a", "runnable": RUNNABLE, "k": 1}
    memory = {"name": "a", "write": {"by": "each"}}
    if control == "shuffled":
        load_config(config(arms=[bare, like]))
        load_config(config(arms=[memory, like]))
    else:
        assert "has none" in refused(config(arms=[bare, like]))
        assert "corpus" in refused(config(arms=[memory, like]))
    chain = [{"name": "b", "control": control, "like": "plain"}, {"control": "random", "like": "b"}]
    assert "there is no arm with a retriever 'b'" in refused(config(arms=chain))
