"""Overrides reach into mappings and lists; those of the command line win."""

from __future__ import annotations

import pytest

from ragbench.base.errors import UsageError
from ragbench.base.yamlfile import from_mapping
from ragbench.experiment.config.overrides import override_all


def overridden(*overrides: str, **environment: str) -> object:
    value = {"seed": 1, "arms": ["closed-book", {"name": "a", "k": 2}]}
    document = from_mapping(value, what="config")
    override_all(document, overrides, environment)
    return document.value


def test_members_are_found_by_name_and_by_position() -> None:
    found = overridden("arms.a.k=3", "arms.0.order=best-last", "queries.q.by=each")
    assert found == {
        "seed": 1,
        "arms": [{"name": "closed-book", "order": "best-last"}, {"name": "a", "k": 3}],
        "queries": {"q": {"by": "each"}},
    }


def test_the_command_line_wins_over_the_environment() -> None:
    found = overridden("seed=3", RAGBENCH_SET_seed="2", RAGBENCH_SET_arms__a__k="[1, 5]", SEED="9")
    assert found == {"seed": 3, "arms": ["closed-book", {"name": "a", "k": [1, 5]}]}


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("seed", "is not key=value"),
        ("arms.b.k=1", "there is no member 'b'"),
        ("seed.more=1", "there is nothing under 'seed'"),
    ],
)
def test_a_wrong_override_is_named(override: str, what: str) -> None:
    with pytest.raises(UsageError, match=what) as refused:
        overridden(override)
    assert refused.value.where == f"--set {override}"
