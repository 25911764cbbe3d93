"""Models behind several servers in one run: none waits for another, and no figure changes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ragbench.api import check_complete
from ragbench.base.errors import BackendError, PrerequisiteError, SpentError
from ragbench.experiment.answering import answer, in_flight
from ragbench.experiment.answering.writing import Writer
from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import Finished, run_experiment
from ragbench.models.served import http
from ragbench.models.served.addresses import watch
from tests.models.loopback import MODEL, Loopback, Request, Sent, chat, loopback

CHAT = "/v1/chat/completions"
CONFIG = """\
name: beside
scoring: generate
models:
  - {{name: general, backend: server, url: "{first}", model: {model}, concurrency: 2}}
  - {{name: other, backend: server, url: "{second}", model: {model}, concurrency: 2}}
  - {{name: here, backend: scripted}}
tasks:
  - {{name: short, task: mcq, options: {{path: asked.jsonl}}, limit: 3}}
  - {{name: long, task: mcq, options: {{path: asked.jsonl}}}}
arms: [closed-book]
"""
SERVED = 3 + 9  # questions of one model
TOTAL = 3 * SERVED


def number_of(request: Request) -> int | None:
    """Return which question a request asks; None for one of the checks before."""
    asked = request.body["messages"][-1]["content"]
    return int(asked.split()[1]) if asked.startswith("Question") else None


def right(request: Request) -> Sent:
    number = number_of(request)
    return Sent(chat("yes" if number is None else f"The answer is {'AB'[number % 2]}."))


@pytest.fixture
def servers() -> Iterator[tuple[Loopback, Loopback]]:
    with loopback() as first, loopback() as second:
        first.answers[CHAT] = second.answers[CHAT] = right
        yield first, second


@pytest.fixture
def config(home: Path, servers: tuple[Loopback, Loopback], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(http, "pause", lambda _: None)
    lines = [
        {"id": f"q{n}", "question": f"Question {n} of 9", "options": ["a", "b"], "answer": letter}
        for n, letter in enumerate("ABABABABA")
    ]
    (home / "asked.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = home / "beside.yaml"
    first, second = servers
    path.write_text(CONFIG.format(first=first.url, second=second.url, model=MODEL))
    return str(path)


def run(config: str, *overrides: str) -> Finished:
    return run_experiment(*load_config(config, overrides))


def records(home: Path, model: str, task: str = "long") -> list[dict[str, Any]]:
    path = home / "runs" / "beside" / "records" / f"{model}+{task}+closed-book.0.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def every(home: Path) -> list[dict[str, Any]]:
    names = [(m, t) for m in ("general", "other", "here") for t in ("short", "long")]
    return [record for model, task in names for record in records(home, model, task)]


def test_two_servers_work_at_the_same_time_and_each_on_several_tasks(
    config: str, home: Path, servers: tuple[Loopback, Loopback]
) -> None:
    """Every answer waits for three others: two of each server, also over the end of a task."""
    together = threading.Barrier(4, timeout=60)

    def answer(request: Request) -> Sent:
        if number_of(request) is not None:
            together.wait()
        return right(request)

    for server in servers:
        server.answers[CHAT] = answer
    assert run(config).errors == 0
    assert [server.most_at_once for server in servers] == [2, 2]
    assert len(every(home)) == TOTAL


def table(home: Path) -> pd.DataFrame:
    found = pd.read_parquet(home / "runs" / "beside" / "scores" / "correct.parquet")
    return found.drop(columns=["elapsed_s", "ended_at"])


def test_the_table_is_the_same_whatever_comes_first(
    config: str, home: Path, servers: tuple[Loopback, Loopback]
) -> None:
    one = [f"models.{name}.concurrency=1" for name in ("general", "other")]
    assert run(config, *one).errors == 0
    expected = table(home)
    first_order = [r["question_id"] for r in records(home, "general")]
    assert first_order == sorted(first_order)
    (home / "runs" / "beside").rename(home / "runs" / "before")
    held, zeros = threading.Event(), list[Request]()

    def late(request: Request) -> Sent:
        """Answer the first question of the long task last."""
        if number_of(request) == 0:
            zeros.append(request)
        if number_of(request) == 0 and len(zeros) == 2:  # the first was that of the short task
            held.wait(60)
        elif number_of(request) == 8:
            held.set()
        return right(request)

    servers[0].answers[CHAT] = late
    assert run(config).errors == 0
    other_order = [r["question_id"] for r in records(home, "general")]
    assert other_order != first_order and sorted(other_order) == first_order
    pd.testing.assert_frame_equal(table(home), expected)


def test_a_server_that_breaks_stops_its_own_models_alone_and_the_rest_is_asked_later(
    config: str, home: Path, servers: tuple[Loopback, Loopback], capsys: pytest.CaptureFixture[str]
) -> None:
    servers[0].answers[CHAT] = lambda r: (
        right(r) if number_of(r) is None else Sent({"detail": "no"}, 400)
    )
    with pytest.raises(BackendError, match="5 questions in a row failed") as caught:
        run(config)
    assert caught.value.where == "general, long, closed-book"
    assert "models behind other servers go on" in capsys.readouterr().err
    assert [len(records(home, "other", task)) for task in ("short", "long")] == [3, 9]
    assert not records(home, "here")
    asked = len(servers[1].asked(CHAT))
    servers[0].answers[CHAT] = right
    assert run(config).errors == 0
    assert all(number_of(r) is None for r in servers[1].asked(CHAT)[asked:])
    assert len([r for r in every(home) if r["error"] is None]) == TOTAL


def test_a_model_that_can_be_asked_no_more_stops_alone(
    config: str, home: Path, servers: tuple[Loopback, Loopback], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of one model goes missing while both answer."""
    monkeypatch.setenv("SERVER_KEY", "sk-0123456789")

    def losing(request: Request) -> Sent:
        if number_of(request) == 3:
            monkeypatch.delenv("SERVER_KEY", raising=False)
        return right(request)

    servers[0].answers[CHAT] = losing
    with pytest.raises(PrerequisiteError, match="SERVER_KEY is not set"):
        run(config, "models.general.api_key_env=SERVER_KEY", "models.general.concurrency=1")
    assert [len(records(home, "other", task)) for task in ("short", "long")] == [3, 9]
    assert [len(records(home, "general", task)) for task in ("short", "long")] == [3, 4]
    monkeypatch.setenv("SERVER_KEY", "sk-0123456789")
    servers[0].answers[CHAT] = right
    assert run(config, "models.general.api_key_env=SERVER_KEY").errors == 0
    assert len(every(home)) == TOTAL


def test_a_limit_of_cost_holds_over_all_servers(config: str, home: Path) -> None:
    prices = "prices={general: {input: 1, output: 1}, other: {input: 1, output: 1}}"
    # A question has 9 tokens and a reply 3: ten questions are 120 millionths.
    stopped = run(config, prices, "max_cost=0.00012")
    with pytest.raises(SpentError):
        check_complete(stopped)
    asked = len(every(home))
    assert 10 <= asked <= 10 + 3  # those in flight when the limit was reached
    assert stopped.spending.left == TOTAL - asked
    more = run(config, prices, "max_cost=1")
    check_complete(more)
    assert len(every(home)) == TOTAL
    assert more.spending.total == pytest.approx(2 * SERVED * 12e-6)


def test_ctrl_c_ends_the_run_at_once_and_it_goes_on(
    config: str, home: Path, servers: tuple[Loopback, Loopback], monkeypatch: pytest.MonkeyPatch
) -> None:
    hang = threading.Event()

    def interrupting(request: Request) -> Sent:
        if (number_of(request) or 0) >= 4:
            hang.wait(60)
        return right(request)

    for server in servers:
        server.answers[CHAT] = interrupting
    written = []

    class Interrupted(Writer):
        def write(self, *given: Any) -> Any:
            written.append(given)
            if len(written) == 10:
                raise KeyboardInterrupt
            return super().write(*given)

    with monkeypatch.context() as patched:
        patched.setattr(answer, "Writer", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(config)
    hang.set()
    before = every(home)
    assert len(before) == 9
    assert run(config).errors == 0  # its locks are free
    after = every(home)
    assert len(after) == TOTAL
    assert all(record in after for record in before)


def test_the_servers_of_a_file_change_while_the_run_goes_on(
    config: str, home: Path, servers: tuple[Loopback, Loopback], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second question of the long task waits until its server is out and the other is in."""
    moved, lines = threading.Event(), []

    def say(line: str) -> None:
        lines.append(line)
        if "is no longer in" in line:
            moved.set()

    monkeypatch.setattr(watch, "say", say)
    monkeypatch.setattr(watch, "LOOK_S", 0.0)
    monkeypatch.setattr(in_flight, "LOOK_S", 0.01)
    first, second = servers
    names = home / "servers.txt"
    names.write_text(f"{first.url}\n")

    def answer(request: Request) -> Sent:
        if number_of(request) == 1 and len(records(home, "general", "long")) == 1:
            names.write_text(f"# the day shift\n{second.url}\n")
            moved.wait(60)
        return right(request)

    first.answers[CHAT] = answer
    one = (
        f"{{name: general, backend: server, url_file: servers.txt, model: {MODEL}, concurrency: 1}}"
    )
    assert run(config, f"models=[{one}]").errors == 0
    asked = [[number_of(r) for r in server.asked(CHAT)] for server in servers]
    of_first, of_second = ([n for n in numbers if n is not None] for numbers in asked)
    assert (of_first, of_second) == ([0, 1, 2, 0, 1], [2, 3, 4, 5, 6, 7, 8])
    assert lines == [
        f"general: {second.url} is new in servers.txt and gets questions",
        f"general: {first.url} is no longer in servers.txt and gets no further questions",
    ]
    plain = one.replace("url_file: servers.txt", f"url: '{first.url}'")
    assert run(config, f"models=[{plain}]").errors == 0  # the same run by its address


def test_a_server_that_is_asked_too_often_gets_less_and_no_question_is_lost(
    config: str, home: Path, servers: tuple[Loopback, Loopback], capsys: pytest.CaptureFixture[str]
) -> None:
    """The server takes 4 requests at a time and refuses every other with 429.

    The first 4 wait for a refusal, however slowly the others arrive.
    """
    slots, refused = threading.Semaphore(4), threading.Event()
    busy = Sent({"error": {"message": "slow down"}}, 429)

    def answer(request: Request) -> Sent:
        if not slots.acquire(blocking=False):
            refused.set()
            return busy
        try:
            if number_of(request) is not None:
                refused.wait(300)
                threading.Event().wait(0.01)
            return right(request)
        finally:
            slots.release()

    servers[0].answers[CHAT] = answer
    keys = f"url: '{servers[0].url}', model: {MODEL}, concurrency: 32"
    assert run(config, f"models=[{{name: general, backend: server, {keys}}}]").errors == 0
    assert len(records(home, "general", "short") + records(home, "general", "long")) == SERVED
    said = [line for line in capsys.readouterr().err.splitlines() if "429" in line]
    assert len(said) == 1 and "it now gets 16 at a time instead of 32" in said[0]


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_killed_while_two_servers_answer_and_resumed_it_is_the_same(
    config: str, home: Path, servers: tuple[Loopback, Loopback], stop: signal.Signals
) -> None:
    def slowly(request: Request) -> Sent:
        threading.Event().wait(0.1)
        return right(request)

    for server in servers:
        server.answers[CHAT] = slowly
    assert run(config).errors == 0
    expected = table(home)
    (home / "runs" / "beside").rename(home / "runs" / "before")
    for enough in (5, 14, 21):
        process = subprocess.Popen(
            [sys.executable, "-m", "ragbench", "run", config],
            env={**os.environ, "RAGBENCH_HOME": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while len(every(home)) < enough:
            assert process.poll() is None, "the run ended before it could be killed"
            threading.Event().wait(0.01)
        process.send_signal(stop)
        assert process.wait(60) != 0
        assert len(every(home)) < TOTAL
    assert run(config).errors == 0
    pd.testing.assert_frame_equal(table(home), expected)
    keys = [(r["model"], r["task"], r["question_id"]) for r in every(home)]
    assert len(keys) == len(set(keys)) == TOTAL
