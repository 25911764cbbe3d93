"""Servers whose chat template writes the day, as vLLM, llama.cpp and others show it or not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment

from ragbench.base.modelfacts import UNPINNED
from ragbench.base.records import Message
from ragbench.models.served.server import ServerModel
from tests.models.local import tiny
from tests.models.loopback import Loopback, Request, Sent, chat, loopback, spec
from tests.models.test_chat_templates import CHATML

CHAT = "/v1/chat/completions"
TURNS = [Message("user", "Which?")]
# What the templates of Llama 3 and of Mistral do.
LLAMA = "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}"
LLAMA += "{% endif %}Today Date: {{ date_string }}\n" + CHATML
MISTRAL = "Today is {{ strftime_now('%Y-%m-%d') }}." + CHATML
SHORT = "{{ strftime_now('%B %-d, %Y') }} " + CHATML


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


def rendered(template: str, request: Request) -> str:
    """Return a request's prompt, rendered as a server does: with today's date unless given one."""
    environment = Environment(autoescape=False)
    environment.globals["strftime_now"] = datetime.now(UTC).strftime
    turns = request.body["messages"]
    kwargs = request.body.get("chat_template_kwargs", {})
    return environment.from_string(template).render(
        messages=turns, add_generation_prompt=True, **kwargs
    )


def serve(server: Loopback, template: str, kind: str) -> None:
    """Let a server have a template, and show prompts as a kind of server does."""

    def size(request: Request) -> Sent:
        return Sent(chat("Yes.", size=len(rendered(template, request))))

    def tokens(request: Request) -> Sent:
        return Sent({"tokens": [ord(c) for c in rendered(template, request)]})

    def prompt(request: Request) -> Sent:
        return Sent({"prompt": "".join(map(chr, request.body["tokens"]))})

    server.answers[CHAT] = size
    if kind == "vllm":
        server.answers |= {"/tokenize": tokens, "/detokenize": prompt}
    if kind == "llama.cpp":
        server.answers["/tokenize"] = lambda _: Sent({"tokens": []})
        server.answers["/apply-template"] = lambda r: Sent({"prompt": rendered(template, r)})


def kwargs_of(server: Loopback, model: ServerModel) -> Any:
    model.generate(model.render(TURNS), limit=9)
    return server.asked(CHAT)[-1].body.get("chat_template_kwargs")


@pytest.mark.parametrize("kind", ["vllm", "llama.cpp"])
@pytest.mark.parametrize(
    ("template", "day"),
    [(LLAMA, "2024-07-26"), (MISTRAL, UNPINNED), (SHORT, UNPINNED), (CHATML, None)],
)
def test_a_server_that_shows_its_prompts_is_seen_to_write_the_day(
    server: Loopback, kind: str, template: str, day: str | None
) -> None:
    serve(server, template, kind)
    model = ServerModel(spec(server))
    assert model.facts().template_day == day
    sent = {"date_string": "26 Jul 2024"} if day == "2024-07-26" else None
    assert kwargs_of(server, model) == sent
    last = server.asked(CHAT)[-1]
    assert ("26 Jul 2024" in rendered(template, last)) == (sent is not None)


@pytest.mark.parametrize(
    ("template", "day"), [(LLAMA, "2024-07-26"), (MISTRAL, UNPINNED), (CHATML, None)]
)
def test_else_the_tokenizers_template_says_so(
    server: Loopback, tmp_path: Path, template: str, day: str | None
) -> None:
    tiny.tokenizer(template).save_pretrained(tmp_path)
    serve(server, template, "other")
    model = ServerModel(spec(server, tokenizer=str(tmp_path)))
    assert model.facts().template_day == day
    unknown = ServerModel(spec(server))
    assert unknown.facts().template_day is None
    # A server that refuses what it does not know writes its own day.
    size = server.answers[CHAT]
    server.answers[CHAT] = lambda request: (
        Sent({"error": "unknown key"}, 400)
        if "chat_template_kwargs" in request.body
        else size(request)
    )
    strict = ServerModel(spec(server, tokenizer=str(tmp_path)))
    assert strict.facts().template_day == (None if day is None else UNPINNED)
    assert kwargs_of(server, strict) is None


def test_the_day_is_the_configs_and_part_of_the_identity(server: Loopback) -> None:
    serve(server, LLAMA, "vllm")
    model, later = ServerModel(spec(server)), ServerModel(spec(server, date="2025-11-03"))
    assert later.facts().template_day == "2025-11-03"
    assert kwargs_of(server, later) == {"date_string": "03 Nov 2025"}
    assert model.digest() != later.digest()
    assert model.digest() == ServerModel(spec(server)).digest()
    plain = spec(server, format="plain")
    asked = len(server.asked("/tokenize"))
    assert ServerModel(plain).facts().template_day is None
    assert len(server.asked("/tokenize")) == asked


def test_two_servers_are_as_good_as_the_worse(server: Loopback) -> None:
    serve(server, LLAMA, "vllm")
    with loopback() as other:
        serve(other, MISTRAL, "vllm")
        both = ServerModel(spec(server, url=[server.url, other.url]))
        assert both.facts().template_day == UNPINNED
