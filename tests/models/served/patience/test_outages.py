"""Waiting for servers that are away: who polls, who waits, and when it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from time import monotonic

import pytest

from ragbench.base.endpoint import Endpoint, parse
from ragbench.base.errors import BackendError, PrerequisiteError, RagbenchError, UnavailableError
from ragbench.models.served.patience import outages as module
from ragbench.models.served.patience.outages import Outages

A, B = parse("http://a:1/v1"), parse("http://b:1/v1")
FAILED = BackendError("m cannot be asked: refused")


class Servers:
    """Servers by what a poll meets, and the polls of each."""

    def __init__(self) -> None:
        self.met: dict[Endpoint, RagbenchError | None] = {A: FAILED, B: None}
        self.polls: list[tuple[Endpoint, bool]] = []
        self.times: list[float] = []
        self.at_once = self.most_at_once = 0

    def check(self, endpoint: Endpoint, tokens: bool) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.polls.append((endpoint, tokens))
        self.times.append(monotonic())
        error = self.met[endpoint]
        self.at_once -= 1
        if error is not None:
            raise error


@pytest.fixture
def servers() -> Servers:
    return Servers()


@pytest.fixture
def waiting(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outages]:
    """Outages with short pauses, and patience for longer than any test."""
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.02)
    made = Outages("m", 60.0)
    made.begin(servers.check)
    yield made
    made.end()


@pytest.fixture
def short(servers: Servers) -> Iterator[Callable[[float], Outages]]:
    """Make outages with so many seconds of patience."""
    every = []

    def make(patience_s: float) -> Outages:
        every.append(Outages("m", patience_s))
        every[-1].begin(servers.check)
        return every[-1]

    yield make
    for made in every:
        made.end()


def pollers() -> int:
    return sum(thread.name == "poller" for thread in threading.enumerate())


def test_nothing_is_an_outage_before_it_has_begun_or_without_patience(servers: Servers) -> None:
    never = Outages("m", 0.0)
    assert not never.examine(A, FAILED, started=monotonic())
    never.begin(servers.check)
    assert not never.examine(A, FAILED, started=monotonic())
    never.wait(lambda: [A])
    assert servers.polls == []


def test_a_failure_of_a_server_that_answers_is_the_requests_own(
    waiting: Outages, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not waiting.examine(B, FAILED, started=monotonic())
    assert not waiting.examine(B, FAILED, started=monotonic(), late=True)
    assert servers.polls == [(B, True), (B, False)]  # a busy server is asked for no token
    assert not waiting.is_away(B)
    assert capsys.readouterr().err == ""


def test_all_threads_wait_for_one_poller_and_go_on_together(
    waiting: Outages, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[float] = []
    before = pollers()

    def request(_: int) -> bool:
        met = waiting.examine(A, FAILED, started=monotonic())
        waiting.wait(lambda: [A])
        done.append(monotonic())
        return met

    with ThreadPoolExecutor(32) as threads:
        asked = [threads.submit(request, n) for n in range(32)]
        threading.Event().wait(0.15)
        assert done == []
        assert pollers() == before + 1
        servers.met[A] = None
        back = monotonic()
        assert [each.result(10) for each in asked] == [True] * 32
    assert max(done) - back < 5
    assert servers.most_at_once == 1
    assert len(servers.polls) < 40
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "m: http://a:1/v1 is away (m cannot be asked: refused); it is polled and waited for, for "
        "at most 60 s (`patience_s`)",
        "m: http://a:1/v1 is back after 0 s",
    ]


def test_pauses_between_polls_grow(
    servers: Servers, short: Callable[[float], Outages], monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.02, 0.04, 0.08, 0.16 and then 0.2 s, less a quarter at most; the last is cut short."""
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.2)
    made = short(0.5)
    assert made.examine(A, FAILED, started=monotonic())
    with pytest.raises(UnavailableError):
        made.wait(lambda: [A])
    times = servers.times
    pauses = [later - earlier for earlier, later in pairwise(times)]
    least = [0.75 * min(0.02 * 2**n, 0.2) for n in range(len(pauses))]
    assert len(pauses) > 1
    assert all(pause >= wanted for pause, wanted in zip(pauses[:-1], least, strict=False))


def test_a_wait_that_the_server_asks_for_is_kept(waiting: Outages, servers: Servers) -> None:
    began = monotonic()
    waiting.examine(A, FAILED, started=began, asked_s=0.3)
    servers.met[A] = None
    waiting.wait(lambda: [A])
    assert 0.3 <= monotonic() - began < 5


def test_after_its_patience_the_error_says_what_was_tried(
    servers: Servers, short: Callable[[float], Outages], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.02)
    made = short(0.1)
    assert made.examine(A, FAILED, started=monotonic())
    for _ in range(2):  # the second at once
        with pytest.raises(UnavailableError, match=r"the server of m was away for 0 s and") as told:
            made.wait(lambda: [A])
    assert f"{len(servers.polls)} polls of its list of models; the last: " in told.value.what
    assert told.value.what.endswith("the last: m cannot be asked: refused")
    assert (told.value.where, told.value.exit_code) == ("http://a:1/v1", 5)
    assert "`patience_s` of the model (now 0.1)" in told.value.fix
    assert made.is_away(A)


def test_a_server_that_is_away_does_not_hold_up_another(waiting: Outages, servers: Servers) -> None:
    assert waiting.examine(A, FAILED, started=monotonic())
    waiting.wait(lambda: [A, B])  # returns at once
    assert (waiting.is_away(A), waiting.is_away(B)) == (True, False)
    servers.met[B] = FAILED
    assert waiting.examine(B, FAILED, started=monotonic())
    threading.Timer(0.05, lambda: servers.met.update({A: None})).start()
    waiting.wait(lambda: [A, B])
    assert not waiting.is_away(A)


def test_a_server_that_is_added_ends_the_wait(
    waiting: Outages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.02)
    assert waiting.examine(A, FAILED, started=monotonic())
    known = [A]
    threading.Timer(0.05, known.append, [B]).start()
    waiting.wait(lambda: known)
    assert waiting.is_away(A)


def test_a_lost_server_that_comes_back_is_asked_again(
    servers: Servers, short: Callable[[float], Outages]
) -> None:
    made = short(0.05)
    servers.met[B] = FAILED
    assert made.examine(A, FAILED, started=monotonic())
    with pytest.raises(UnavailableError):
        made.wait(lambda: [A])
    made.wait(lambda: [A, B])
    servers.met[A] = None
    until = monotonic() + 10
    while made.is_away(A) and monotonic() < until:
        threading.Event().wait(0.02)
    made.wait(lambda: [A])


@pytest.mark.parametrize("first", [True, False])
def test_another_model_ends_all_waits(servers: Servers, waiting: Outages, first: bool) -> None:
    other = PrerequisiteError("another model")
    if first:
        servers.met[A] = other
        with pytest.raises(PrerequisiteError, match="another model"):
            waiting.examine(A, FAILED, started=monotonic())
    else:
        assert waiting.examine(A, FAILED, started=monotonic())
        servers.met[A] = other
    with pytest.raises(PrerequisiteError, match="another model"):
        waiting.wait(lambda: [A])
    with pytest.raises(PrerequisiteError, match="another model"):
        waiting.wait(lambda: [A, B])
    with pytest.raises(PrerequisiteError, match="another model"):
        waiting.examine(A, FAILED, started=monotonic())


def test_a_request_of_before_the_return_met_the_outage(waiting: Outages, servers: Servers) -> None:
    """Its connection may be noticed as broken only when the server is back."""
    old = monotonic()
    assert waiting.examine(A, FAILED, started=old)
    servers.met[A] = None
    waiting.wait(lambda: [A])
    polls = len(servers.polls)
    assert waiting.examine(A, FAILED, started=old)
    assert len(servers.polls) == polls
    assert not waiting.examine(A, FAILED, started=monotonic())


def test_waits_are_no_time_of_the_model(waiting: Outages, servers: Servers) -> None:
    started, began = waiting.clock(), monotonic()
    waiting.examine(A, FAILED, started=monotonic())
    threading.Timer(0.3, lambda: servers.met.update({A: None})).start()
    waiting.wait(lambda: [A])
    assert waiting.waited_s >= 0.25
    assert waiting.clock() - started <= monotonic() - began - 0.25


def test_a_changed_reason_is_said_and_an_old_one_at_times(
    servers: Servers,
    waiting: Outages,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []

    def said_by_then(lines: int) -> list[str]:
        until = monotonic() + 20
        while len(said) < lines and monotonic() < until:
            threading.Event().wait(0.02)
            said.extend(capsys.readouterr().err.splitlines())
        return said

    waiting.examine(A, FAILED, started=monotonic())
    servers.met[A] = BackendError("m answered HTTP 503: loading")
    line = "m: http://a:1/v1 has been away for 0 s; now: m answered HTTP 503: loading"
    assert said_by_then(2)[1:] == [line]
    polls = len(servers.polls)
    while len(servers.polls) < polls + 3:  # the reason has not changed
        threading.Event().wait(0.02)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(module, "REMINDER_S", 0.0)
    assert "now: m answered HTTP 503: loading" in said_by_then(4)[3]
    waiting.end()


def test_the_end_wakes_who_waits(waiting: Outages) -> None:
    waiting.examine(A, FAILED, started=monotonic())
    threading.Timer(0.05, waiting.end).start()
    with pytest.raises(UnavailableError, match="no longer waited for"):
        waiting.wait(lambda: [A])
    assert not waiting.is_away(A)


def test_a_fault_of_the_poller_is_not_waited_for(waiting: Outages, servers: Servers) -> None:
    waiting.examine(A, FAILED, started=monotonic())
    del servers.met[A]
    with pytest.raises(KeyError):
        waiting.wait(lambda: [A])


def test_a_server_that_is_no_longer_used_is_forgotten(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)
    used = {A, B}
    made = Outages("m", 60.0, used.__contains__)
    made.begin(servers.check)
    before = pollers()
    assert made.examine(A, FAILED, started=monotonic())
    assert made.is_away(A) and pollers() == before + 1
    used.remove(A)
    until = monotonic() + 20
    while pollers() > before:
        assert monotonic() < until, "the poller goes on"
        threading.Event().wait(0.01)
    assert not made.is_away(A)


def test_something_can_be_looked_at_while_all_wait(
    waiting: Outages, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    assert waiting.examine(A, FAILED, started=monotonic())
    known = [A]
    waiting.wait(lambda: known, lambda: known.append(B))
    assert known == [A, B]
    waiting.wait(lambda: known, lambda: pytest.fail("it does not wait"))
