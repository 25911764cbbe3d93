"""Options scored by echo, from a server's lists that may be cut."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ragbench.base.errors import BackendError
from ragbench.base.records import Message
from ragbench.models.model import Asked
from ragbench.models.served import http
from ragbench.models.served.server import ServerModel
from tests.models.conftest import SMOLLM2
from tests.models.loopback import Loopback, Request, Sent, loopback, spec
from tests.models.vendors import Lists, RuleModel, VendorServer

TEXT = "/v1/completions"
TURNS = [Message("system", "Be brief."), Message("user", "Which code stands for gout?")]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.setattr(http, "pause", lambda _: None)
    with loopback() as running:
        yield running


def test_an_option_without_a_token_is_an_error(server: Loopback) -> None:
    numbers = {"token_logprobs": [None]}
    server.script(TEXT, Sent({"choices": [{"logprobs": numbers}], "usage": {"prompt_tokens": 1}}))
    with pytest.raises(BackendError, match="counts no token of the option 'B'"):
        ServerModel(spec(server, format="plain")).score_options("A", ["B"])


def echo_lists(server: Loopback, *sizes: int, told: bool = False) -> None:
    """Let the server give lists of these lengths, one after the other."""
    server.script(
        TEXT,
        *(
            Sent(
                {
                    "choices": [{"logprobs": {"token_logprobs": [None, *[-1.0] * (size - 1)]}}],
                    "usage": {"prompt_tokens": size} if told else None,
                }
            )
            for size in sizes
        ),
    )


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize(
    "sizes",
    [
        (9, 4),  # shorter than the prompt's own list
        (9, 9),  # cut at one length: the option's own tokens are missing
    ],
)
def test_a_list_without_the_options_own_tokens_is_an_error(
    server: Loopback, sizes: tuple[int, int], told: bool
) -> None:
    """A score of the last token in such a list ranks the options by chance."""
    model = ServerModel(spec(server, format="plain"))
    echo_lists(server, 5)
    assert model._asker._beyond == 0
    echo_lists(server, *sizes, told=told)
    with pytest.raises(BackendError, match=f"{sizes[1]} tokens of the prompt with the option"):
        model.score_options("Answer:", ["yes"])


def test_a_short_option_may_be_one_token_with_the_end_of_the_prompt(server: Loopback) -> None:
    model = ServerModel(spec(server, tokenizer=SMOLLM2))
    echo_lists(server, 5)
    assert model._asker._beyond == 0
    echo_lists(server, 9, 9)
    assert model.score_options(model.render(TURNS), ["B"]).option_tokens == (1,)


OPTIONS = ["Yes", "No we do not", "It is"]


def scoring(server: Loopback, lists: Lists) -> ServerModel:
    url = VendorServer("vllm", RuleModel(), lists=lists).install(server)
    model = ServerModel(spec(server, url=url, format="plain", retries=0))
    model.check_abilities([Asked("options", False)])
    server.requests.clear()
    return model


@pytest.mark.parametrize("lists", ["refused", "misplaced", "without index", "first alone"])
def test_a_server_that_misplaces_a_list_of_texts_is_asked_text_by_text(
    server: Loopback, lists: Lists
) -> None:
    """Its numbers under the wrong option would be a wrong pick without an error."""
    together = scoring(server, "any order").score_options("Answer:", OPTIONS)
    assert len(server.requests) == 1
    apart = scoring(server, lists).score_options("Answer:", OPTIONS)
    assert len(server.requests) == 4
    assert (together.requests, together.texts) == (1, 4)
    assert (apart.requests, apart.texts) == (None, None)
    assert together.log_likelihoods == apart.log_likelihoods
    assert together.option_tokens == apart.option_tokens == (1, 4, 2)
    assert together.prompt_tokens == apart.prompt_tokens


@pytest.mark.parametrize("lists", ["misplaced", "without index", "first alone"])
def test_a_list_that_is_broken_later_is_an_error_or_seen_by_its_lengths(
    server: Loopback, lists: Lists
) -> None:
    model = scoring(server, "any order")
    VendorServer("vllm", RuleModel(), lists=lists).install(server)
    with pytest.raises(BackendError, match=r"one choice per text|tokens of the prompt with the"):
        model.score_options("Answer:", OPTIONS)


def test_a_list_that_is_refused_later_is_sent_text_by_text(server: Loopback) -> None:
    model = scoring(server, "any order")
    expected = model.score_options("Answer:", OPTIONS)
    VendorServer("vllm", RuleModel(), lists="refused").install(server)
    server.requests.clear()
    found = model.score_options("Answer:", OPTIONS)
    assert found.log_likelihoods == expected.log_likelihoods
    assert (len(server.requests), found.requests, found.texts) == (5, None, None)


def test_one_of_two_servers_without_lists_is_enough_to_ask_text_by_text(server: Loopback) -> None:
    with loopback() as other:
        urls = [
            VendorServer("vllm", RuleModel()).install(server),
            VendorServer("vllm", RuleModel(), lists="refused").install(other),
        ]
        model = ServerModel(spec(server, url=urls, format="plain", retries=0))
        model.check_abilities([Asked("options", False)])
        assert not model.facts().to_json().get("takes_lists", False)


def test_a_list_has_the_tokens_after_the_texts_in_all_of_them_or_in_none(
    server: Loopback,
) -> None:
    """A server that refuses `max_tokens: 0` writes a token after each text."""
    vendor = VendorServer("vllm", RuleModel())
    url = vendor.install(server)
    usual = server.answers[TEXT]

    def refusing(request: Request) -> Sent:
        if request.body.get("max_tokens") == 0:
            return Sent({"error": {"message": "max_tokens must be at least 1"}}, 400)
        return usual(request)

    server.answers[TEXT] = refusing
    model = ServerModel(spec(server, url=url, format="plain", retries=0))
    model.check_abilities([Asked("options", False)])
    found = model.score_options("Answer:", OPTIONS)
    assert (found.requests, found.option_tokens) == (1, (1, 4, 2))
    expected = scoring(server, "any order").score_options("Answer:", OPTIONS)
    assert found.log_likelihoods == pytest.approx(expected.log_likelihoods, abs=1e-12)
