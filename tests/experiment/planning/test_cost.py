"""Time, memory and money of a model by hand arithmetic."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ragbench.base.modelfacts import ServedFacts
from ragbench.experiment.planning.cost import Asking, Load, asking_of, estimate
from ragbench.experiment.planning.devices import DEVICES
from ragbench.experiment.planning.rates import Rate
from ragbench.models.scripted import ScriptedModel
from ragbench.models.spec import ModelSpec
from ragbench.runfolder.config import Billing

OWN = Billing(own_machine=True)
LOAD = Load(prompts=10, tokens=1_000_000, sent=5_000_000, written=20_000)


def model_of(monkeypatch: pytest.MonkeyPatch, **facts: Any) -> ScriptedModel:
    known = ScriptedModel.facts
    monkeypatch.setattr(ScriptedModel, "facts", lambda self: replace(known(self), **facts))
    return ScriptedModel(ModelSpec.model_validate({"name": "m", "backend": "scripted"}))


def test_time_and_memory_of_a_stated_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """70 B parameters of two bytes and a fifth more need 168 GB: three of 80 GB."""
    model = model_of(monkeypatch, parameters=70_000_000_000, dtype="bfloat16")
    found = estimate("m", model, LOAD, DEVICES["h100"], OWN)
    assert (found.weight_bytes, found.devices) == (140_000_000_000, 3)
    reading = 2 * 70e9 * 1e6 / (989e12 * 0.4 * 3)
    writing = 20_000 * 140e9 / (3.35e12 * 0.5 * 3)
    assert found.seconds == pytest.approx(reading + writing)
    assert (found.money, found.own_machine) == (0.0, True)


def test_what_is_not_known_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(monkeypatch, parameters=None)
    found = estimate("m", model, LOAD, None, Billing())
    assert (found.weight_bytes, found.seconds, found.money) == (None, None, None)
    hourly = estimate("m", model, LOAD, None, Billing(per_hour=4.0))
    assert hourly.money is None
    away = model_of(monkeypatch, parameters=10**9, stands_in=True)
    assert estimate("m", away, LOAD, None, OWN).seconds is None


def test_money_is_of_all_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """5 M tokens sent at 2 and 0.02 M written at 10 per million; an hour of 0.5 s at 7200."""
    model = model_of(monkeypatch, parameters=None)
    found = estimate("m", model, LOAD, None, Billing(input=2.0, output=10.0))
    assert found.money == pytest.approx(10 + 0.2)
    local = estimate("m", model, LOAD, None, Billing(input=2.0, output=10.0, own_machine=True))
    assert local.money == found.money  # a price per token is that of a server
    assert not local.own_machine
    rented = model_of(monkeypatch, parameters=10**9, dtype="bfloat16")
    seconds = estimate("m", rented, LOAD, DEVICES["h100"], OWN).seconds or 0.0
    hourly = estimate("m", rented, LOAD, DEVICES["h100"], Billing(per_hour=7200.0, in_flight=9))
    assert hourly.money == pytest.approx(2 * seconds)


@pytest.mark.parametrize(
    ("facts", "scoring", "expected"),
    [
        ({"takes_lists": True}, "options", Asking(1, 5.5, 12)),
        ({}, "options", Asking(5.5, 5.5, 12)),
        ({"letters": "logprob_token_ids"}, "letters", Asking(1, 1)),
        ({"letters": "echo", "takes_lists": True}, "letters", Asking(1, 5.5, 12)),
        ({"takes_lists": True}, "generate", Asking(1, 1)),
    ],
)
def test_requests_and_texts_of_a_server(
    monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], scoring: Any, expected: Asking
) -> None:
    """Questions of 4.5 options on average, which have 12 tokens in all."""
    served = ServedFacts({}, "", "", None, **facts)
    model = model_of(monkeypatch, served=served, parameters=None)
    assert asking_of(model, scoring, 4.5, 12) == expected


def test_a_servers_hours_are_those_of_its_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 questions of 100 tokens, 5 texts each and 12 tokens of options: 5,120 tokens are sent.

    6 more of letters, in one text each; 10 at 2 per second and 6 at 3 per second take 7 s.
    """
    model = model_of(monkeypatch, served=ServedFacts({}, "", "", None), parameters=None)
    load = Load()
    load.add(10, 1000, Asking(1, 5, 12), 0, "options")
    assert (load.requests, load.sent) == (10, 5120)
    load.add(6, 600, Asking(1, 1), 0, "letters")
    rates: Any = {"options": Rate(2.0, "a"), "letters": Rate(3.0, "b")}
    found = estimate("m", model, load, None, Billing(per_hour=3600.0, in_flight=8), rates)
    assert (found.requests, found.sent_tokens) == (16, 5720)
    assert found.seconds == 7.0
    assert found.money == 7.0  # the hours are those of the machine, not of each request
    assert found.rate == "2 questions/s, a; 3 questions/s, b"
    del rates["letters"]
    unknown = estimate("m", model, load, None, Billing(per_hour=3600.0), rates)
    assert (unknown.seconds, unknown.money) == (None, None)
