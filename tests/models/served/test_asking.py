"""What servers are found able to do before the first question."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ragbench.base.errors import PrerequisiteError
from ragbench.base.records import Message
from ragbench.models.model import Asked
from ragbench.models.served import http
from ragbench.models.served.server import ServerModel
from tests.models.loopback import Loopback, Request, Sent, chat, loopback, spec

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
TURNS = [Message("system", "Be brief."), Message("user", "Which code stands for gout?")]
GENERATE, OPTIONS = Asked("generate", False), Asked("options", False)


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "pause", lambda _: None)


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


def test_a_template_without_system_role_gets_one_user_turn(server: Loopback) -> None:
    def gemma(request: Request) -> Sent:
        if request.body["messages"][0]["role"] == "system":
            return Sent({"message": "System role not supported"}, 400)
        return Sent(chat("B"))

    server.answers[CHAT] = gemma
    model = ServerModel(spec(server))
    assert model.generate(model.render(TURNS), limit=5).text == "B"
    joined = "Be brief.\n\nWhich code stands for gout?"
    assert server.requests[-1].body["messages"] == [{"role": "user", "content": joined}]


def test_a_server_without_log_probabilities_is_refused_before_the_first_question(
    server: Loopback,
) -> None:
    """As transformers serve: it leaves ``echo`` and ``logprobs`` out, and says nothing of it."""
    model = ServerModel(spec(server, format="plain"))
    model.check_abilities([GENERATE])
    with pytest.raises(PrerequisiteError, match="does not report the log-probabilities") as caught:
        model.check_abilities([GENERATE, OPTIONS])
    assert "scoring: generate" in caught.value.fix
    same = {"token_logprobs": [None, -1.0]}
    server.script(TEXT, Sent({"choices": [{"logprobs": same}], "usage": {"prompt_tokens": 2}}))
    with pytest.raises(PrerequisiteError, match="a longer text has no more tokens"):
        ServerModel(spec(server, format="plain")).check_abilities([OPTIONS])


def test_a_begun_reply_needs_a_server_that_goes_on_with_it(server: Loopback) -> None:
    begun = Asked("generate", True)

    def vllm(request: Request) -> Sent:
        return Sent(chat("Yes", size=15 if "continue_final_message" in request.body else 20))

    server.answers[CHAT] = vllm
    ServerModel(spec(server)).check_abilities([begun])
    for sent in (
        lambda _: Sent(chat("Yes")),  # leaves the field out: another turn is begun
        lambda _: Sent({"choices": [{"message": {"content": "Yes"}}]}),
        lambda r: (
            Sent({"detail": "Unexpected fields"}, 422)
            if "continue_final_message" in r.body
            else Sent(chat("Yes"))
        ),
    ):
        server.answers[CHAT] = sent
        with pytest.raises(PrerequisiteError, match="does not continue it") as caught:
            ServerModel(spec(server)).check_abilities([begun])
        assert "format: plain" in caught.value.fix
    ServerModel(spec(server, format="plain")).check_abilities([begun])


@pytest.mark.parametrize("sent", [Sent(b"<html>"), Sent({}), Sent({"message": "no"}, 404)])
def test_a_server_that_does_not_answer_is_refused_before_the_first_question(
    server: Loopback, sent: Sent
) -> None:
    server.script(CHAT, sent)
    with pytest.raises(PrerequisiteError):
        ServerModel(spec(server)).check_abilities([GENERATE])


def test_every_address_is_checked(server: Loopback) -> None:
    with loopback() as other:
        other.script(CHAT, Sent({"message": "no"}, 404))
        model = ServerModel(spec(server, url=[server.url, other.url]))
        with pytest.raises(PrerequisiteError, match="HTTP 404: no") as caught:
            model.check_abilities([GENERATE])
        assert other.url in caught.value.where
