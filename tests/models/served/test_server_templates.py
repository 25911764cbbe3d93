"""Chat templates of models behind servers: where options start, and traces that prompts open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ragbench.base.records import Message
from ragbench.models.served.server import ServerModel
from tests.models.local import tiny
from tests.models.loopback import Loopback, Request, Sent, chat, loopback, spec
from tests.models.served.test_server import echo_of
from tests.models.test_chat_templates import BLANKS, CHATML, INST, QWEN3, THINKS

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
TURNS = [Message("user", "Which?"), Message("assistant", "A"), Message("user", "Which then?")]


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


@pytest.mark.parametrize("spells", [True, False])
@pytest.mark.parametrize("kind", [CHATML, INST, QWEN3, THINKS])
def test_options_start_as_those_of_a_local_model(
    server: Loopback, tmp_path: Path, kind: str, spells: bool
) -> None:
    """By the server's own tokens where it gives them, else by those of the tokenizer."""
    local = tiny.load(tiny.llama(tmp_path, tiny.tokenizer(kind, BLANKS)))
    numbers = echo_of(local)

    def answer(request: Request) -> Sent:
        sent = numbers(request)
        assert isinstance(sent.content, dict)
        if spells:
            tokens = local._tokenizer.tokenize(request.body["prompt"])
            sent.content["choices"][0]["logprobs"]["tokens"] = tokens
        return sent

    server.answers[TEXT] = answer
    model = ServerModel(spec(server, tokenizer=str(tmp_path)))
    for messages in (TURNS, [*TURNS, Message("assistant", "It is ")]):
        found = model.score_options(model.render(messages), ["A", "B", "CD"])
        expected = local.score_options(local.render(messages), ["A", "B", "CD"])
        assert found.option_tokens == expected.option_tokens
        assert found.log_likelihoods == pytest.approx(expected.log_likelihoods, abs=1e-3)
    assert model.continuation("A") == local.continuation("A")


def test_a_reply_says_which_trace_its_prompt_opened(server: Loopback, tmp_path: Path) -> None:
    tiny.llama(tmp_path, tiny.tokenizer(THINKS))
    model = ServerModel(spec(server, tokenizer=str(tmp_path)))
    prompt = model.render(TURNS)
    server.script(CHAT, Sent(chat("Hm. The answer is")))
    assert model.generate(prompt, limit=9).opened == "<think>"
    # A server that splits the trace off gives it apart.
    server.script(CHAT, Sent(chat("B", reasoning_content="Hm.")))
    reply = model.generate(prompt, limit=9)
    assert (reply.text, reply.opened) == ("<think>Hm.</think>B", "")
    assert ServerModel(spec(server)).generate(prompt, limit=9).opened == ""
