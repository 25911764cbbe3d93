"""New servers of a model: trusted first, then asked, and used only if they are the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.endpoint import Endpoint, parse
from ragbench.base.errors import UsageError
from ragbench.models.model import Adaptive, Asked
from ragbench.models.served.addresses import watch as module
from ragbench.models.served.server import ServerModel
from ragbench.models.spec import ModelSpec
from tests.models.loopback import MODEL, Loopback, Sent, loopback


@pytest.fixture
def servers() -> Iterator[tuple[Loopback, Loopback]]:
    with loopback() as first, loopback() as second:
        yield first, second


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(module, "say", lines.append)
    monkeypatch.setattr(module, "LOOK_S", 0.0)  # a look per call
    return lines


def model(home: Path, *servers: Loopback) -> ServerModel:
    write(home, *servers)
    entry = {"name": "m", "backend": "server", "url_file": "servers.txt", "model": MODEL}
    made = ServerModel(ModelSpec.model_validate({**entry, "retries": 0, "concurrency": 3}))
    made.check_abilities([Asked("generate", False)])
    return made


def write(home: Path, *servers: Loopback) -> None:
    (home / "servers.txt").write_text("".join(f"{server.url}\n" for server in servers))


def look(made: ServerModel) -> int:
    """Look often enough for a change to count, and wait for the checks."""
    for _ in range(3):
        made.in_flight_now()
        for thread in threading.enumerate():
            if thread.name == "new server":
                thread.join(30)
    return made.in_flight_now()


def test_a_new_server_is_asked_once_it_is_checked(
    home: Path, servers: tuple[Loopback, Loopback], said: list[str]
) -> None:
    first, second = servers
    made = model(home, first)
    allowed: list[Endpoint] = []
    made.allow_new(allowed.append)
    assert isinstance(made, Adaptive)
    assert look(made) == 3
    write(home, first, second)
    assert look(made) == 6
    assert allowed == [parse(second.url)]
    before = len(second.requests)
    for _ in range(4):
        made.generate('[{"role":"user","content":"Say yes."}]', limit=4)
    assert len(second.requests) == before + 2


@pytest.mark.parametrize("allows", [True, False])
def test_without_leave_no_byte_reaches_a_new_server(
    home: Path, servers: tuple[Loopback, Loopback], said: list[str], allows: bool
) -> None:
    first, second = servers
    made = model(home, first)

    def refuse(endpoint: Endpoint) -> None:
        raise UsageError("the task is restricted; nothing was sent")

    if allows:
        made.allow_new(refuse)
    write(home, first, second)
    assert look(made) == 3
    assert second.requests == []
    (line,) = said
    assert "gets no questions" in line
    assert ("nothing was sent" if allows else "nothing says") in line


@pytest.mark.parametrize(
    ("path", "sent", "why"),
    [
        ("/v1/models", {"data": [{"id": MODEL, "max_model_len": 2048}]}, "it takes 2,048"),
        (
            "/v1/models",
            {"data": [{"id": MODEL, "max_model_len": 4096, "root": "/x"}]},
            "it differs",
        ),
        ("/v1/chat/completions", {"choices": []}, "the server's answer has 0 choices"),
    ],
)
def test_a_server_of_another_model_or_without_the_ability_is_not_used(
    home: Path, servers: tuple[Loopback, Loopback], said: list[str], path: str, sent: Any, why: str
) -> None:
    first, second = servers
    made = model(home, first)
    made.allow_new(lambda endpoint: None)
    second.script(path, Sent(sent))
    write(home, first, second)
    assert look(made) == 3
    (line,) = said
    assert f"{second.url} in servers.txt gets no questions: {why}" in line


def test_a_model_without_a_file_looks_at_none(servers: tuple[Loopback, Loopback]) -> None:
    entry = {"name": "m", "backend": "server", "url": servers[0].url, "model": MODEL}
    made = ServerModel(ModelSpec.model_validate(entry))
    assert made.in_flight_now() == 32
