"""The key ``runnable`` of an arm: trusted by its config, named once, digested with its code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ragbench.base.errors import UsageError
from ragbench.experiment.config.runnable import RunnableSpec
from ragbench.experiment.config.spec import ArmSpec

KEYS: dict[str, Any] = {"factory": "my_app:build", "trust_code": True}


def test_an_arm_runs_code_only_if_it_says_so() -> None:
    with pytest.raises(ValidationError, match="this arm imports and runs the code of 'my_app:b"):
        RunnableSpec.model_validate({"factory": "my_app:build"})
    with pytest.raises(ValidationError) as caught:
        ArmSpec.model_validate({"runnable": "my_app:build", "k": 5})
    (error,) = caught.value.errors()
    assert error["ctx"]["fix"] == ("write `runnable: {factory: my_app:build, trust_code: true}`")


def test_arms_of_several_k_share_a_ranking() -> None:
    entry = {"name": "theirs", "runnable": KEYS, "corpus": "ward", "k": [1, 5]}
    arms = ArmSpec.model_validate(entry).each()
    assert [(arm.name, arm.kind, arm.k) for arm in arms] == [
        ("theirs-1", "retriever", 1),
        ("theirs-5", "retriever", 5),
    ]
    assert {arm.runnable and arm.runnable.name for arm in arms} == {"theirs"}
    (bare,) = ArmSpec.model_validate({"runnable": {**KEYS, "name": "r"}, "k": 2}).each()
    assert bare.runnable is not None
    assert (bare.name, bare.runnable.name) == ("runnable-2", "r")


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ({"runnable": KEYS}, "needs `k`"),
        ({"runnable": KEYS, "retriever": "bm25", "k": 1}, "give one of"),
        ({"runnable": KEYS, "k": 1, "depth": 9}, "`depth` has no effect"),
        ({"runnable": {**KEYS, "name": "../x"}, "k": 1}, "a name has only letters"),
        ({"runnable": {**KEYS, "timeout_s": 0}, "k": 1}, "greater than 0"),
        ({"runnable": {**KEYS, "servers": ["here"]}, "k": 1}, "an address is"),
    ],
)
def test_what_makes_no_sense_is_refused(entry: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        ArmSpec.model_validate(entry)


@pytest.fixture
def module(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module in the home folder, which stands on the path; its name is in no other test."""
    path = home / "digested_app.py"
    path.write_text("raise RuntimeError('imported')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(home))
    yield path


def test_the_digest_is_of_what_decides_a_call(module: Path) -> None:
    def digest(**keys: Any) -> str:
        return RunnableSpec(factory="digested_app:build", trust_code=True, **keys).digest()

    assert digest() == digest(name="x", timeout_s=3, servers=())
    changed = [digest(), digest(options={"k": 3}), digest(input="q"), digest(passages="docs")]
    changed.append(digest(show_options=True))
    with module.open("a") as source:
        source.write("# changed\n")
    changed.append(digest())
    assert len(set(changed)) == 6
    module.unlink()
    with pytest.raises(UsageError, match="there is no file of a module 'digested_app'"):
        digest()


def test_where_it_sends_text_is_unknown_unless_declared() -> None:
    assert RunnableSpec(**KEYS).way("theirs").reach is None
    assert RunnableSpec(**KEYS, servers=()).way("theirs").reach == ()
    (server,) = RunnableSpec(**KEYS, servers=("http://10.0.0.7:80",)).sends_to() or ()
    assert server.host == "10.0.0.7"
