"""Letters of sample prompts: what is not asked, and what a failed prompt leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ragbench.experiment.config.config import load_config
from ragbench.experiment.planning.offline import OfflineGrid
from ragbench.experiment.planning.plan import make_plan
from ragbench.models.served import http
from tests.experiment.asked import asked
from tests.models.loopback import Loopback, Request, Sent, loopback
from tests.models.vendors import RuleModel, VendorServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.setattr(http, "pause", lambda _: None)
    with loopback() as running:
        yield running


@pytest.fixture
def config(home: Path, server: Loopback) -> str:
    return asked(home, server, "weighed", n=3, keys="retries: 0")


def test_letters_are_weighed_unless_no_task_takes_them(server: Loopback, config: str) -> None:
    """The three letters have a logit of 20 and more; all other tokens have at most 6."""
    VendorServer("vllm", RuleModel({"A": 20.5, "B": 20.1, "C": 20.3})).install(server)
    plan = make_plan(OfflineGrid(*load_config(config)))
    (found,) = plan.masses
    assert (found.model, found.task, found.prompts) == ("m", "asked", 3)
    assert found.mass == pytest.approx(1.0, abs=1e-3)
    assert not any("warning" in note for note in plan.notes)
    generated = make_plan(OfflineGrid(*load_config(config, ["tasks.asked.scoring=generate"])))
    assert generated.masses == []


def test_letters_that_the_model_would_not_write_are_a_warning(
    server: Loopback, config: str
) -> None:
    """About 3 e^-6 of 17 tokens or more of a logit above 0."""
    VendorServer("vllm", RuleModel({"A": -6.1, "B": -6.3, "C": -6.7})).install(server)
    (note,) = [n for n in make_plan(OfflineGrid(*load_config(config))).notes if "warning" in n]
    assert "all letters together have" in note


def test_a_sample_prompt_that_fails_is_a_note(server: Loopback, config: str) -> None:
    VendorServer("vllm", RuleModel({"A": 20.5, "B": 20.1, "C": 20.3})).install(server)
    usual = server.answers["/v1/chat/completions"]

    def failing(request: Request) -> Sent:
        asked = "Question 1?" in str(request.body)
        return Sent({"error": {"message": "out of memory"}}, 500) if asked else usual(request)

    server.answers["/v1/chat/completions"] = failing
    plan = make_plan(OfflineGrid(*load_config(config)))
    assert plan.masses == []
    assert any("m on asked: a sample prompt failed: " in note for note in plan.notes)
