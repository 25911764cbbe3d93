"""One of several servers goes away: the others go on, and it gets work again once it is back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragbench.models.served import http
from ragbench.models.served.addresses import pool, watch
from ragbench.models.served.patience import outages
from tests.experiment.served_runs import QUESTIONS, is_question, records, run, write_config
from tests.models.loopback import MODEL, Loopback, Request, Sent, chat, loopback

CHAT, MODELS = "/v1/chat/completions", "/v1/models"
GONE = Sent(b"<html><h1>503 Service Unavailable</h1></html>", 503, {"content-type": "text/html"})
RIGHT = Sent(chat("The answer is A."))


@pytest.fixture(autouse=True)
def polled_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "pause", lambda _: None)
    monkeypatch.setattr(outages, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(outages, "LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(outages, "LOOK_S", 0.01)
    monkeypatch.setattr(pool, "LOOK_S", 0.01)
    monkeypatch.setattr(watch, "LOOK_S", 0.0)


@pytest.fixture
def servers() -> Iterator[tuple[Loopback, Loopback]]:
    with loopback() as first, loopback() as second:
        first.answers[CHAT] = second.answers[CHAT] = lambda _: RIGHT
        yield first, second


def questions(server: Loopback) -> int:
    return sum(is_question(request) for request in server.asked(CHAT))


def test_questions_go_on_at_the_other_server_and_the_returned_one_gets_work_again(
    home: Path, servers: tuple[Loopback, Loopback], capfd: pytest.CaptureFixture[str]
) -> None:
    """The first is away from its fifth question on until the second has twenty, and then waits."""
    first, second = servers
    usual = dict(first.answers)
    returned, works_again = threading.Event(), threading.Event()

    def of_first(request: Request) -> Sent:
        if not is_question(request):
            return RIGHT
        if returned.is_set():
            works_again.set()
        elif questions(first) >= 5:
            first.answers |= dict.fromkeys((CHAT, MODELS), lambda _: GONE)
            return GONE
        return RIGHT

    def of_second(request: Request) -> Sent:
        if is_question(request) and questions(second) >= 20:
            if not returned.is_set():
                returned.set()
                first.answers |= usual | {CHAT: of_first}
            assert works_again.wait(60)
        return RIGHT

    first.answers[CHAT], second.answers[CHAT] = of_first, of_second
    config = write_config(home, first.url)
    several = f"models.m.url=['{first.url}', '{second.url}']"
    assert run(config, several, "models.m.concurrency=2").errors == 0
    assert works_again.is_set()
    assert second.most_at_once <= 2
    found = records(home)
    assert len({r["question_id"] for r in found}) == len(found) == QUESTIONS
    assert all(r["reply"] == "The answer is A." for r in found)
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("m: ")]
    assert [line.split("(")[0].split(" after")[0].rstrip() for line in said] == [
        f"m: {first.url} is away",
        f"m: {first.url} is back",
    ]


def test_a_server_that_a_file_adds_ends_the_wait_for_another(
    home: Path, servers: tuple[Loopback, Loopback], capfd: pytest.CaptureFixture[str]
) -> None:
    """All six questions are under way when the only server goes away for good."""
    first, second = servers
    names = home / "servers.txt"
    names.write_text(f"{first.url}\n")
    together = threading.Barrier(6, timeout=60)

    def last_words(request: Request) -> Sent:
        if not is_question(request):
            return RIGHT
        if together.wait() == 0:
            first.answers |= dict.fromkeys((CHAT, MODELS), lambda _: GONE)
            names.write_text(f"{first.url}\n{second.url}\n")
        return GONE

    first.answers[CHAT] = last_words
    config = write_config(home, first.url, n=6)
    model = f"{{name: m, backend: server, url_file: servers.txt, model: {MODEL}, retries: 1}}"
    assert run(config, f"models=[{model}]").errors == 0
    assert [questions(server) for server in servers] == [6, 6]
    assert [r["reply"] for r in records(home)] == ["The answer is A."] * 6
    said = capfd.readouterr().err
    assert f"m: {first.url} is away" in said and "is back" not in said
    assert f"m: {second.url} is new in servers.txt and gets questions" in said
