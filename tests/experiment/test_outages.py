"""Runs whose server goes away: they go on by themselves, and no outage is a wrong answer."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragbench.base.errors import BackendError, PrerequisiteError, UnavailableError, UsageError
from ragbench.cli.main import main
from ragbench.models.served import http
from ragbench.models.served.patience import outages
from tests.experiment.served_runs import QUESTIONS, is_question, records, run, write_config
from tests.models.loopback import MODEL, Loopback, Request, Sent, chat, loopback

CHAT, MODELS = "/v1/chat/completions", "/v1/models"
HTML = Sent(b"<html><h1>503 Service Unavailable</h1></html>", 503, {"content-type": "text/html"})
INSIDE = Sent({"error": {"code": 503, "message": "no healthy upstream"}})
HALF = Sent(b'{"choices": [{"message": {"content": "The answer is B', claimed=900)
LOADING = Sent({"error": {"message": "Loading model"}}, 500)


@pytest.fixture(autouse=True)
def polled_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "pause", lambda _: None)
    monkeypatch.setattr(outages, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(outages, "LONGEST_PAUSE_S", 0.05)


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        running.answers[CHAT] = lambda _: Sent(chat("The answer is A."))
        yield running


def test_another_model_after_an_outage_is_refused_and_not_scored(
    home: Path, server: Loopback
) -> None:
    """Also where the model is exchanged so fast that no poll finds the server away."""
    asked = 0
    other = {"data": [{"id": MODEL, "root": "/tuned", "max_model_len": 4096}]}

    def answer(request: Request) -> Sent:
        nonlocal asked
        asked += is_question(request)
        if asked < 11:
            return Sent(chat("The answer is A."))
        server.answers[MODELS] = lambda _: Sent(other)
        server.answers[CHAT] = lambda _: Sent(chat("The answer is B."))
        return Sent(b"", claimed=900)

    before = dict(server.answers)
    server.answers[CHAT] = answer
    config = write_config(home, server.url)
    with pytest.raises(PrerequisiteError, match="serves another model as 'owner/served'") as caught:
        run(config, "models.m.concurrency=1")
    assert "root: '' before, '/tuned' now" in caught.value.what
    kept = records(home)
    assert [r["reply"] for r in kept] == ["The answer is A."] * 10
    with pytest.raises(UsageError) as refused:
        run(config)
    assert refused.value.where.endswith("run.json: models.m.told.root: '' -> '/tuned'")
    server.answers |= before
    assert run(config).errors == 0
    assert [r["reply"] for r in records(home)] == ["The answer is A."] * QUESTIONS


def test_a_server_that_does_not_come_back_ends_the_run_which_can_go_on(
    home: Path, server: Loopback, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = 0

    def answer(request: Request) -> Sent:
        nonlocal asked
        asked += is_question(request)
        if asked > 10:
            server.answers |= dict.fromkeys((CHAT, MODELS), lambda _: HTML)
        return HTML if asked > 10 else Sent(chat("The answer is A."))

    before = dict(server.answers)
    server.answers[CHAT] = answer
    config = write_config(home, server.url)
    with pytest.raises(SystemExit) as ended:
        main(["run", config, "--set", "models.m.patience_s=1"])
    assert ended.value.code == 5
    *_, error, where, fix = capfd.readouterr().err.splitlines()
    assert re.fullmatch(
        r"error: the server of m was away for [1-9]\d* s and \d+ polls of its list of models; the "
        "last: m answered HTTP 503: <html><h1>503 Service Unavailable</h1></html>",
        error,
    )
    assert where == f"where: {server.url}"
    assert fix.startswith("fix:   start the server and run the same command again, which keeps")
    kept = records(home)
    assert len(kept) == 10
    assert all(r["error"] is None for r in kept)  # no question is wrong, and none is an error
    server.answers |= before
    assert run(config, "models.m.patience_s=0").errors == 0
    assert records(home)[:10] == kept
    assert len(records(home)) == QUESTIONS


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT interrupt, also where the tests were started in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_ctrl_c_ends_a_wait_at_once(
    home: Path,
    server: Loopback,
    capfd: pytest.CaptureFixture[str],
    interruptible: None,
    concurrency: int,
) -> None:
    """The signal reaches the thread that waits or reads; the poller ends with the run."""

    def answer(request: Request) -> Sent:
        own = is_question(request)
        if own and not asked.is_set():
            server.answers |= dict.fromkeys((CHAT, MODELS), lambda _: HTML)
            asked.set()
        return HTML if own else Sent(chat("yes"))

    server.answers[CHAT] = answer
    main = threading.get_ident()
    asked, over = threading.Event(), threading.Event()

    def press() -> None:
        asked.wait()
        if not over.wait(0.3):
            signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    config = write_config(home, server.url)
    with pytest.raises(KeyboardInterrupt):
        run(config, f"models.m.concurrency={concurrency}")
    over.set()
    assert "is away" in capfd.readouterr().err
    until = time.monotonic() + 20
    while any(thread.name == "poller" for thread in threading.enumerate()):
        assert time.monotonic() < until, "the poller goes on"
        time.sleep(0.01)
    assert records(home) == []


@pytest.mark.parametrize(
    ("kind", "listed"),
    [(HTML, False), (HTML, True), (INSIDE, True), (HALF, True), (LOADING, True)],
    ids=["away", "html", "inside 200", "half", "loading"],
)
def test_every_kind_of_outage_is_waited_out(
    home: Path, server: Loopback, kind: Sent, listed: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also behind a gateway that lists the model all the while."""
    asked = 0
    away_until = 0.0
    lock = threading.Lock()

    def answer(request: Request) -> Sent:
        nonlocal asked, away_until
        with lock:
            if is_question(request):
                asked += 1
                if asked == 5:
                    away_until = time.monotonic() + 0.15
        return kind if time.monotonic() < away_until else Sent(chat("The answer is A."))

    def listing(_: Request) -> Sent:
        there = listed or time.monotonic() >= away_until
        return Sent({"data": [{"id": MODEL, "max_model_len": 4096}]}) if there else kind

    server.answers |= {CHAT: answer, MODELS: listing}
    assert run(write_config(home, server.url, 12), "models.m.retries=0").errors == 0
    assert [r["reply"] for r in records(home)] == ["The answer is A."] * 12
    assert "is back after" in capfd.readouterr().err


def test_a_question_that_breaks_its_server_is_an_error_and_the_run_goes_on(
    home: Path, server: Loopback
) -> None:
    """Each time it is asked, the server is away for a while."""
    away_until = 0.0

    def answer(request: Request) -> Sent:
        nonlocal away_until
        if request.body["messages"][-1]["content"].startswith("Question 5"):
            away_until = time.monotonic() + 0.1
        return LOADING if time.monotonic() < away_until else Sent(chat("The answer is A."))

    server.answers[CHAT] = answer
    config = write_config(home, server.url, 12)
    assert run(config, "models.m.concurrency=1").errors == 1
    assert [r["question_id"] for r in records(home) if r["error"] is not None] == ["q5"]


def test_one_of_two_servers_that_is_lost_leaves_the_other_to_work(
    home: Path, server: Loopback
) -> None:
    with loopback() as second:
        second.answers[CHAT] = server.answers[CHAT]
        config = write_config(home, server.url)

        def answer(request: Request) -> Sent:
            if is_question(request):
                second.answers |= {CHAT: lambda _: HTML, MODELS: lambda _: HTML}
                return HTML
            return Sent(chat("yes"))

        second.answers[CHAT] = answer
        two = f"models.m.url=['{server.url}', '{second.url}']"
        assert run(config, two, "models.m.retries=0", "models.m.patience_s=0.1").errors == 0
    assert [r["reply"] for r in records(home)] == ["The answer is A."] * QUESTIONS


def test_money_is_counted_for_every_answer_and_for_no_outage(home: Path, server: Loopback) -> None:
    """9 tokens sent and 3 written per question: 12 questions at 1 and 2 a million cost 180e-6."""
    with_prices = "prices={m: {input: 1, output: 2}}"
    away_until = 0.0

    def answer(request: Request) -> Sent:
        nonlocal away_until
        if request.body["messages"][-1]["content"].startswith("Question 7") and not away_until:
            away_until = time.monotonic() + 0.3
        return HTML if time.monotonic() < away_until else Sent(chat("The answer is A."))

    server.answers[CHAT] = answer
    config = write_config(home, server.url, 12)
    done = run(config, with_prices)
    assert done.errors == 0
    assert done.spending.total == pytest.approx(12 * (9 * 1 + 3 * 2) / 1e6)
    assert sum(r["elapsed_s"] for r in records(home)) < 12 * 0.3  # waits are no time of the model


def test_a_limit_of_cost_holds_over_an_outage(home: Path, server: Loopback) -> None:
    """Each question costs 15e-6; the limit of 70e-6 is reached with the fifth."""
    asked = 0

    def answer(request: Request) -> Sent:
        nonlocal asked
        own = is_question(request)
        asked += own
        return HTML if own and asked == 3 else Sent(chat("The answer is A."))

    server.answers[CHAT] = answer
    config = write_config(home, server.url, 12)
    more = ["prices={m: {input: 1, output: 2}}", "max_cost=0.00007", "models.m.concurrency=1"]
    done = run(config, *more)
    assert (len(records(home)), done.spending.left) == (5, 7)


def test_a_spent_quota_ends_the_run_at_once(home: Path, server: Loopback) -> None:
    asked = 0

    def answer(request: Request) -> Sent:
        nonlocal asked
        asked += is_question(request)
        error = {"message": "You exceeded your current quota", "code": "insufficient_quota"}
        return Sent({"error": error}, 429) if asked > 6 else Sent(chat("The answer is A."))

    server.answers[CHAT] = answer
    config = write_config(home, server.url)
    with pytest.raises(UnavailableError, match="the quota or the balance of m is spent"):
        run(config, "models.m.concurrency=1")
    assert (asked, len(records(home))) == (7, 6)
    assert all(r["error"] is None for r in records(home))


def test_a_server_that_is_not_there_at_the_start_is_not_waited_for(home: Path) -> None:
    """A wrong address is more likely than an outage, and the user still sits there."""
    config = write_config(home, "http://127.0.0.1:1/v1")
    started = time.monotonic()
    with pytest.raises(PrerequisiteError, match="cannot be asked"):
        run(config, "models.m.retries=0")
    assert time.monotonic() - started < 60


def test_without_patience_an_outage_is_errors_of_its_questions(
    home: Path, server: Loopback
) -> None:
    config = write_config(home, server.url)
    server.answers[CHAT] = lambda r: HTML if is_question(r) else Sent(chat("yes"))
    with pytest.raises(BackendError, match="5 questions in a row failed"):
        run(config, "models.m.patience_s=0")
