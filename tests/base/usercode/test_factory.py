"""Keys that name code of the user's: found without an import, and run only when trusted."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import ValidationError

from ragbench.base.errors import UsageError
from ragbench.base.usercode.factory import FactoryKeys


class Keys(FactoryKeys):
    """Keys of a part that tests have made up."""

    who: ClassVar[str] = "this part"
    place: ClassVar[str] = "parts: 3"
    use: ClassVar[str] = "returns a part"


def test_code_must_be_trusted_in_the_words_of_the_part() -> None:
    with pytest.raises(ValidationError, match="this part imports and runs the code of 'a:b'"):
        Keys(factory="a:b")


def test_a_module_is_found_without_an_import(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(home))
    (home / "never_imported_app.py").write_text("raise SystemExit(9)\n")
    found = Keys(factory="never_imported_app:build", trust_code=True)
    assert found.source() == home / "never_imported_app.py"


@pytest.mark.parametrize(
    ("factory", "what"),
    [
        ("no_such_module_of_mine:build", "there is no file of a module 'no_such_module_of_mine'"),
        ("no_such_package.inner:build", "No module named 'no_such_package'"),
    ],
)
def test_what_is_not_there_is_named(home: Path, factory: str, what: str) -> None:
    with pytest.raises(UsageError, match=what) as caught:
        Keys(factory=factory, trust_code=True).source()
    assert caught.value.where == "parts: 3"
    assert caught.value.fix.endswith("or in the home folder, which returns a part")


def test_a_name_that_the_module_lacks(home: Path) -> None:
    with pytest.raises(UsageError, match="has no attribute 'nothing'"):
        Keys(factory="tests.models.runnable.pipelines:nothing", trust_code=True).imported()


def test_servers_are_addresses() -> None:
    keys = {"factory": "a:b", "trust_code": True}
    assert Keys(**keys).sends_to() is None
    assert Keys(**keys, servers=()).sends_to() == ()
    with pytest.raises(ValidationError, match="an address is"):
        Keys(**keys, servers=("here",))
