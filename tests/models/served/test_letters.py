"""Letters from one request: the ways that vendors have, against hand arithmetic and echo."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from ragbench.base.errors import BackendError, PrerequisiteError
from ragbench.base.records import Message
from ragbench.models.model import Asked
from ragbench.models.served import http
from ragbench.models.served.server import ServerModel
from tests.models.conftest import SMOLLM2
from tests.models.loopback import Loopback, Request, Sent, loopback, spec
from tests.models.vendors import LIKELY, RuleModel, Vendor, VendorServer

TEXT, CHAT = "/v1/completions", "/v1/chat/completions"
LETTERS = Asked("letters", False)
QUESTIONS = [[Message("user", f"Which is {n}?")] for n in range(6)]
FIXED = {" A": 2.0, " B": 3.0, " C": 1.0, " D": 0.5, "A": 1.0, "B": 2.5, "C": 2.0, "D": 0.5}
ABCD = ("A", "B", "C", "D")


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "pause", lambda _: None)


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


def made(
    server: Loopback, vendor: Vendor, rule: RuleModel | None = None, **keys: object
) -> ServerModel:
    """Return a model behind a vendor's server, its abilities checked."""
    url = VendorServer(vendor, rule or RuleModel()).install(server)
    model = ServerModel(spec(server, url=url, **{"context": 4096, **keys}))
    model.check_abilities([LETTERS])
    server.requests.clear()
    return model


def in_hand(fixed: dict[str, float]) -> tuple[RuleModel, float]:
    """Return a model with these logits and 0 for every other token, and its normaliser.

    The sum of ``exp`` over the vocabulary: the fixed logits, a 1 for each other likely token, and
    ``exp(-4)`` for the class of all others.
    """
    rest = len(LIKELY) - len(fixed)
    total = sum(math.exp(logit) for logit in fixed.values()) + rest + math.exp(-4.0)
    return RuleModel({token: fixed.get(token, 0.0) for token in LIKELY}), math.log(total)


@pytest.mark.parametrize(
    ("vendor", "keys", "rule", "blank"),
    [
        ("vllm", {"format": "plain"}, "logprob_token_ids", " "),
        ("vllm", {}, "logprob_token_ids", ""),
        ("vllm", {"format": "plain", "letters": "completions"}, "completions, then echo", " "),
        ("vllm", {"format": "plain", "letters": "echo"}, "echo", " "),
        ("vllm", {"letters": "chat"}, "chat alone", ""),
        ("llama.cpp", {"format": "plain"}, "completions alone", " "),
        ("llama.cpp", {}, "chat alone", ""),
        ("openai", {}, "chat alone", ""),
        ("ollama", {}, "chat alone", ""),
    ],
)
def test_every_way_gives_the_numbers_of_hand_arithmetic(
    server: Loopback, vendor: Vendor, keys: dict[str, object], rule: str, blank: str
) -> None:
    model, normaliser = in_hand(FIXED)
    served = made(server, vendor, model, **keys)
    assert served.facts().to_json()["letters"] == rule
    scores = served.score_options(served.render(QUESTIONS[0]), ABCD)
    expected = [FIXED[blank + letter] - normaliser for letter in ABCD]
    assert scores.log_likelihoods == pytest.approx(expected, abs=1e-12)
    assert scores.option_tokens == (1, 1, 1, 1)
    asked = [request for request in server.requests if request.path in (TEXT, CHAT)]
    assert len(asked) == 1 == scores.requests
    assert scores.texts == (5 if rule == "echo" else None)


@pytest.mark.parametrize("keys", [{"format": "plain"}, {"tokenizer": SMOLLM2}])
def test_one_request_gives_what_echo_gives(server: Loopback, keys: dict[str, object]) -> None:
    """With letters among the 20 likeliest and without: 8 letters of a vocabulary of 54."""
    rule, unlisted = RuleModel(), 0
    eight = tuple("ABCDEFGH")
    by_echo = made(server, "vllm", rule, letters="echo", **keys)
    prompts = [by_echo.render(question) for question in QUESTIONS]
    echoed = [by_echo.score_options(prompt, eight) for prompt in prompts]
    ways = ["completions"] if "tokenizer" in keys else ["logprob_token_ids", "completions"]
    for way in ways:
        model = made(server, "vllm", rule, letters=way, **keys)
        for prompt, expected in zip(prompts, echoed, strict=True):
            server.requests.clear()
            found = model.score_options(prompt, eight)
            assert found.log_likelihoods == pytest.approx(expected.log_likelihoods, abs=1e-9)
            assert found.prompt_tokens == expected.prompt_tokens
            assert len(server.asked(TEXT)) == found.requests
            assert found.requests == (2 if found.unlisted else 1)
            assert found.texts == (2 + found.unlisted if found.unlisted else None)
            unlisted += found.unlisted
    assert unlisted > 0


@pytest.mark.parametrize("prompts", ["plain", "chat"])
def test_the_letters_tokens_are_asked_for_once_and_not_per_question(
    server: Loopback, prompts: str
) -> None:
    model = made(server, "vllm", format=prompts)
    model.score_options(model.render(QUESTIONS[0]), ABCD)
    server.requests.clear()
    for question in QUESTIONS:
        model.score_options(model.render(question), ABCD)
    assert len(server.requests) == len(QUESTIONS)


def test_letters_below_the_list_are_bounded_where_nothing_echoes(server: Loopback) -> None:
    """The list is 16 tokens, ``B`` and 3 more; A, C and D are less likely than all of them."""
    names = [token for token in LIKELY if token.strip() not in ABCD]
    fixed = dict.fromkeys(names[:16], 5.0) | {" B": 4.0} | dict.fromkeys(names[16:19], 3.0)
    fixed |= {" A": -1.0, " C": -2.0, " D": -1.5}
    rule, normaliser = in_hand(fixed)
    model = made(server, "llama.cpp", rule, format="plain")
    scores = model.score_options("Answer:", ABCD)
    assert scores.log_likelihoods[1] == pytest.approx(4.0 - normaliser, abs=1e-12)
    assert scores.unlisted == 3
    least = 3.0 - normaliser
    for number in (scores.log_likelihoods[n] for n in (0, 2, 3)):
        assert number < least
        assert number == pytest.approx(least, abs=1e-12)


def test_a_question_without_a_listed_letter_is_an_error(server: Loopback) -> None:
    names = [token for token in LIKELY if token.strip() not in ABCD]
    rule, _ = in_hand({token: 5.0 + n / 100 for n, token in enumerate(names[:30])})
    model = made(server, "llama.cpp", rule, format="plain")
    with pytest.raises(BackendError, match="none of the letters is among the 20 likeliest"):
        model.score_options("Answer:", ABCD)


def test_a_letter_of_several_tokens_is_scored_by_echo(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made(server, "vllm", format="plain", letters="completions")
    usual = model.score_options("Answer:", ABCD)
    again = made(server, "vllm", format="plain", letters="completions")
    monkeypatch.setattr(again._letters, "_added", lambda *_: (1, 2))
    found = again.score_options("Answer:", ABCD)
    assert (found.requests, found.texts) == (1, 5)
    assert len(server.asked(TEXT)) == 1
    assert found.log_likelihoods == pytest.approx(usual.log_likelihoods, abs=1e-9)


@pytest.mark.parametrize("vendor", ["gemini", "openai-o"])
def test_a_server_without_log_probabilities_is_refused_with_every_reason(
    server: Loopback, vendor: Vendor
) -> None:
    with pytest.raises(PrerequisiteError, match="does not score letters: ") as caught:
        made(server, vendor)
    for way in ("logprob_token_ids", "completions", "chat", "echo"):
        assert f"{way}: " in caught.value.what
    assert "scoring: generate" in caught.value.fix


def test_a_server_that_ignores_the_numbers_is_not_taken_for_one_that_reads_them(
    server: Loopback,
) -> None:
    """An older vLLM lists the 20 likeliest by number, the letters by chance among them."""
    rule, _ = in_hand({f" {letter}": 3.0 for letter in "ABCDEFGH"})
    url = VendorServer("vllm", rule).install(server)
    usual = server.answers[TEXT]

    def older(request: Request) -> Sent:
        body = {k: v for k, v in request.body.items() if k != "logprob_token_ids"}
        return usual(Request(request.path, body, request.headers))

    server.answers[TEXT] = older
    model = ServerModel(spec(server, url=url, format="plain"))
    model.check_abilities([LETTERS])
    assert model.facts().to_json()["letters"] == "completions, then echo"


def test_the_way_is_in_the_identity_and_echo_is_that_of_older_runs(server: Loopback) -> None:
    digests = {
        way: made(server, "vllm", format="plain", letters=way).digest()
        for way in ("logprob_token_ids", "completions", "echo")
    }
    assert len(set(digests.values())) == 3
    url = VendorServer("vllm").install(server)
    assert ServerModel(spec(server, url=url, format="plain")).digest() == digests["echo"]
