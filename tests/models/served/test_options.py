"""Options scored by echo, from a server's lists that may be cut."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ragbench.base.errors import BackendError
from ragbench.base.records import Message
from ragbench.models.served import http
from ragbench.models.served.server import ServerModel
from tests.models.conftest import SMOLLM2
from tests.models.loopback import Loopback, Sent, loopback, spec

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
