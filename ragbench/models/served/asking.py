"""Requests to the servers of one model, and checks of their abilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

from ragbench.base.endpoint import Endpoint
from ragbench.base.errors import BackendError, FilteredError, PrerequisiteError
from ragbench.models.rendering import Turn, without_system
from ragbench.models.served.completions import (
    CHAT,
    CONTINUED,
    TEMPLATED,
    TEXT,
    TOKENIZE,
    Echoes,
    Written,
    chat_request,
    echo_request,
    read_all,
    read_chat,
    read_echo,
    read_text,
    text_request,
)
from ragbench.models.served.firsttoken import FirstToken, chat_wishes, read_first, text_wishes
from ragbench.models.served.http import Answer, Client, Refused, is_filtered
from ragbench.models.served.parameters import TRACE_ROOM, Parameters
from ragbench.models.served.served import Served, check_same

# Texts for checks of abilities; none is from a task.
SYSTEM: Turn = {"role": "system", "content": "You are asked whether you answer."}
HELLO: Turn = {"role": "user", "content": "Say yes."}
LONGER = " Words that lengthen a turn by more tokens than any rounding hides." * 2
SAID: Turn = {"role": "assistant", "content": "Yes."}
REPLY_START = "Yes, yes, yes"
ECHOED, ECHOED_END = "One, two, three,", " four, five."


class Asker:
    """Asks several servers for one model, by the name that they know."""

    def __init__(
        self,
        client: Client,
        model: str,
        *,
        is_chat: bool,
        where: str,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self._client = client
        self.parameters = Parameters(extra or {})
        self.model = model
        self.takes_lists = False
        self._is_chat = is_chat
        self._where = where

    def wait_out_outages(self, served: Served) -> None:
        """Wait for servers that are away from now on, until they serve the same model again."""
        client = self._client.impatient()
        polls = Asker(client, self.model, is_chat=self._is_chat, where=self._where)
        polls.parameters = self.parameters
        check = partial(
            check_same,
            client=client,
            model=self.model,
            before=served,
            where=self._where,
            probe=polls.one_token,
        )
        self._client.outages.begin(check)

    def _ask(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        endpoint: Endpoint | None = None,
        retries: int | None = None,
    ) -> Answer:
        """Return the answer to a request, with the parameters that the server takes."""
        while True:
            sent = self.parameters.applied(body)
            try:
                return self._client.ask(path, sent, endpoint=endpoint, retries=retries)
            except Refused as error:
                if not self.parameters.learn(error, body):
                    raise

    def chat(
        self, turns: Sequence[Turn], reply_start: str, limit: int, *, date_string: str = ""
    ) -> Written:
        """Return the reply to turns; the system turn is joined if the server supports none.

        A content filter's refusal is a reply; the beginning of a reply that the server repeats
        before its continuation, as llama.cpp does, is removed.
        """
        given = without_system(turns) if self.joins_system else turns
        body = chat_request(self.model, given, reply_start, limit, date_string=date_string)
        try:
            found = read_chat(self._ask(CHAT, body), limit=limit)
        except Refused as error:
            if not is_filtered(error):
                raise
            return Written("", "filtered", 0, None, None)
        text = found.text.removeprefix(reply_start) if reply_start else found.text
        return replace(found, text=text)

    def text(self, prompt: str, limit: int, endpoint: Endpoint | None = None) -> Written:
        """Return the continuation of a plain prompt."""
        body = text_request(self.model, prompt, limit)
        return read_text(self._ask(TEXT, body, endpoint=endpoint), limit=limit)

    def echo(self, text: str, endpoint: Endpoint | None = None) -> list[float | None]:
        """Return the natural log-probability of every token of a text; None for the first."""
        return self.echoes(text, endpoint).texts[0].numbers

    def echoes(self, texts: str | Sequence[str], endpoint: Endpoint | None = None) -> Echoes:
        """Return the echo of one text, or of a list of texts in one request."""
        alone = isinstance(texts, str)
        body = echo_request(self.model, texts, self._beyond)
        retries = None if alone or endpoint is None else 0
        answer = self._ask(TEXT, body, endpoint=endpoint, retries=retries)
        return read_all(answer, None if alone else len(texts), generated=self._beyond)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The servers."""
        return self._client.endpoints

    def first_of_text(
        self, prompt: str, numbers: Sequence[int] | None, endpoint: Endpoint | None = None
    ) -> FirstToken:
        """Return the log-probabilities of the token after a plain prompt.

        ``numbers`` are the tokens to list; by default the likeliest.
        """
        body = text_request(self.model, prompt, 1) | text_wishes(numbers)
        return self._first(TEXT, body, endpoint)

    def first_of_chat(
        self,
        turns: Sequence[Turn],
        reply_start: str,
        numbers: Sequence[int] | None,
        endpoint: Endpoint | None = None,
        *,
        date_string: str = "",
    ) -> FirstToken:
        """Return the log-probabilities of the first token of the reply to turns."""
        given = without_system(turns) if self.joins_system else turns
        body = chat_request(self.model, given, reply_start, 1, date_string=date_string)
        return self._first(CHAT, body | chat_wishes(numbers), endpoint)

    def _first(self, path: str, body: Mapping[str, Any], endpoint: Endpoint | None) -> FirstToken:
        try:
            return read_first(self._ask(path, body, endpoint=endpoint))
        except Refused as error:
            if is_filtered(error):
                raise FilteredError(error.what, where=error.where) from None
            raise

    def ids_of_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of texts by the servers' tokenizer; empty if they do not give them."""
        return self._ids([{"prompt": text, "content": text} for text in texts])

    def ids_of_replies(self, starts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of one chat with starts of its reply; empty if not given."""
        bodies: list[dict[str, object]] = []
        for start in starts:
            said = [{"role": "assistant", "content": start}]
            bodies.append(
                {"messages": [HELLO, *said], **CONTINUED}
                if start
                else {"messages": [HELLO], "add_generation_prompt": True}
            )
        return self._ids(bodies)

    def _ids(self, bodies: Sequence[Mapping[str, object]]) -> list[list[int]]:
        every = []
        for endpoint in self._client.endpoints:
            found = []
            for body in bodies:
                asked = {"model": self.model, **body}
                try:
                    answer = self._client.ask(
                        TOKENIZE, asked, endpoint=endpoint.above, retries=0
                    ).value.get("tokens")
                except BackendError:
                    return []
                if not isinstance(answer, list) or not all(type(n) is int for n in answer):
                    return []
                found.append(answer)
            every.append(found)
        return every[0] if all(found == every[0] for found in every) else []

    def one_token(self, model: str, endpoint: Endpoint, retries: int | None = None) -> Written:
        """Return one token of a named model at one server."""
        path, body, read = TEXT, text_request(model, HELLO["content"], 1), read_text
        if self._is_chat:
            path, body, read = CHAT, chat_request(model, [HELLO], "", 1), read_chat
        answer = self._ask(path, body, endpoint=endpoint, retries=retries)
        return read(answer, limit=TRACE_ROOM)

    def takes_date(self, endpoint: Endpoint, longer: str) -> bool:
        """Say whether a prompt grows with a long text in the place of its date."""
        try:
            short = self._size([HELLO], endpoint)
            long = self._size([HELLO], endpoint, date_string=longer)
        except BackendError:  # some servers refuse a key that they do not know
            return False
        return short is not None and long is not None and long > short

    @property
    def has_joined_system(self) -> bool:
        """Whether ``joins_system`` is known to be true; nothing is asked."""
        return bool(vars(self).get("joins_system"))

    def fits(self, other: Asker) -> bool:
        """Say whether the servers of another take the requests that are made for these."""
        joins = self.has_joined_system or not other.has_joined_system
        return joins and (other.takes_lists or not self.takes_lists)

    @cached_property
    def joins_system(self) -> bool:
        """Whether a server's chat template has no system turn, so that it joins the user's.

        A template may refuse the turn, as Gemma's does, or leave it out: a longer turn then has no
        more tokens. A server that does not count the tokens of its prompts cannot be checked for
        that. A local model has the same rule.

        Raises:
            PrerequisiteError: A server's chat template leaves out turns of few-shot examples.
        """
        return any([self._joins_system(endpoint) for endpoint in self._client.endpoints])

    def _joins_system(self, endpoint: Endpoint) -> bool:
        short = self._size([HELLO], endpoint)
        turns = _lengthened([SYSTEM, HELLO, SAID, HELLO], 3)
        joins = False
        try:
            usual = self._size(turns, endpoint)
        except Refused as error:
            if error.status >= 500:
                raise
            joins, turns = True, turns[1:]
            usual = self._size(turns, endpoint)
        if short is None or usual is None or usual <= short:
            return joins  # it does not count
        for place, turn in enumerate(turns[:-1]):
            longer = self._size(_lengthened(turns, place), endpoint)
            if longer is not None and longer > usual:
                continue
            if turn["role"] != "system":
                raise PrerequisiteError(
                    f"the server's chat template leaves out {turn['role']} turns before the last, "
                    "such as those of few-shot examples",
                    where=f"{self._where}, {endpoint.url}",
                    fix="write `format: plain`",
                )
            joins = True
        return joins

    def size_of(self, text: str) -> int | None:
        """Return the tokens of a prompt with a text; None if the servers do not report the same."""
        sizes = []
        for endpoint in self._client.endpoints:
            try:
                if self._is_chat:
                    sizes.append(self._size([{"role": "user", "content": text}], endpoint))
                    continue
                body = text_request(self.model, text, 1)
                answer = self._ask(TEXT, body, endpoint=endpoint)
                sizes.append(read_text(answer, limit=TRACE_ROOM).prompt_tokens)
            except BackendError:
                return None
        known = [size for size in sizes if size is not None]
        return known[0] if len(set(known)) == 1 and len(known) == len(sizes) else None

    def _size(
        self, turns: Sequence[Turn], endpoint: Endpoint, *, date_string: str = ""
    ) -> int | None:
        body = chat_request(self.model, turns, "", 1, date_string=date_string)
        answer = self._ask(CHAT, body, endpoint=endpoint)
        return read_chat(answer, limit=TRACE_ROOM).prompt_tokens

    @cached_property
    def _beyond(self) -> int:
        """Tokens to generate after an echoed text: 0, or 1 if a server refuses 0."""
        body = echo_request(self.model, ECHOED, 0)
        try:
            for endpoint in self._client.endpoints:
                answer = self._ask(TEXT, body, endpoint=endpoint, retries=0)
                read_echo(answer, generated=0)
        except BackendError:
            return 1
        return 0

    def check_replies(self) -> None:
        """Check that every server replies, and to every turn.

        Raises:
            BackendError: A server does not reply.
            PrerequisiteError: A server's chat template leaves out turns of few-shot examples.
        """
        if self._is_chat:
            _ = self.joins_system
            return
        for endpoint in self._client.endpoints:
            self.one_token(self.model, endpoint)

    def check_reply_start(self) -> None:
        """Check that every server continues a started reply instead of ending its turn.

        Raises:
            PrerequisiteError: A server refuses, starts another turn, or does not report prompt
                tokens.
        """
        started = chat_request(self.model, [HELLO], REPLY_START, 1)
        ended = chat_request(
            self.model, [HELLO, {"role": "assistant", "content": REPLY_START}], "", 1
        )
        for endpoint in self._client.endpoints:
            why = "it starts another turn, or does not report the tokens of the prompt"
            sizes: list[int | None] = []
            try:
                for body in (started, ended):
                    answer = self._ask(CHAT, body, endpoint=endpoint)
                    sizes.append(read_chat(answer, limit=TRACE_ROOM).prompt_tokens)
            except Refused as error:
                sizes, why = [None], error.what
            is_open = None not in sizes and (sizes[0] or 0) < (sizes[-1] or 0)
            if not is_open and not self._renders_open(endpoint):
                raise PrerequisiteError(
                    f"a task begins the reply, and the server does not continue it: {why}",
                    where=f"{self._where}, {endpoint.url}",
                    fix="write `format: plain`, or use a server that supports "
                    "`continue_final_message`, such as vLLM or SGLang",
                )

    def _renders_open(self, endpoint: Endpoint) -> bool:
        """Say whether a server that shows its prompts ends one with a started reply.

        llama.cpp continues every last turn of the assistant, so that the sizes are the same.
        """
        turns = [HELLO, {"role": "assistant", "content": REPLY_START}]
        body = {"model": self.model, "messages": turns, **CONTINUED}
        try:
            answer = self._client.ask(TEMPLATED, body, endpoint=endpoint.above, retries=0)
        except BackendError:
            return False
        prompt = answer.value.get("prompt")
        return isinstance(prompt, str) and prompt.endswith(REPLY_START)

    def check_echo(self) -> None:
        """Check that every server reports the log-probabilities of a prompt.

        Raises:
            PrerequisiteError: A server does not.
        """
        for endpoint in self._client.endpoints:
            try:
                short = self.echo(ECHOED, endpoint)
                whole = self.echo(ECHOED + ECHOED_END, endpoint)
                if len(whole) <= len(short):
                    raise BackendError("a longer text has no more tokens")
                if len(set(whole[1:])) == 1:
                    raise BackendError("every token of a text has the same one")
            except BackendError as error:
                raise PrerequisiteError(
                    f"the server does not report the log-probabilities of a prompt: {error.what}",
                    where=f"{self._where}, {endpoint.url}",
                    fix="write `scoring: generate`, or use a server that supports `echo` with "
                    "`logprobs`, such as vLLM",
                ) from None


def _lengthened(turns: Sequence[Turn], place: int) -> list[Turn]:
    found = list(turns)
    found[place] = {**found[place], "content": found[place]["content"] + LONGER}
    return found
