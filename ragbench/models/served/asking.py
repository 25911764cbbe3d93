"""One model asked through its servers, and what they are found able to do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from ragbench.base.errors import BackendError, PrerequisiteError
from ragbench.models.endpoint import Endpoint
from ragbench.models.rendering import Turn, without_system
from ragbench.models.served.completions import (
    CHAT,
    TEXT,
    Written,
    chat_request,
    echo_request,
    read_chat,
    read_echo,
    read_text,
    text_request,
)
from ragbench.models.served.http import Client, Refused

# What is sent to see what a server can do; nothing of a task.
SYSTEM: Turn = {"role": "system", "content": "You are asked whether you answer."}
HELLO: Turn = {"role": "user", "content": "Say yes."}
BEGUN = "Yes, yes, yes"
ECHOED, ECHOED_END = "One, two, three,", " four, five."


class Asker:
    """Asks one model of several servers.

    Args:
        client: Knows the servers.
        model: The name that they know.
        is_chat: Whether replies are asked for as a chat's.
        where: The config's place, for messages.
    """

    def __init__(self, client: Client, model: str, *, is_chat: bool, where: str) -> None:
        self._client = client
        self._model = model
        self._is_chat = is_chat
        self._where = where

    def chat(self, turns: Sequence[Turn], begun: str, limit: int) -> Written:
        """Return the reply to turns; the system turn is joined where the server knows none."""
        given = without_system(turns) if self.joins_system else turns
        body = chat_request(self._model, given, begun, limit)
        return read_chat(self._client.ask(CHAT, body).value)

    def text(self, prompt: str, limit: int) -> Written:
        """Return what follows a plain prompt."""
        body = text_request(self._model, prompt, limit)
        return read_text(self._client.ask(TEXT, body).value)

    def echo(self, text: str, endpoint: Endpoint | None = None) -> list[float | None]:
        """Return the natural log-probability of every token of a text; None for the first."""
        body = echo_request(self._model, text, self._beyond)
        answer = self._client.ask(TEXT, body, endpoint=endpoint).value
        return read_echo(answer, generated=self._beyond)

    def one_token(self, model: str, endpoint: Endpoint, retries: int | None = None) -> Written:
        """Return one token of a named model at one server."""
        if self._is_chat:
            body = chat_request(model, [HELLO], "", 1)
            answer = self._client.ask(CHAT, body, endpoint=endpoint, retries=retries)
            return read_chat(answer.value)
        body = text_request(model, HELLO["content"], 1)
        answer = self._client.ask(TEXT, body, endpoint=endpoint, retries=retries)
        return read_text(answer.value)

    @cached_property
    def joins_system(self) -> bool:
        """Whether the server's chat template knows no system turn: the user's then begins with it.

        The rule of a model on this machine, which Gemma's template needs.
        """
        try:
            self._client.ask(CHAT, chat_request(self._model, [SYSTEM, HELLO], "", 1))
        except Refused as error:
            if error.status >= 500:
                raise
            return True
        return False

    @cached_property
    def _beyond(self) -> int:
        """How many tokens are generated beyond an echoed text: 0, or 1 where 0 is refused."""
        body = echo_request(self._model, ECHOED, 0)
        try:
            for endpoint in self._client.endpoints:
                answer = self._client.ask(TEXT, body, endpoint=endpoint, retries=0)
                read_echo(answer.value, generated=0)
        except BackendError:
            return 1
        return 0

    def check_replies(self) -> None:
        """Check that every server replies.

        Raises:
            BackendError: One does not.
        """
        for endpoint in self._client.endpoints:
            self.one_token(self._model, endpoint)
        _ = self._is_chat and self.joins_system

    def check_begun(self) -> None:
        """Check that every server goes on with a begun reply: its prompt lacks the turn's end.

        Raises:
            PrerequisiteError: One refuses, begins another turn, or does not tell.
        """
        begun = chat_request(self._model, [HELLO], BEGUN, 1)
        ended = chat_request(self._model, [HELLO, {"role": "assistant", "content": BEGUN}], "", 1)
        for endpoint in self._client.endpoints:
            why = "it begins another turn, or does not tell the size of the prompt"
            sizes: list[int | None] = []
            try:
                for body in (begun, ended):
                    answer = self._client.ask(CHAT, body, endpoint=endpoint)
                    sizes.append(read_chat(answer.value).prompt_tokens)
            except Refused as error:
                sizes, why = [None], error.what
            if None in sizes or not (sizes[0] or 0) < (sizes[-1] or 0):
                raise PrerequisiteError(
                    f"a task begins the reply, and the server does not go on with it: {why}",
                    where=f"{self._where}, {endpoint.url}",
                    fix="write `format: plain`, or take a server that knows "
                    "`continue_final_message`, such as vLLM or SGLang",
                )

    def check_echo(self) -> None:
        """Check that every server tells the log-probabilities of a prompt.

        Raises:
            PrerequisiteError: One does not.
        """
        for endpoint in self._client.endpoints:
            try:
                short = self.echo(ECHOED, endpoint)
                whole = self.echo(ECHOED + ECHOED_END, endpoint)
                if len(whole) <= len(short):
                    raise BackendError("a longer text has no more tokens")
            except BackendError as error:
                raise PrerequisiteError(
                    f"the server does not tell the log-probabilities of a prompt: {error.what}",
                    where=f"{self._where}, {endpoint.url}",
                    fix="write `scoring: generate`, or take a server that knows `echo` with "
                    "`logprobs`, such as vLLM",
                ) from None
