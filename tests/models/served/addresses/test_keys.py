"""Where the servers are: an address, a list or a file, and never two of these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ragbench.base.endpoint import parse
from ragbench.base.errors import DataError, UsageError
from ragbench.models.served.addresses.keys import AT_ONCE, AddressKeys
from ragbench.models.spec import ModelSpec


def keys(**given: Any) -> AddressKeys:
    return AddressKeys.model_validate(given)


def test_an_address_a_list_or_a_file(home: Path) -> None:
    one, two = "http://a:8000/v1", "http://b:8000/v1"
    (home / "servers.txt").write_text(f"{one}\n{two}\n")
    assert keys(url=one).endpoints == (parse(one),)
    assert keys(url=[one, two]).endpoints == (parse(one), parse(two))
    found = keys(url_file="servers.txt")
    assert found.endpoints == (parse(one), parse(two))
    assert found.path == home.resolve() / "servers.txt"
    assert (keys(url=one).at_once, keys(url=one, concurrency=3).at_once) == (AT_ONCE, 3)


@pytest.mark.parametrize("given", [{}, {"url": "http://a/v1", "url_file": "servers.txt"}])
def test_neither_and_both_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="write either `url`"):
        keys(**given)
    with pytest.raises(ValidationError, match="the list of addresses is empty"):
        keys(url=[])


def test_a_fault_in_the_file_is_named_when_the_config_is_read(home: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        keys(url_file="servers.txt")
    (home / "servers.txt").write_text("http://a/v1\nhttp://a /v1\n")
    with pytest.raises(DataError, match="not the address of a server") as caught:
        keys(url_file="servers.txt")
    assert caught.value.where == f"{home.resolve() / 'servers.txt'}:2"


def test_what_was_checked_is_what_is_asked_though_the_file_changes(home: Path) -> None:
    (home / "servers.txt").write_text("http://a/v1\n")
    entry = {"name": "m", "backend": "server", "url_file": "servers.txt", "model": "owner/x"}
    spec = ModelSpec.model_validate(entry)
    (home / "servers.txt").write_text("http://elsewhere/v1\n")
    assert spec.sends_to() == (parse("http://a/v1"),)
    copied = spec.model_copy(update={"name": "m-chat"})
    assert copied.sends_to() == (parse("http://a/v1"),)
    dumped = spec.model_dump(exclude_none=True)
    assert dumped["url_file"] == "servers.txt" and "url" not in dumped
