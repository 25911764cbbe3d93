"""What servers are found able to do before the first question."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ragbench.base.errors import PrerequisiteError
from ragbench.base.records import Message
from ragbench.models.model import Asked
from ragbench.models.served import http
from ragbench.models.served.server import ServerModel
from tests.models.loopback import Loopback, Request, Sent, chat, loopback, spec
from tests.models.vendors import RuleModel, VendorServer, templated

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


def counting(*roles: str) -> Callable[[Request], Sent]:
    """Answer as a server whose template has turns of these roles alone; it counts words."""

    def answer(request: Request) -> Sent:
        turns = request.body["messages"]
        seen = [turn for turn in turns[:-1] if turn["role"] in roles] + turns[-1:]
        return Sent(chat("B", size=sum(5 + len(turn["content"].split()) for turn in seen)))

    return answer


def test_a_system_turn_that_the_template_drops_joins_the_users(server: Loopback) -> None:
    """The server raises nothing; the count of its prompts shows it."""
    joined = [{"role": "user", "content": "Be brief.\n\nWhich code stands for gout?"}]
    apart = [{"role": m.role, "content": m.content} for m in TURNS]
    for roles, sent in (("user assistant", joined), ("system user assistant", apart)):
        server.answers[CHAT] = counting(*roles.split())
        model = ServerModel(spec(server))
        model.check_abilities([GENERATE])
        model.generate(model.render(TURNS), limit=5)
        assert server.requests[-1].body["messages"] == sent
        facts = model.facts().served
        assert facts is not None
        assert facts.joins_system == (sent is joined)


def test_one_of_two_servers_that_drops_it_is_enough(server: Loopback) -> None:
    with loopback() as other:
        server.answers[CHAT] = counting("system", "user", "assistant")
        other.answers[CHAT] = counting("user", "assistant")
        assert ServerModel(spec(server, url=[server.url, other.url]))._asker.joins_system


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_a_server_that_drops_shots_is_refused(server: Loopback, role: str) -> None:
    server.answers[CHAT] = counting("system", role)
    with pytest.raises(PrerequisiteError, match="turns before the last") as caught:
        ServerModel(spec(server)).check_abilities([GENERATE])
    assert "format: plain" in caught.value.fix


@pytest.mark.parametrize("usage", [{}, {"usage": {"prompt_tokens": 9}}])
def test_a_server_that_does_not_count_keeps_the_system_turn(
    server: Loopback, usage: dict[str, object]
) -> None:
    choice = {"message": {"content": "B"}, "finish_reason": "stop"}
    server.script(CHAT, Sent({"choices": [choice], **usage}))
    assert not ServerModel(spec(server))._asker.joins_system
    assert len(server.asked(CHAT)) == 2


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


def test_a_started_reply_needs_a_server_that_goes_on_with_it(server: Loopback) -> None:
    started = Asked("generate", True)

    def vllm(request: Request) -> Sent:
        return Sent(chat("Yes", size=15 if "continue_final_message" in request.body else 20))

    server.answers[CHAT] = vllm
    ServerModel(spec(server)).check_abilities([started])
    for sent in (
        lambda _: Sent(chat("Yes")),  # leaves the field out: it starts another turn
        lambda _: Sent({"choices": [{"message": {"content": "Yes"}}]}),
        lambda r: (
            Sent({"detail": "Unexpected fields"}, 422)
            if "continue_final_message" in r.body
            else Sent(chat("Yes"))
        ),
    ):
        server.answers[CHAT] = sent
        with pytest.raises(PrerequisiteError, match="does not continue it") as caught:
            ServerModel(spec(server)).check_abilities([started])
        assert "format: plain" in caught.value.fix
    ServerModel(spec(server, format="plain")).check_abilities([started])


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


def test_the_beginning_of_a_reply_that_a_server_repeats_is_removed(server: Loopback) -> None:
    started = [*TURNS, Message("assistant", "The code:")]
    for sent in ("The code: M10.9", " M10.9"):
        server.script(CHAT, Sent(chat(sent)))
        model = ServerModel(spec(server))
        assert model.generate(model.render(started), limit=5).text == " M10.9"
    server.script(CHAT, Sent(chat("The code: M10.9")))
    model = ServerModel(spec(server))
    assert model.generate(model.render(TURNS), limit=5).text == "The code: M10.9"


@pytest.mark.parametrize("vendor", ["vllm", "sglang", "llama.cpp"])
def test_some_continue_a_reply_that_a_task_begins(server: Loopback, vendor: str) -> None:
    """llama.cpp repeats the beginning, which is removed.

    The reply follows from the whole prompt, so that a new turn would have another.
    """
    rule = RuleModel()
    url = VendorServer(vendor, rule).install(server)
    model = ServerModel(spec(server, url=url, context=4096))
    model.check_abilities([Asked("generate", True)])
    started = [*TURNS, Message("assistant", "The code is")]
    reply = model.generate(model.render(started), limit=5)
    prompt = templated([{"role": m.role, "content": m.content} for m in started], continued=True)
    assert reply.text == rule.write(prompt, 5)
    assert reply.prompt_tokens == len(rule.tokens(prompt))


@pytest.mark.parametrize("vendor", ["openai", "azure", "gemini", "anthropic", "transformers"])
def test_others_are_refused_where_a_task_begins_the_reply(
    server: Loopback, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_KEY", "0123456789abcdef")
    url = VendorServer(vendor).install(server)
    keys = {"headers": {"api-key": "env:AZURE_KEY"}, "api_version": "2024-10-21"}
    more = keys if vendor == "azure" else {}
    model = ServerModel(spec(server, url=url, context=4096, **more))
    with pytest.raises(PrerequisiteError, match="the server does not continue it"):
        model.check_abilities([Asked("generate", True)])


@pytest.mark.parametrize(
    ("mine", "its", "fits"),
    [
        ((False, False), (False, False), True),
        ((True, False), (True, False), True),
        ((True, False), (False, False), False),  # requests have lists, which it does not take
        ((False, False), (True, False), True),
        ((False, False), (False, True), False),  # requests have system turns
        ((False, True), (False, False), True),
    ],
)
def test_another_server_must_take_the_requests_that_are_made_for_the_first(
    server: Loopback, mine: tuple[bool, bool], its: tuple[bool, bool], fits: bool
) -> None:
    first, other = (ServerModel(spec(server))._asker for _ in range(2))
    for asker, (takes_lists, joins_system) in ((first, mine), (other, its)):
        asker.takes_lists, asker.joins_system = takes_lists, joins_system
    assert first.fits(other) is fits
