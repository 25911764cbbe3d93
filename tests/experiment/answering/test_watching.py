"""Warnings while a run asks a server that changes, rounds, cuts, filters or says nothing."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ragbench.experiment.config.config import load_config
from ragbench.experiment.planning.offline import OfflineGrid
from ragbench.experiment.planning.plan import make_plan
from ragbench.experiment.run import run_experiment
from ragbench.models.served import http
from ragbench.report.write import write_report
from tests.experiment.asked import asked
from tests.models.loopback import MODEL, Loopback, Request, Sent, chat, loopback
from tests.models.vendors import LIKELY, RuleModel, VendorServer

CHAT = "/v1/chat/completions"
N = 20


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.setattr(http, "pause", lambda _: None)
    with loopback() as running:
        yield running


def config(home: Path, server: Loopback, scoring: str) -> str:
    return asked(home, server, "watched", n=N, keys="concurrency: 1", scoring=scoring)


def records(home: Path) -> list[dict[str, Any]]:
    path = home / "runs" / "watched" / "records" / "m+asked+closed-book.0.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def number_of(request: Request) -> int | None:
    """Return the number of the question; None for a check without any."""
    said = request.body["messages"][-1]["content"]
    return int(said.split("Question ")[1].split("?")[0]) if "Question" in said else None


def report(home: Path) -> str:
    """Return the report without its marks and line breaks."""
    text = write_report(home / "runs" / "watched").path.read_text()
    return " ".join(text.replace("\\", "").split())


def test_a_server_that_changes_is_reported_at_once_and_in_the_report(
    home: Path, server: Loopback, capfd: pytest.CaptureFixture[str]
) -> None:
    def changing(request: Request) -> Sent:
        number = number_of(request) or 0
        said = {"model": "served-1" if number < 12 else "served-2", "system_fingerprint": "fp_a"}
        told = {"completion_tokens_details": {"reasoning_tokens": 2}}
        told |= {"prompt_tokens_details": {"cached_tokens": 5}}
        answer = chat("The answer is B.")
        return Sent({**answer, **said, "usage": {**answer["usage"], **told}})

    server.answers[CHAT] = changing
    path = config(home, server, "generate")
    assert run_experiment(*load_config(path)).errors == 0
    said = capfd.readouterr().err
    warned = [line for line in said.splitlines() if line.startswith("warning:")]
    assert warned == [
        "warning: m: from question q12 of asked, closed-book on, the server's answers name the "
        "model 'served-2', and before that only 'served-1'; the run has answers of both"
    ]
    kept = [(r["answered_by"], r["fingerprint"], r["reasoning_tokens"]) for r in records(home)]
    assert kept == [("served-1", "fp_a", 2)] * 12 + [("served-2", "fp_a", 2)] * 8
    assert {r["cached_tokens"] for r in records(home)} == {5}
    about = json.loads((home / "runs" / "watched" / "run.json").read_text())
    assert about["answered_by"] == {
        "m": {"models": {"served-1": 12, "served-2": 8}, "fingerprints": {"fp_a": 20}}
    }
    text = report(home)
    assert "The answers of m are not all of one model" in text
    assert "'served-1' (12 answers), 'served-2' (8 answers)" in text


def test_a_server_that_changed_between_two_sessions_is_reported_too(
    home: Path, server: Loopback, capfd: pytest.CaptureFixture[str]
) -> None:
    fingerprint = {"is": "fp_a"}

    def answer(request: Request) -> Sent:
        said = chat("The answer is B.") | {"system_fingerprint": fingerprint["is"]}
        return Sent(said | {"model": MODEL})

    server.answers[CHAT] = answer
    path = config(home, server, "generate")
    assert run_experiment(*load_config(path)).errors == 0
    assert "not all of one model" not in report(home)
    file = home / "runs" / "watched" / "records" / "m+asked+closed-book.0.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:15]))
    fingerprint["is"] = "fp_b"
    capfd.readouterr()
    assert run_experiment(*load_config(path)).errors == 0
    said = capfd.readouterr().err
    assert "name the fingerprint 'fp_b', and before that only 'fp_a'" in said
    about = json.loads((home / "runs" / "watched" / "run.json").read_text())
    assert about["answered_by"]["m"]["fingerprints"] == {"fp_a": 15, "fp_b": 5}
    assert run_experiment(*load_config(path)).errors == 0  # nothing is left to ask
    assert "fingerprints 'fp_a' (15 answers), 'fp_b' (5 answers)" in report(home)


@pytest.mark.parametrize(
    ("odd", "warning", "sentence"),
    [
        (chat("Well, let me", finish="length"), "ended at the limit of tokens", "ended at the"),
        (chat(""), "are empty", "of the replies are empty"),
        (chat("", finish="content_filter"), "were stopped by a content filter", "of the replies"),
    ],
)
def test_a_cell_with_more_than_one_odd_reply_in_twenty_is_a_warning_and_a_sentence(
    home: Path,
    server: Loopback,
    capfd: pytest.CaptureFixture[str],
    odd: dict[str, Any],
    warning: str,
    sentence: str,
) -> None:
    """One of twenty is 5 %, and not more."""
    limit = {"of": 1}

    def answer(request: Request) -> Sent:
        number = number_of(request)
        is_odd = number is not None and number < limit["of"]
        return Sent(odd if is_odd else chat("The answer is B."))

    server.answers[CHAT] = answer
    path = config(home, server, "generate")
    assert run_experiment(*load_config(path)).errors == 0
    assert "warning" not in capfd.readouterr().err
    assert warning not in report(home)
    limit["of"] = 2
    assert run_experiment(*load_config(path, ["name=again"])).errors == 0
    expected = f"warning: m, asked, closed-book: 2 of 20 answers {warning}"
    assert expected in capfd.readouterr().err
    text = write_report(home / "runs" / "again").path.read_text()
    assert "10.0 % (closed-book) of the replies" in text
    assert sentence in text
    assert warning in text


def bfloat16(value: float) -> float:
    """Return a number rounded to eight bits of significand, ties to even."""
    (bits,) = struct.unpack(">I", struct.pack(">f", value))
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    (rounded,) = struct.unpack(">f", struct.pack(">I", bits))
    return float(rounded)


class Rounded(RuleModel):
    """Logits from 16 to 25, rounded as an output matrix in bfloat16 rounds them."""

    is_rounded = True

    def next_token(self, context: str) -> dict[str, float]:
        own = {token: 16.0 + 1.5 * self._logit(context, token) for token in LIKELY}
        logits = {k: bfloat16(v) if self.is_rounded else v for k, v in own.items()}
        total = math.log(sum(map(math.exp, [*logits.values(), 10.0])))
        # log-softmax in single precision, as servers compute it
        return {k: struct.unpack(">f", struct.pack(">f", v - total))[0] for k, v in logits.items()}


@pytest.mark.parametrize("is_rounded", [True, False])
def test_logits_of_bfloat16_are_a_warning_of_plan_run_and_report(
    home: Path, server: Loopback, is_rounded: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    rule = Rounded()
    rule.is_rounded = is_rounded
    VendorServer("vllm", rule).install(server)
    path = config(home, server, "letters")
    plan = make_plan(OfflineGrid(*load_config(path)))
    expected = "differ by multiples of 1/8, as if its server rounded its logits to bfloat16"
    assert any(n.startswith("warning: m on asked: ") and expected in n for n in plan.notes) == (
        is_rounded
    )
    assert run_experiment(*load_config(path)).errors == 0
    assert (f"warning: m, asked, closed-book: the log-likelihoods of its letters {expected}") in (
        capfd.readouterr().err
    ) or not is_rounded
    text = report(home)
    assert (expected in text) == is_rounded
    assert ("head_dtype" in text) == is_rounded


def test_tied_letters_are_a_warning(
    home: Path, server: Loopback, capfd: pytest.CaptureFixture[str]
) -> None:
    """``A`` and ``B`` have one logit in each question, as two neighbours on a coarse grid."""
    VendorServer("vllm", RuleModel({"A": 7.3, "B": 7.3, "C": 1.1})).install(server)
    path = config(home, server, "letters")
    run_experiment(*load_config(path))
    assert (
        "warning: m, asked, closed-book: 20 of 20 answers tie between options, so that the first "
        "was picked"
    ) in capfd.readouterr().err
