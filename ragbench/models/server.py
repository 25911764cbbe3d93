"""Models behind any server that speaks OpenAI's API: vLLM, SGLang, llama.cpp and others."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from functools import cached_property

from ragbench.errors import BackendError, PrerequisiteError, UsageError
from ragbench.files import sha256_json, sha256_text
from ragbench.models.completions import (
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
from ragbench.models.counting import TokenCounter
from ragbench.models.endpoint import Endpoint
from ragbench.models.http import Client, Refused
from ragbench.models.model import Asked, ModelSpec
from ragbench.models.rendering import Turn, chat_text, plain_text, turns_of, without_system
from ragbench.models.served import Served, ask_served, unusable
from ragbench.records import Message, OptionScores, Reply

CONCURRENCY, TIMEOUT_S, RETRIES = 4, 600.0, 4
AS_SERVED = "as served"
SYSTEM: Turn = {"role": "system", "content": "You are asked whether you answer."}
HELLO: Turn = {"role": "user", "content": "Say yes."}
BEGUN = "Yes, yes, yes"
ECHOED, ECHOED_END = "One, two, three,", " four, five."


class ServerModel:
    """A model behind one or several servers; it connects when it is first asked.

    What the server runs cannot be verified: not the weights, nor their number format, nor the
    chat template. The identity holds what is told.

    Args:
        spec: The config's entry.

    Raises:
        PrerequisiteError: The tokenizer cannot be had.
        UsageError: ``api_key_env`` is not the name of a variable.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.is_chat = spec.format != "plain"
        self.concurrency = spec.concurrency or CONCURRENCY
        self._where = f"models: {spec.name}"
        self._model = spec.model or ""
        self._client = Client(
            spec.name,
            spec.endpoints,
            timeout_s=spec.timeout_s or TIMEOUT_S,
            retries=RETRIES if spec.retries is None else spec.retries,
            connections=self.concurrency,
            key_env=spec.api_key_env,
        )
        self._counter = TokenCounter(spec.tokenizer, where=self._where)

    @cached_property
    def served(self) -> Served:
        """What the servers tell; the first contact with them."""
        told = ask_served(self._client, self._model, where=self._where, probe=self._one_token)
        asked = self.spec.context
        if asked is not None and told.context is not None and asked > told.context:
            raise UsageError(
                f"the server takes {told.context:,} tokens, fewer than `context` says",
                where=f"{self._where}: context: {asked}",
                fix="leave `context` out",
            )
        return told

    @cached_property
    def context_tokens(self) -> int:
        """How many tokens the model takes: what the config says, or else the server."""
        found = self.spec.context or self.served.context
        if found is None:
            raise UsageError(
                f"the server does not tell how many tokens {self._model!r} takes",
                where=self._where,
                fix="write `context: 8192`, or what the model takes",
            )
        return found

    def digest(self) -> str:
        """Return the identity of what the server tells, of format and tokenizer; not of URLs."""
        return sha256_json(
            {
                "served as": self._model,
                "told": self.served.identity,
                "format": self._format,
                "tokenizer": self._counter.digest,
            }
        )

    @property
    def _format(self) -> str:
        return "chat" if self.is_chat else "plain"

    def facts(self) -> dict[str, object]:
        """Return what the run folder records of the model."""
        template = self._counter.template if self.is_chat else None
        return {
            "digest": self.digest(),
            "weights": f"{self._model}, not verified",
            "dtype": AS_SERVED,
            "device": AS_SERVED,
            "format": self._format,
            "chat_template_digest": sha256_text(template) if template else None,
            "context_tokens": self.context_tokens,
            "told": self.served.identity,
            "server": self.served.server,
            "tokens": self._counter.rule,
            "tokenizer_digest": self._counter.digest,
            "parameters": None,
        }

    def render(self, messages: Sequence[Message]) -> str:
        """Return the prompt as it is kept: a plain text, or the turns of a chat as JSON.

        Args:
            messages: The turns. A last turn of the assistant is what its reply is begun with.

        Returns:
            Of a chat, one JSON list of ``role`` and ``content``; its markup is the server's.
            Control tokens that a content spells out are broken by a blank: the tokenizer's, or
            where there is none those of the usual families.
        """
        turns, begun = turns_of(messages, self._counter.control)
        if not self.is_chat:
            return plain_text(turns, begun)
        if begun:
            turns.append({"role": "assistant", "content": begun})
        return json.dumps(turns, ensure_ascii=False, separators=(",", ":"))

    def continuation(self, option: str) -> str:
        """Return an option as it follows the prompt: after a blank for plain models."""
        return option if self.is_chat else " " + option

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has, special tokens apart."""
        return self._counter.count(text)

    def release(self) -> None:
        """Close the connections."""
        self._client.close()

    def check_abilities(self, asked: Collection[Asked]) -> None:
        """Refuse what the servers cannot do, before the first question; sends no text of a task.

        Args:
            asked: What the tasks ask.

        Raises:
            PrerequisiteError: A server cannot be reached, does not know the model, does not go on
                with a begun reply, or does not tell the log-probabilities of a prompt.
            UsageError: The context is not known.
        """
        _ = self.served, self.context_tokens
        try:
            if any(each.scoring == "generate" for each in asked):
                self._check_replies(any(a.begun for a in asked if a.scoring == "generate"))
            if any(each.scoring != "generate" for each in asked):
                self._check_log_likelihoods()
        except BackendError as error:
            raise unusable(error, self._where) from None

    def _check_replies(self, begun: bool) -> None:
        for endpoint in self._client.endpoints:
            self._one_token(self._model, endpoint)
        _ = self._joins_system
        if begun and self.is_chat:
            for endpoint in self._client.endpoints:
                self._check_begun(endpoint)

    def _one_token(self, model: str, endpoint: Endpoint, retries: int | None = None) -> Written:
        if self.is_chat:
            body = chat_request(model, [HELLO], "", 1)
            answer = self._client.ask(CHAT, body, endpoint=endpoint, retries=retries)
            return read_chat(answer.value)
        body = text_request(model, HELLO["content"], 1)
        answer = self._client.ask(TEXT, body, endpoint=endpoint, retries=retries)
        return read_text(answer.value)

    @cached_property
    def _joins_system(self) -> bool:
        """Whether the server's chat template knows no system turn: the user's then begins with it.

        Source: the rule of ``HfModel.render``, which Gemma's template needs.
        """
        if not self.is_chat:
            return False
        try:
            self._client.ask(CHAT, chat_request(self._model, [SYSTEM, HELLO], "", 1))
        except Refused as error:
            if error.status >= 500:
                raise
            return True
        return False

    def _check_begun(self, endpoint: Endpoint) -> None:
        """Check that a begun reply is gone on with: its prompt then lacks the turn's end."""
        begun = chat_request(self._model, [HELLO], BEGUN, 1)
        ended = chat_request(self._model, [HELLO, {"role": "assistant", "content": BEGUN}], "", 1)
        try:
            sizes = [
                read_chat(self._client.ask(CHAT, body, endpoint=endpoint).value).prompt_tokens
                for body in (begun, ended)
            ]
        except Refused as error:
            sizes, why = [], error.what
        else:
            why = "it starts another turn, or does not tell the size of the prompt"
        if not sizes or sizes[0] is None or sizes[1] is None or sizes[0] >= sizes[1]:
            raise PrerequisiteError(
                f"a task begins the reply, and the server does not go on with it: {why}",
                where=f"{self._where}, {endpoint.url}",
                fix="write `format: plain`, or take a server that knows `continue_final_message`, "
                "such as vLLM or SGLang",
            )

    def _check_log_likelihoods(self) -> None:
        if self.is_chat and self._counter.template is None:
            raise PrerequisiteError(
                "options of a chat are scored as a text in the model's chat template, which is "
                "not here",
                where=self._where,
                fix="give the model's `tokenizer`, or write `format: plain` or `scoring: generate`",
            )
        for endpoint in self._client.endpoints:
            try:
                short = self._echo(ECHOED, endpoint)
                whole = self._echo(ECHOED + ECHOED_END, endpoint)
                if len(whole) <= len(short):
                    raise BackendError("a longer text has no more tokens")
            except BackendError as error:
                raise PrerequisiteError(
                    f"the server does not tell the log-probabilities of a prompt: {error.what}",
                    where=f"{self._where}, {endpoint.url}",
                    fix="write `scoring: generate`, or take a server that knows `echo` with "
                    "`logprobs`, such as vLLM",
                ) from None

    @cached_property
    def _beyond(self) -> int:
        """How many tokens are generated beyond an echoed text: 0, or 1 where 0 is refused."""
        try:
            for endpoint in self._client.endpoints:
                body = echo_request(self._model, ECHOED, 0)
                answer = self._client.ask(TEXT, body, endpoint=endpoint, retries=0)
                read_echo(answer.value, generated=0)
        except BackendError:
            return 1
        return 0

    def _echo(self, text: str, endpoint: Endpoint | None = None) -> list[float | None]:
        body = echo_request(self._model, text, self._beyond)
        answer = self._client.ask(TEXT, body, endpoint=endpoint).value
        return read_echo(answer, generated=self._beyond)

    def score_options(self, prompt: str, options: Sequence[str]) -> OptionScores:
        """Return the log-likelihood of each option as the reply to a rendered prompt.

        Prompt and option are sent as one text, which the server tokenises together, and the
        option's tokens are those after as many as the prompt alone has: lm-eval's rule. The
        prompt's are counted by the server too, in a request of its own; text offsets are not
        read, for servers count special and partial characters in them differently. A chat's
        text is made with the chat template of ``tokenizer``.

        Args:
            prompt: A rendered prompt.
            options: The option texts.

        Returns:
            Sums of natural log-probabilities, with token counts and seconds.

        Raises:
            BackendError: A server failed, or does not tell all of them.
        """
        started = time.perf_counter()
        text = prompt
        if self.is_chat:
            turns, begun = self._turns(prompt)
            text = self._counter.without_first(chat_text(self._counter.tokenizer, turns, begun))
        alone = len(self._echo(text))
        sums, sizes = [], []
        for option in options:
            numbers = self._echo(text + self.continuation(option))
            own = numbers[max(1, min(alone, len(numbers) - 1)) :]
            if not own:
                raise BackendError(f"the server counts no token of the option {option!r}")
            sums.append(sum(number or 0.0 for number in own))
            sizes.append(len(own))
        return OptionScores(tuple(sums), tuple(sizes), alone, time.perf_counter() - started)

    def _turns(self, prompt: str) -> tuple[list[Turn], str]:
        turns: list[Turn] = json.loads(prompt)
        begun = turns.pop()["content"] if turns[-1]["role"] == "assistant" else ""
        return turns, begun

    def generate(self, prompt: str, *, limit: int) -> Reply:
        """Return the model's own reply to a rendered prompt, at temperature 0.

        Args:
            prompt: A rendered prompt.
            limit: The most tokens of the reply.

        Returns:
            The reply; its tokens and the prompt's are the server's, or else counted here.

        Raises:
            BackendError: A server failed, or answered without a reply.
        """
        started = time.perf_counter()
        if self.is_chat:
            turns, begun = self._turns(prompt)
            turns = without_system(turns) if self._joins_system else turns
            body = chat_request(self._model, turns, begun, limit)
            found = read_chat(self._client.ask(CHAT, body).value)
        else:
            body = text_request(self._model, prompt, limit)
            found = read_text(self._client.ask(TEXT, body).value)
        return Reply(
            text=found.text,
            tokens=self.count_tokens(found.text) if found.tokens is None else found.tokens,
            finish=found.finish,
            prompt_tokens=self.count_tokens(prompt)
            if found.prompt_tokens is None
            else found.prompt_tokens,
            elapsed_s=time.perf_counter() - started,
        )
