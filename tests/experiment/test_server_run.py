"""Runs whose model is behind a server that misbehaves: nothing is lost, and no key is kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ragbench.base.errors import BackendError, PrerequisiteError, UsageError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.planning.offline import OfflineGrid
from ragbench.experiment.planning.plan import make_plan
from ragbench.experiment.run import Finished, run_experiment
from ragbench.models.served import http
from tests.models.loopback import MODEL, Loopback, Request, Sent, chat, loopback

KEY = "sk-0123456789abcdef"
CHAT = "/v1/chat/completions"
LETTERS = "ABCA" * 5
CONFIG = """\
name: served
scoring: generate
models:
  - {{name: m, backend: server, url: "{url}", model: {model}, api_key_env: SERVER_KEY, retries: 1}}
tasks:
  - {{name: asked, task: mcq, options: {{path: asked.jsonl}}}}
arms: [closed-book]
"""


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        running.answers[CHAT] = lambda request: Sent(chat(letter_of(request)))
        yield running


def number_of(request: Request) -> int | None:
    """Return which question a request asks; None for one of the checks before."""
    asked = request.body["messages"][-1]["content"]
    return int(asked.split()[1]) if asked.startswith("Question") else None


def letter_of(request: Request) -> str:
    """Return what the right reply to a request is."""
    number = number_of(request)
    return "yes" if number is None else f"The answer is {LETTERS[number]}."


@pytest.fixture
def config(home: Path, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SERVER_KEY", KEY)
    monkeypatch.setattr(http, "pause", lambda _: None)
    questions = [
        {
            "id": f"q{n}",
            "question": f"Question {n} of twenty",
            "options": ["one", "two", "three"],
            "answer": letter,
        }
        for n, letter in enumerate(LETTERS)
    ]
    (home / "asked.jsonl").write_text("".join(json.dumps(q) + "\n" for q in questions))
    path = home / "served.yaml"
    path.write_text(CONFIG.format(url=server.url, model=MODEL))
    return str(path)


def run(config: str, *overrides: str) -> Finished:
    return run_experiment(*load_config(config, overrides))


def records(home: Path) -> list[dict[str, Any]]:
    path = home / "runs" / "served" / "records" / "m+asked+closed-book.0.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def accuracy(home: Path) -> tuple[int, float]:
    table = pd.read_parquet(home / "runs" / "served" / "scores" / "correct.parquet")
    return len(table), float(table["accuracy"].mean())


def test_four_are_asked_at_a_time_and_each_is_written_once(
    config: str, home: Path, server: Loopback
) -> None:
    """Each answer waits for three others that are in flight with it."""
    together = threading.Barrier(4, timeout=300)

    def answer(request: Request) -> Sent:
        if number_of(request) is not None:
            together.wait()
        return Sent(chat(letter_of(request)))

    server.answers[CHAT] = answer
    assert run(config, "models.m.concurrency=4").errors == 0
    assert server.most_at_once == 4
    found = records(home)
    assert sorted(r["question_id"] for r in found) == sorted(f"q{n}" for n in range(20))
    assert accuracy(home) == (20, 1.0)
    stored = (home / "runs" / "served" / "prompts" / "0.jsonl").read_text().splitlines()
    assert {json.loads(line)["digest"] for line in stored} == {r["prompt"] for r in found}
    asked = len(server.asked(CHAT))
    assert run(config).errors == 0
    assert len(server.asked(CHAT)) - asked <= 2  # the checks; no question again


@pytest.mark.parametrize("concurrency", [1, 4])
def test_some_fail_and_are_asked_again(
    config: str, home: Path, server: Loopback, concurrency: int
) -> None:
    broken = {
        2: Sent(b"<html>busy</html>"),
        5: Sent({"choices": []}),
        8: Sent(chat(None)),
        11: Sent({"error": {"message": f"key {KEY} is slow"}}, 500),
        14: Sent(b'{"choices": [{"mess'),
        17: Sent({}, 307, {"location": "https://evil.example.org/v1"}),
    }
    server.answers[CHAT] = lambda request: broken.get(
        number_of(request) or 0, Sent(chat(letter_of(request)))
    )
    at_once = f"models.m.concurrency={concurrency}"
    assert run(config, at_once).errors == 6
    failed = {r["question_id"]: r for r in records(home) if r["error"] is not None}
    assert set(failed) == {f"q{n}" for n in broken}
    assert all(r["reply"] is None and r["finish"] == "error" for r in failed.values())
    assert accuracy(home) == (20, 1.0)  # of the fourteen that are answered
    broken.clear()
    with loopback() as other:  # served elsewhere, it is the same model
        other.answers[CHAT] = server.answers[CHAT]
        assert run(config, f"models.m.url={other.url}", "models.m.timeout_s=9").errors == 0
        assert sum(number_of(r) is not None for r in other.asked(CHAT)) == 6
        other.script("/v1/models", Sent({"data": [{"id": MODEL, "max_model_len": 2048}]}))
        run(config, f"models.m.url={other.url}")
        other.script("/v1/models", Sent({"data": [{"id": MODEL, "root": "/tuned"}]}))
        with pytest.raises(UsageError, match="another config or other data") as caught:
            run(config, f"models.m.url={other.url}", "models.m.context=4096")
        assert caught.value.where.endswith("run.json: models.m.told.root: '' -> '/tuned'")
    assert len(records(home)) == 26
    assert accuracy(home) == (20, 1.0)


def test_a_run_goes_on_through_a_proxy(config: str, home: Path, server: Loopback) -> None:
    """The server is known to the proxy alone, which gets whole addresses as paths."""
    server.answers[CHAT] = lambda request: (
        Sent({"choices": []}) if number_of(request) == 3 else Sent(chat(letter_of(request)))
    )
    assert run(config).errors == 1
    far = "http://models.far.example/v1"
    with loopback() as proxy:
        proxy.answers = {
            f"{far}/models": server.answers["/v1/models"],
            f"{far}/chat/completions": lambda request: Sent(chat(letter_of(request))),
        }
        through = f"models.m.proxy={proxy.url.removesuffix('/v1')}"
        assert run(config, f"models.m.url={far}", through).errors == 0
        asked = proxy.asked(f"{far}/chat/completions")
        assert [number_of(r) for r in asked if number_of(r) is not None] == [3]
    assert accuracy(home) == (20, 1.0)


def test_many_errors_in_a_row_stop_the_run_and_it_goes_on(
    config: str, home: Path, server: Loopback
) -> None:
    def answer(request: Request) -> Sent:
        fails = number_of(request) is not None
        return Sent({"detail": "no"}, 400) if fails else Sent(chat("yes"))

    server.answers[CHAT] = answer
    with pytest.raises(BackendError, match="5 questions in a row failed; the last: m answered"):
        run(config, "models.m.concurrency=1")
    assert [r["finish"] for r in records(home)] == ["error"] * 5
    server.answers[CHAT] = lambda request: Sent(chat(letter_of(request)))
    assert run(config).errors == 0
    assert accuracy(home) == (20, 1.0)


def test_the_key_stands_in_no_file(
    config: str, home: Path, server: Loopback, capfd: pytest.CaptureFixture[str]
) -> None:
    def answer(request: Request) -> Sent:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        if number_of(request) in (3, 4):
            return Sent({"error": {"message": f"no: Bearer {KEY}"}}, 400)
        return Sent(chat(KEY if number_of(request) == 5 else letter_of(request)))

    server.answers[CHAT] = answer
    assert run(config).errors == 3
    files = [path for path in home.rglob("*") if path.is_file()]
    assert len(files) > 8
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    printed = capfd.readouterr()
    assert KEY not in printed.out + printed.err


def test_run_json_tells_what_is_known_of_the_model(config: str, home: Path) -> None:
    run(config)
    about = json.loads((home / "runs" / "served" / "run.json").read_text())
    facts = about["identity"]["models"]["m"]
    assert facts["weights"] == f"{MODEL}, not verified"
    assert facts["server"] == "loopback/1"


def test_a_plan_needs_no_size_of_the_model(config: str) -> None:
    made = make_plan(Grid(*load_config(config)))
    assert (made.estimates[0].weight_bytes, made.estimates[0].prompts) == (None, 20)
    assert json.loads(made.samples[0].prompt)[-1]["role"] == "user"


def test_a_plan_says_that_a_server_writes_its_own_day(config: str, server: Loopback) -> None:
    path = "/apply-template"
    now = datetime.now(UTC)

    def answer(request: Request) -> Sent:
        return Sent({"prompt": f"{now:%d %b %Y}\n{request.body['messages'][0]['content']}"})

    server.answers[path] = answer
    notes = make_plan(Grid(*load_config(config, ()))).notes
    assert [note for note in notes if "writes the day into each prompt" in note] == [notes[0]]
    del server.answers[path]
    assert not make_plan(Grid(*load_config(config, ()))).notes


def test_a_server_that_is_not_there_has_a_stand_in_in_a_plan(config: str) -> None:
    nobody = ["models.m.url=http://127.0.0.1:1/v1", "models.m.context=2048"]
    grid = OfflineGrid(*load_config(config, nobody))
    made = make_plan(grid)
    (part,) = made.missing
    assert (part.what, "cannot be asked" in part.reason) == ("model m", True)
    assert grid.models["m"].context_tokens == 2048
    assert made.estimates[0].weight_bytes is None
    assert not make_plan(OfflineGrid(*load_config(config))).missing


def test_what_a_server_cannot_do_is_told_before_anything_is_built(
    config: str, home: Path, server: Loopback
) -> None:
    with pytest.raises(PrerequisiteError, match="log-probabilities"):
        run(config, "scoring=letters", "models.m.format=plain")
    assert all(number_of(r) is None for r in server.asked(CHAT))
    assert not list((home / "runs").glob("served/records/*"))
