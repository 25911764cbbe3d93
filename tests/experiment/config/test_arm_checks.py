"""What the arms of a whole config must agree on where a runnable is among them."""

from __future__ import annotations

from typing import Any

import pytest

from ragbench.base.errors import UsageError
from ragbench.experiment.config.config import load_config

KEYS = {"factory": "my_app:build", "trust_code": True}


def load(*arms: dict[str, Any]) -> list[str]:
    config, _ = load_config(
        {
            "name": "c",
            "indexes": {"bm25": {"recipe": "bm25"}},
            "models": [{"name": "m", "backend": "scripted"}],
            "tasks": ["icd10cm"],
            "arms": ["closed-book", *arms],
        }
    )
    return [arm.name for arm in config.arms]


def arm(name: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "k": 3, "runnable": {**KEYS, **keys.pop("own", {})}, **keys}


def test_legal_arms() -> None:
    shared = {"name": "one"}
    assert load(
        arm("a", corpus="task"),
        {"control": "random", "like": "a"},
        arm("b"),
        {"control": "shuffled", "like": "b"},
        arm("c", own=shared),
        arm("d", own=shared, k=1),
    ) == ["closed-book", "a", "random-a", "b", "shuffled-b", "c", "d"]


@pytest.mark.parametrize(
    ("arms", "what"),
    [
        ([arm("bm25")], "'bm25' of the arm 'bm25' has the name of an index"),
        (
            [arm("a", own={"name": "f"}), {"name": "f", "run_file": "f.trec", "k": 1}],
            "'f' of the arm 'a' has the name of an index or of the arm of a run file",
        ),
        (
            [arm("a", own={"name": "r"}), arm("b", own={"name": "r", "input": "x"})],
            "'r' of the arm 'b' differs from another",
        ),
        (
            [arm("a", own={"name": "r"}), arm("b", own={"name": "r"}, corpus="task")],
            "'r' of the arm 'b' differs from another",
        ),
        ([arm("a"), {"control": "random", "like": "a"}], "'random' of 'a' needs a corpus"),
        ([arm("a"), {"control": "oracle", "like": "a"}], "'oracle' of 'a' needs a corpus"),
    ],
)
def test_what_does_not_go_together_is_refused(arms: list[dict[str, Any]], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        load(*arms)
