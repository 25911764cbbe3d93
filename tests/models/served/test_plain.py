"""Servers that write plain prompts into a template, or have none, are refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ragbench.base.errors import PrerequisiteError
from ragbench.base.records import Scoring
from ragbench.models.model import Asked
from ragbench.models.served.server import ServerModel
from tests.models.loopback import Loopback, Sent, loopback, spec, text
from tests.models.vendors import VendorServer

TEXT = "/v1/completions"


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


def check(server: Loopback, url: str = "", scoring: Scoring = "generate") -> None:
    more = {"url": url} if url else {}
    model = ServerModel(spec(server, format="plain", context=4096, retries=0, **more))
    model.check_abilities([Asked(scoring, False)])


@pytest.mark.parametrize("vendor", ["vllm", "sglang", "llama.cpp", "lmstudio", "transformers"])
def test_a_prompt_of_one_letter_has_one_token(server: Loopback, vendor: str) -> None:
    check(server, VendorServer(vendor).install(server))


@pytest.mark.parametrize("scoring", ["generate", "letters", "options"])
def test_a_templated_prompt_is_refused_whatever_is_scored(
    server: Loopback, scoring: Scoring
) -> None:
    """``[user]`` and ``[assistant]`` have 3 tokens each, ``a`` and the 3 line breaks 1 each: 10."""
    url = VendorServer("ollama").install(server)
    with pytest.raises(PrerequisiteError, match="the prompt 'a', which has 10 tokens") as caught:
        check(server, url, scoring)
    assert caught.value.fix == "remove `format: plain`"


def test_a_server_without_plain_prompts_is_refused(server: Loopback) -> None:
    url = VendorServer("openai").install(server)
    with pytest.raises(PrerequisiteError, match="This is a chat model") as caught:
        check(server, url)
    assert caught.value.fix == "remove `format: plain`"


def test_a_server_that_does_not_count_is_taken_at_its_word(server: Loopback) -> None:
    """It reports 7 tokens of every prompt, or none."""
    check(server)
    server.script(TEXT, Sent(text(" yes") | {"usage": {}}))
    check(server)


def test_every_server_of_a_model_is_checked(server: Loopback) -> None:
    good = VendorServer("llama.cpp").install(server)
    with loopback() as other:
        bad = VendorServer("ollama").install(other)
        model = ServerModel(spec(server, format="plain", context=4096, url=[good, bad]))
        with pytest.raises(PrerequisiteError, match="does not continue plain prompts") as caught:
            model.check_abilities([Asked("generate", False)])
    assert bad in caught.value.where
