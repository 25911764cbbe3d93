"""A file that changes during a run: new servers are checked first, and a bad list is not used."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ragbench.base.endpoint import Endpoint, parse
from ragbench.base.errors import PrerequisiteError, UsageError
from ragbench.models.served.addresses import watch as module
from ragbench.models.served.addresses.pool import Pool
from ragbench.models.served.addresses.watch import AGAIN_S, Watch

URLS = [f"http://{name}:8000/v1" for name in "abc"]
A, B, C = map(parse, URLS)


class Desk:
    """A file, its pool and a watch whose clock the test sets."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 0.0
        self.asked: list[Endpoint] = []
        self.refuses: Callable[[Endpoint], None] = lambda endpoint: None
        self.write(*URLS[:2])
        self.pool = Pool("m", [A, B], at_once=4)
        self.watch = Watch("m", path, self.pool, self.admit, clock=lambda: self.now)

    def admit(self, endpoint: Endpoint) -> None:
        self.asked.append(endpoint)
        self.refuses(endpoint)

    def write(self, *lines: str) -> None:
        self.path.write_text("".join(f"{line}\n" for line in lines))

    def look(self, times: int = 1) -> tuple[Endpoint, ...]:
        """Look, a second apart, and wait for the checks of new servers."""
        for _ in range(times):
            self.now += 1.01
            self.watch.look()
            for thread in threading.enumerate():
                if thread.name == "new server":
                    thread.join(30)
        return self.pool.endpoints


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "servers.txt")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(module, "say", lines.append)
    return lines


def test_new_servers_are_admitted_and_removed_ones_asked_no_more(
    desk: Desk, said: list[str]
) -> None:
    assert desk.look(3) == (A, B)
    assert (desk.asked, said) == ([], [])
    desk.write(URLS[2], URLS[0])
    assert desk.look() == (A, B)  # it may be half-written
    assert desk.look() == (C, A)
    assert desk.asked == [C]
    assert said == [
        "m: http://b:8000/v1 is no longer in servers.txt and gets no further questions",
        "m: http://c:8000/v1 is new in servers.txt and gets questions",
    ]
    desk.write(*URLS)
    assert desk.look(2) == (A, B, C)
    assert desk.asked == [C, B]


def test_a_file_that_changes_between_two_looks_is_not_used_yet(desk: Desk, said: list[str]) -> None:
    desk.look(2)
    for number in range(3):
        desk.write(URLS[0], *["# half"] * number, "http://evil")
        assert desk.look() == (A, B)
    desk.write(URLS[0])
    assert desk.look(2) == (A,)
    assert desk.asked == []


def test_a_list_with_a_fault_is_said_once_and_the_former_one_kept(
    desk: Desk, said: list[str]
) -> None:
    desk.look(2)
    desk.write(URLS[0], "http://u:secret@c/v1")
    assert desk.look(4) == (A, B)
    (line,) = said
    assert f"{desk.path}:2); the former list is kept" in line
    assert "secret" not in line
    desk.path.unlink()
    assert desk.look(3) == (A, B)
    assert len(said) == 2 and "does not exist" in said[1]
    desk.write()
    assert desk.look(3) == (A, B)
    assert len(said) == 3 and "has none" in said[2]
    desk.write(URLS[1])
    assert desk.look(2) == (B,)


def test_a_server_that_does_not_answer_yet_is_tried_again(desk: Desk, said: list[str]) -> None:
    def starting(endpoint: Endpoint) -> None:
        raise PrerequisiteError("m cannot be asked")

    desk.refuses = starting
    desk.look(2)
    desk.write(*URLS)
    assert desk.look(6) == (A, B)
    assert desk.asked == [C]
    desk.now += AGAIN_S
    desk.look()
    assert desk.asked == [C, C]
    desk.refuses = lambda endpoint: None
    desk.now += AGAIN_S
    assert desk.look() == (A, B, C)
    assert said == [
        "m: http://c:8000/v1 in servers.txt gets no questions: m cannot be asked",
        "m: http://c:8000/v1 is new in servers.txt and gets questions",
    ]


def test_a_server_that_may_not_be_asked_is_not_tried_until_the_file_changes(
    desk: Desk, said: list[str]
) -> None:
    def untrusted(endpoint: Endpoint) -> None:
        raise UsageError("the task is restricted; nothing was sent")

    desk.refuses = untrusted
    desk.look(2)
    desk.write(*URLS)
    desk.look(3)
    desk.now += 10 * AGAIN_S
    assert desk.look(3) == (A, B)
    assert (desk.asked, len(said)) == ([C], 1)
    desk.write(*URLS, "# again")
    assert desk.look(3) == (A, B)
    assert desk.asked == [C, C]


def test_the_last_servers_stay_until_a_new_one_is_admitted(desk: Desk, said: list[str]) -> None:
    def starting(endpoint: Endpoint) -> None:
        raise PrerequisiteError("m cannot be asked")

    desk.refuses = starting
    desk.look(2)
    desk.write(URLS[2])
    assert desk.look(3) == (A, B)
    desk.refuses = lambda endpoint: None
    desk.now += AGAIN_S
    assert desk.look() == (C,)
