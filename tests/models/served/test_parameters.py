"""Parameters that servers refuse by name, one at a time, and keys of the config."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from ragbench.base.errors import BackendError, PrerequisiteError
from ragbench.base.modelfacts import ModelFacts
from ragbench.base.records import Message
from ragbench.models.model import Asked
from ragbench.models.served import http
from ragbench.models.served.http import Refused
from ragbench.models.served.parameters import TRACE_ROOM, Parameters
from ragbench.models.served.server import ServerModel
from tests.models.loopback import Loopback, Request, Sent, chat, loopback, spec
from tests.models.vendors import RuleModel, Vendor, VendorServer

CHAT = "/v1/chat/completions"
GENERATE = Asked("generate", False)
TURNS = [Message("user", "Which code stands for gout?")]
BODY = {"model": "m", "max_tokens": 9, "temperature": 0, "seed": 0, "frequency_penalty": 0}
# As OpenAI, Azure, Gemini, Anthropic, Mistral and pydantic's servers word it.
WORDED = {
    "max_tokens": [
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
        "'max_completion_tokens' instead.",
    ],
    "temperature": [
        "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) "
        "value is supported.",
        "`temperature` is deprecated for this model.",
    ],
    "seed": [
        'Invalid JSON payload received. Unknown name "seed": Cannot find field.',
        "body.seed: Extra inputs are not permitted",
        "Unrecognized request argument supplied: seed",
    ],
    "frequency_penalty": ["frequency_penalty: Extra inputs are not permitted"],
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.setattr(http, "pause", lambda _: None)
    with loopback() as running:
        yield running


def refused(what: str, status: int = 400) -> Refused:
    return Refused(f"m answered HTTP {status}: {what}", status=status, where="")


@pytest.mark.parametrize(
    ("name", "what"), [(name, what) for name, texts in WORDED.items() for what in texts]
)
def test_a_refused_parameter_is_left_out_or_has_its_other_name(name: str, what: str) -> None:
    parameters = Parameters({})
    assert parameters.applied(BODY) == BODY
    assert parameters.learn(refused(what), BODY)
    sent = parameters.applied(BODY)
    expected = {key: value for key, value in BODY.items() if key != name}
    if name == "max_tokens":
        assert sent == {**expected, "max_completion_tokens": 9}
        assert parameters.changes == ("max_tokens as max_completion_tokens",)
    else:
        assert sent == expected
        assert parameters.changes == (f"no {name}",)
    assert not parameters.learn(refused(what), BODY)  # once more is an error


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ("max_tokens must be at least 1", 400),  # no word of refusal
        ("This model's maximum context length is 4096 tokens; max_tokens is 5000", 400),
        ("the parameter 'top_k' is not supported", 400),  # ragbench did not send it
        ("seed is not supported", 500),
        ("seed is not supported", 404),
        ("seedling is not supported", 400),
        ("", 400),
    ],
)
def test_nothing_is_changed_by_a_guess(what: str, status: int) -> None:
    parameters = Parameters({})
    assert not parameters.learn(refused(what, status), BODY)
    assert parameters.applied(BODY) == BODY


def test_nothing_changes_after_the_checks() -> None:
    parameters = Parameters({})
    parameters.fix()
    assert not parameters.learn(refused(WORDED["seed"][0]), BODY)


def test_a_check_has_room_for_a_hidden_trace_where_the_limit_has_its_other_name() -> None:
    parameters = Parameters({})
    body: dict[str, Any] = {**BODY, "max_tokens": 1}
    assert parameters.learn(refused(WORDED["max_tokens"][0]), body)
    assert parameters.applied(body)["max_completion_tokens"] == TRACE_ROOM
    parameters.fix()
    assert parameters.applied(body)["max_completion_tokens"] == 1


def test_keys_of_the_config_are_in_every_request(server: Loopback) -> None:
    extra = {"reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}}
    model = ServerModel(spec(server, extra_body=extra))
    model.check_abilities([GENERATE])
    model.generate(model.render(TURNS), limit=5)
    for request in server.asked(CHAT):
        assert request.body["reasoning_effort"] == "low"
        assert request.body["chat_template_kwargs"]["enable_thinking"] is False
    assert model.digest() != ServerModel(spec(server)).digest()
    dated = Parameters(extra).applied({"chat_template_kwargs": {"date_string": "26 Jul 2024"}})
    assert dated["chat_template_kwargs"] == {
        "enable_thinking": False,
        "date_string": "26 Jul 2024",
    }


def test_what_ragbench_sets_is_not_the_configs(server: Loopback) -> None:
    with pytest.raises(ValidationError, match="ragbench sets seed, temperature itself"):
        spec(server, extra_body={"temperature": 1, "seed": 3, "top_k": 5})


@pytest.mark.parametrize(
    ("vendor", "changes", "remark"),
    [
        ("vllm", (), ""),
        ("openai", (), ""),
        (
            "openai-o",
            ("max_tokens as max_completion_tokens", "no temperature"),
            "not greedy: the server fixes the temperature",
        ),
        ("gemini", ("no frequency_penalty", "no seed"), "the server takes none"),
        ("anthropic", (), ""),  # it ignores them
        ("litellm", ("no frequency_penalty", "no seed"), "the server takes none"),
        ("litellm-drop", (), ""),
    ],
)
def test_every_vendor_replies(
    server: Loopback, vendor: Vendor, changes: tuple[str, ...], remark: str
) -> None:
    rule = RuleModel({"Yes": 20.0})
    url = VendorServer(vendor, rule).install(server)
    model = ServerModel(spec(server, url=url, context=4096))
    model.check_abilities([GENERATE])
    assert model.generate(model.render(TURNS), limit=5).text == "Yes"
    served = model.facts().served
    assert served is not None
    assert served.changed_parameters == changes
    assert remark in " ".join(served.remarks())
    facts = model.facts()
    assert ("changed_parameters" in facts.to_json()) == bool(changes)
    assert ModelFacts.from_json(facts.to_json()).served == served


def test_a_limit_that_the_server_ignores_is_an_error(server: Loopback) -> None:
    """It takes ``max_completion_tokens`` without a word, and writes on."""

    def answer(request: Request) -> Sent:
        if "max_tokens" in request.body:
            return Sent({"error": {"message": WORDED["max_tokens"][0]}}, 400)
        return Sent(chat("Yes.") | {"usage": {"prompt_tokens": 9, "completion_tokens": 40}})

    server.answers[CHAT] = answer
    model = ServerModel(spec(server))
    model.check_abilities([GENERATE])
    with pytest.raises(BackendError, match="wrote 40 tokens, more than the limit of 5"):
        model.generate(model.render(TURNS), limit=5)
    assert model.generate(model.render(TURNS), limit=40).tokens == 40


def test_a_reply_whose_trace_took_the_whole_limit_is_cut_and_not_an_error(
    server: Loopback,
) -> None:
    server.script(CHAT, Sent(chat(None, finish="length")))
    reply = ServerModel(spec(server)).generate('[{"role":"user","content":"Hi"}]', limit=3)
    assert (reply.text, reply.finish) == ("", "length")


def test_azure_is_asked_at_its_deployment_with_its_key(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_KEY", "0123456789abcdef")
    url = VendorServer("azure", RuleModel({"Yes": 20.0})).install(server)
    keys: dict[str, Any] = {
        "url": url,
        "context": 4096,
        "headers": {"api-key": "env:AZURE_KEY"},
        "api_version": "2024-10-21",
    }
    model = ServerModel(spec(server, **keys))
    model.check_abilities([GENERATE, Asked("letters", False)])
    assert model.generate(model.render(TURNS), limit=5).text == "Yes"
    assert model.facts().to_json()["letters"] == "chat alone"
    assert {request.headers["api-key"] for request in server.requests} == {"0123456789abcdef"}
    with pytest.raises(PrerequisiteError, match="Access denied"):
        ServerModel(spec(server, **(keys | {"headers": {}}))).check_abilities([GENERATE])
