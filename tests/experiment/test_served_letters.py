"""Runs by letters behind servers: one request per question, resumed only in the same way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import UsageError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.planning.offline import OfflineGrid
from ragbench.experiment.planning.plan import make_plan
from ragbench.experiment.run import run_experiment
from ragbench.models.served import http
from ragbench.report.write import write_report
from ragbench.runfolder.records import Record
from ragbench.runfolder.schema import parse
from tests.experiment.asked import asked
from tests.models.loopback import Loopback, Sent, loopback
from tests.models.vendors import LIKELY, Lists, RuleModel, VendorServer
from tests.runfolder.sealing import reseal

TEXT = "/v1/completions"
N = 8


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.setattr(http, "pause", lambda _: None)
    with loopback() as running:
        yield running


@pytest.fixture
def config(home: Path, server: Loopback) -> str:
    keys = "format: plain, retries: 0, concurrency: 1"
    return asked(home, server, "lettered", n=N, keys=keys)


def records(home: Path) -> list[dict[str, Any]]:
    path = home / "runs" / "lettered" / "records" / "m+asked+closed-book.0.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def from_json(value: dict[str, Any]) -> Record:
    return parse(Record, value, "records", what="record")


def test_a_run_takes_one_request_per_question_and_its_plan_says_so(
    home: Path, server: Loopback, config: str
) -> None:
    VendorServer("vllm").install(server)
    plan = make_plan(OfflineGrid(*load_config(config)))
    expected = "m: 8 requests; letters by logprob_token_ids, 1 request per question"
    assert expected in plan.notes
    assert plan.estimates[0].requests == N
    server.requests.clear()
    assert run_experiment(*load_config(config)).errors == 0
    asked = [r for r in server.asked(TEXT) if "Question" in str(r.body["prompt"])]
    assert len(asked) == N
    assert {record["requests"] for record in records(home)} == {1}


@pytest.mark.parametrize(
    ("lists", "requests", "how"),
    [
        ("any order", 8, "one text for the prompt and one per letter, all in 1 request per"),
        ("refused", 32, "a request for the prompt and one per letter"),  # 8 questions of 3 letters
    ],
)
def test_echoed_letters_take_the_requests_of_the_plan_and_the_same_tokens(
    home: Path, server: Loopback, config: str, lists: Lists, requests: int, how: str
) -> None:
    VendorServer("vllm", lists=lists).install(server)
    loaded = load_config(config, ["models.m.letters=echo"])
    plan = make_plan(OfflineGrid(*loaded))
    assert any(f"m: {requests} requests; letters by echo, {how}" in note for note in plan.notes)
    assert plan.estimates[0].requests == requests
    server.requests.clear()
    assert run_experiment(*loaded).errors == 0
    asked = [r for r in server.asked(TEXT) if "Question" in str(r.body["prompt"])]
    assert len(asked) == requests
    for record in map(from_json, records(home)):
        size = record.prompt_tokens or 0
        assert record.sent_tokens == 4 * size + 3
    facts = json.loads((home / "runs" / "lettered" / "run.json").read_text())["identity"]
    assert facts["models"]["m"].get("takes_lists", False) == (lists == "any order")


def test_a_run_is_resumed_only_in_the_way_that_it_began(
    home: Path, server: Loopback, config: str
) -> None:
    VendorServer("vllm").install(server)
    assert run_experiment(*load_config(config)).errors == 0
    path = home / "runs" / "lettered" / "records" / "m+asked+closed-book.0.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))
    before = records(home)
    VendorServer("llama.cpp").install(server)
    with pytest.raises(UsageError, match="was started from another config") as caught:
        run_experiment(*load_config(config))
    assert "models.m.letters: 'logprob_token_ids' -> 'completions alone'" in caught.value.where
    VendorServer("vllm").install(server)
    assert run_experiment(*load_config(config)).errors == 0
    assert records(home)[:3] == before
    assert len(records(home)) == N


def test_a_run_that_began_by_echo_goes_on_by_echo(
    home: Path, server: Loopback, config: str
) -> None:
    """A run of an earlier version has neither the key nor the fact."""
    vendor = VendorServer("vllm")
    vendor.install(server)
    assert run_experiment(*load_config(config, ["models.m.letters=echo"])).errors == 0
    about = home / "runs" / "lettered" / "run.json"
    text = about.read_text()
    assert '"letters": "echo"' in text
    older = json.loads(text)
    del older["config"]["models"][0]["letters"]
    del older["identity"]["models"]["m"]["letters"]
    about.write_text(json.dumps(older))
    reseal(home / "runs" / "lettered")
    with pytest.raises(UsageError, match="was started from another config") as caught:
        run_experiment(*load_config(config))
    assert "models.m.letters: (absent) -> 'logprob_token_ids'" in caught.value.where
    assert run_experiment(*load_config(config, ["models.m.letters=echo"])).errors == 0


def test_letters_that_are_not_listed_are_in_the_records_and_the_report(
    home: Path, server: Loopback, config: str
) -> None:
    """``B`` is the likeliest letter; ``A`` and ``C`` are less likely than 20 other tokens."""
    likely = [token for token in LIKELY if token.strip() not in "ABC"][:25]
    logits = {token: 0.0 for token in LIKELY} | {t: 2.0 + n / 50 for n, t in enumerate(likely)}
    VendorServer("llama.cpp", RuleModel(logits | {" B": 3.0})).install(server)
    plan = make_plan(OfflineGrid(*load_config(config)))
    assert any("counts as less likely than all of them" in note for note in plan.notes)
    finished = run_experiment(*load_config(config))
    assert finished.errors == 0
    assert [record["unlisted"] for record in records(home)] == [2] * N
    page = write_report(home / "runs" / "lettered").path.read_text()
    assert "16 of 24 letters were not among the tokens that the server lists" in page
    table = (home / "runs" / "lettered" / "results.csv").read_text()
    assert "accuracy" in table


def test_questions_without_a_listed_letter_are_errors(
    home: Path, server: Loopback, config: str
) -> None:
    """Only some questions, whose prompts have an even number."""
    likely = [token for token in LIKELY if token.strip() not in "ABC"][:25]
    hidden = {token: 0.0 for token in LIKELY} | {t: 2.0 + n / 50 for n, t in enumerate(likely)}
    VendorServer("llama.cpp", RuleModel(hidden | {" B": 3.0})).install(server)
    usual = server.answers[TEXT]
    other = VendorServer("llama.cpp", RuleModel(hidden))
    server.answers[TEXT] = lambda request: (
        other.text(request) if "Question 4?" in request.body["prompt"] else usual(request)
    )
    assert run_experiment(*load_config(config)).errors == 1
    (failed,) = [record for record in records(home) if record["error"]]
    assert failed["question_id"] == "q4"
    assert "none of the letters is among the 20 likeliest tokens" in failed["error"]
    assert failed["log_likelihoods"] is None


def test_a_server_without_any_way_is_refused_before_the_first_question(
    server: Loopback, config: str
) -> None:
    VendorServer("llama.cpp").install(server)
    server.answers[TEXT] = lambda _: Sent({"choices": [{"text": " A"}]})
    grid = OfflineGrid(*load_config(config))
    make_plan(grid)
    (refusal,) = grid.refusals
    assert "does not score letters" in refusal.what
