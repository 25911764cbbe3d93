"""Models behind servers: prompts, log-likelihoods, replies, and what is checked before them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ragbench.base.errors import BackendError, PrerequisiteError, UsageError
from ragbench.base.records import Message
from ragbench.models import models
from ragbench.models.local.hf import HfModel
from ragbench.models.model import Asked, Checked, Model
from ragbench.models.served import http
from ragbench.models.served.server import ServerModel
from tests.models.conftest import SMOLLM2
from tests.models.loopback import MODEL, Loopback, Request, Sent, chat, loopback, spec, text
from tests.models.vendors import VendorServer

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


def echo_of(model: HfModel) -> Callable[[Request], Sent]:
    """Answer as vLLM does where ``echo`` and ``logprobs`` are asked for, with a real model.

    The numbers are those of one forward pass over the whole text, without the cache that
    ``HfModel.score_options`` shares among options.
    """
    import torch

    def answer(request: Request) -> Sent:
        body = request.body
        ids = model._tokenizer(body["prompt"]).input_ids
        with torch.inference_mode():
            logits = model._model(input_ids=torch.tensor([ids])).logits[0].double()
        logged = torch.log_softmax(logits, dim=-1)
        of_prompt = [float(logged[i, ids[i + 1]]) for i in range(len(ids) - 1)]
        numbers = [None, *of_prompt, *[float(logged[-1].max())] * body["max_tokens"]]
        choice = {"text": body["prompt"], "logprobs": {"token_logprobs": numbers}}
        usage = {"prompt_tokens": len(ids), "completion_tokens": 1}
        return Sent({"choices": [choice], "usage": usage})

    return answer


def test_it_keeps_the_protocol_and_connects_to_nobody_when_it_is_made(server: Loopback) -> None:
    made = ServerModel(spec(server))
    model: Model = made  # checked by mypy
    assert isinstance(model, models.get("server"))
    assert isinstance(model, Checked)
    model.render(TURNS)
    model.count_tokens("scurvy")
    assert server.requests == []


def test_a_chat_prompt_is_its_turns(server: Loopback) -> None:
    model = ServerModel(spec(server))
    assert model.render(TURNS) == (
        '[{"role":"system","content":"Be brief."},'
        '{"role":"user","content":"Which code stands for gout?"}]'
    )
    begun = model.render([*TURNS, Message("assistant", "M")])
    assert json.loads(begun)[-1] == {"role": "assistant", "content": "M"}
    assert model.continuation("M10.9") == "M10.9"


def test_a_plain_prompt_is_that_of_a_model_of_this_machine(
    server: Loopback, plain: HfModel
) -> None:
    turns = [*TURNS, Message("assistant", "M10"), Message("user", "And <|im_end|>scurvy?")]
    for tokenizer in (SMOLLM2, None):
        model = ServerModel(spec(server, format="plain", tokenizer=tokenizer))
        for messages in (turns, [*turns, Message("assistant", "Code: ")]):
            assert model.render(messages) == plain.render(messages)
        assert model.continuation("M10.9") == plain.continuation("M10.9")


def test_a_passage_ends_no_turn(server: Loopback) -> None:
    passage = [Message("user", "Text.<|eot_id|><|im_end|>[/INST]</s>")]
    assert not any(t in ServerModel(spec(server)).render(passage) for t in ("<|eot", "</s>", "[/I"))
    own = ServerModel(spec(server, tokenizer=SMOLLM2)).render(passage)
    assert "<|im_end|>" not in own
    assert "<|eot_id|>" in own  # no control token of this tokenizer


def test_a_reply_is_asked_for_greedily(server: Loopback) -> None:
    server.script(CHAT, Sent(chat("B.", finish="length", reasoning_content="Hm.")))
    model = ServerModel(spec(server))
    reply = model.generate(model.render(TURNS), limit=33)
    assert (reply.text, reply.finish) == ("<think>Hm.</think>B.", "length")
    assert (reply.tokens, reply.prompt_tokens) == (3, 9)
    body = server.requests[-1].body
    assert (body["model"], body["max_tokens"], body["temperature"]) == (MODEL, 33, 0)
    assert body["messages"] == [{"role": m.role, "content": m.content} for m in TURNS]


def test_a_plain_reply_follows_the_text(server: Loopback) -> None:
    model = ServerModel(spec(server, format="plain"))
    prompt = model.render(TURNS)
    assert model.generate(prompt, limit=5).text == " yes"
    (request,) = server.requests
    assert (request.path, request.body["prompt"]) == (TEXT, prompt)


def test_tokens_are_counted_where_the_server_does_not(server: Loopback) -> None:
    server.script(TEXT, Sent({"choices": [{"text": " M10.9"}]}))
    model = ServerModel(spec(server, format="plain"))
    reply = model.generate("Answer:", limit=5)
    assert (reply.tokens, reply.prompt_tokens) == (3, 4)


@pytest.mark.parametrize(
    "sent",
    [
        Sent(b"<html>busy</html>"),
        Sent(b'{"choices": [{"text": "B", "mess'),
        Sent(b'{"choices": [', claimed=500),
        Sent({}),
        Sent({"choices": []}),
        Sent(chat(None)),
        Sent(text(None)),
        Sent({}, 500),
        Sent({}, 400),
        Sent({}, 429, {"retry-after": "1"}),
        Sent({}, 302, {"location": "https://evil.example.org"}),
    ],
)
@pytest.mark.parametrize("prompts", ["chat", pytest.param("plain", marks=pytest.mark.slow)])
def test_no_fault_is_a_reply_or_a_score(server: Loopback, sent: Sent, prompts: str) -> None:
    model = ServerModel(spec(server, format=prompts, tokenizer=SMOLLM2))
    prompt = model.render(TURNS)
    _ = model._asker.joins_system
    server.script(CHAT, sent)
    server.script(TEXT, sent)
    with pytest.raises(BackendError):
        model.generate(prompt, limit=5)
    with pytest.raises(BackendError):
        model.score_options(prompt, ["yes", "no"])


@pytest.mark.parametrize("refuses_zero", [pytest.param(False, marks=pytest.mark.slow), True])
def test_log_likelihoods_are_those_of_the_model_itself(
    server: Loopback, smollm2: HfModel, plain: HfModel, refuses_zero: bool
) -> None:
    """Over the wire with lm-eval's rule, and in this process: chat and plain, begun and not."""
    answer = echo_of(smollm2)

    def some(request: Request) -> Sent:
        zero = request.body["max_tokens"] == 0
        return Sent({"message": "at least 1"}, 400) if zero and refuses_zero else answer(request)

    server.answers[TEXT] = some
    options = ("M10.9", "gout, unspecified", "E")
    for own, keys in ((smollm2, {"tokenizer": SMOLLM2}), (plain, {"format": "plain"})):
        model = ServerModel(spec(server, **keys))
        model.check_abilities([OPTIONS])
        for messages in (TURNS, [*TURNS, Message("assistant", "The code:")]):
            found = model.score_options(model.render(messages), options)
            expected = own.score_options(own.render(messages), options)
            assert found.log_likelihoods == pytest.approx(expected.log_likelihoods, abs=2e-3)
            assert found.option_tokens == expected.option_tokens
            assert found.prompt_tokens == expected.prompt_tokens


def test_options_of_a_chat_need_its_template(server: Loopback) -> None:
    """The advice is a tokenizer only where the server echoes, since it helps nowhere else."""
    for asked in (Asked("letters", False), OPTIONS):
        with pytest.raises(PrerequisiteError, match="log-probabilities") as caught:
            ServerModel(spec(server)).check_abilities([asked])
        assert "tokenizer" not in caught.value.fix
    VendorServer("vllm").install(server)
    del server.answers["/tokenize"]
    server.script("/v1/chat/completions", Sent(chat("Yes.")))  # no list of tokens
    for asked in (Asked("letters", False), OPTIONS):
        with pytest.raises(PrerequisiteError, match="chat template") as caught:
            ServerModel(spec(server)).check_abilities([asked])
        assert "`tokenizer`" in caught.value.fix


def test_the_context_is_the_configs_or_the_servers(server: Loopback) -> None:
    assert ServerModel(spec(server)).context_tokens == 4096
    model = ServerModel(spec(server, context=2048))
    assert (model.context_tokens, len(server.asked("/v1/models"))) == (2048, 1)
    with pytest.raises(UsageError, match="takes 4,096 tokens, fewer than `context`"):
        ServerModel(spec(server, context=8192)).check_abilities([GENERATE])
    server.script("/v1/models", Sent({"data": [{"id": MODEL}]}))
    assert ServerModel(spec(server, context=8192)).facts().context_tokens == 8192
    with pytest.raises(UsageError, match="does not report how many tokens") as caught:
        ServerModel(spec(server)).check_abilities([GENERATE])
    assert "context:" in caught.value.fix


def test_identity_is_what_is_told_and_not_where(server: Loopback) -> None:
    first = ServerModel(spec(server))
    with loopback() as other:
        other.script("/v1/models", Sent({"data": [{"id": MODEL, "max_model_len": 2048}]}))
        ways = {"concurrency": 9, "timeout_s": 3, "retries": 0, "patience_s": 0}
        url = other.url.replace("http://127.0.0.1", "HTTP://127.0.0.1") + "/"
        elsewhere = spec(other, name="another", url=url, **ways)
        assert ServerModel(elsewhere).digest() == first.digest()
        other.script("/v1/models", Sent({"data": [{"id": MODEL, "root": "/other"}]}))
        assert ServerModel(elsewhere).digest() != first.digest()
    digests = {ServerModel(spec(server, **k)).digest() for k in ({}, {"format": "plain"})}
    assert len(digests | {ServerModel(spec(server, tokenizer=SMOLLM2)).digest()}) == 3


def test_facts_say_what_is_not_known(server: Loopback) -> None:
    facts = ServerModel(spec(server)).facts().to_json()
    assert facts["weights"] == f"{MODEL}, not verified"
    assert facts["tokens"] == "estimated: one for every 2 bytes of UTF-8"
    assert facts["told"] == {"id": MODEL, "root": "", "max_model_len": 4096}
    assert facts["server"] == "loopback/1"
    assert (facts["format"], facts["dtype"]) == ("chat", "as served")
    assert json.dumps(facts)


def test_a_released_model_answers_again(server: Loopback) -> None:
    model = ServerModel(spec(server, format="plain"))
    model.generate("A", limit=1)
    model.release()
    assert model.generate("A", limit=1).text == " yes"


def test_defaults(server: Loopback) -> None:
    made = ServerModel(spec(server))
    assert made.concurrency == 32
    keys: dict[str, Any] = {"concurrency": 7}
    assert ServerModel(spec(server, **keys)).concurrency == 7
    keys["url"] = [server.url, "http://localhost:1/v1"]  # of each server
    assert ServerModel(spec(server, **keys)).concurrency == 14
