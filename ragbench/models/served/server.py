"""Models behind any server with OpenAI's API: vLLM, SGLang, llama.cpp and others."""

from __future__ import annotations

import datetime
import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cached_property
from typing import ClassVar

from pydantic import Field, JsonValue, field_validator

from ragbench.base.endpoint import Endpoint
from ragbench.base.errors import BackendError, PrerequisiteError, UnavailableError, UsageError
from ragbench.base.files import sha256_json, sha256_text
from ragbench.base.modelfacts import AS_SERVED, UNPINNED, ModelFacts, ServedFacts
from ragbench.base.records import Message, OptionScores, Reply
from ragbench.models.model import Asked, OneByOne
from ragbench.models.rendering import (
    TEMPLATE_DAY,
    ChatTemplate,
    Turn,
    date_string,
    plain_text,
    turns_of,
)
from ragbench.models.served.addresses.adapting import Adapting
from ragbench.models.served.addresses.keys import AddressKeys
from ragbench.models.served.asking import HELLO, Asker
from ragbench.models.served.counting import TokenCounter
from ragbench.models.served.day import template_day
from ragbench.models.served.http import Client
from ragbench.models.served.keys import AccessKeys
from ragbench.models.served.letters import BY_ECHO, Asking, LetterScorer, Way, are_letters
from ragbench.models.served.options import score_by_echo, takes_lists
from ragbench.models.served.parameters import check_extra
from ragbench.models.served.plain import check_plain
from ragbench.models.served.served import Served, ask_served, unusable
from ragbench.models.spec import BackendOptions, ModelSpec, Weights

TIMEOUT_S, RETRIES = 600.0, 4
END_OF_TURN = 1  # a token that some servers do not count towards the limit


class ServerOptions(AddressKeys, AccessKeys):
    """Keys of the backend ``server``, besides those of its addresses and of access to them.

    Attributes:
        model: Name that the server knows.
        tokenizer: Location of the tokenizer: a folder, ``package:NAME/FILE`` or a hub id.
        context: Maximum tokens of prompt and reply, if the server does not report them.
        timeout_s: Seconds for a whole exchange, connecting included; 600 by default.
        retries: Number of retries of a failed request; 4 by default.
        patience_s: Seconds that an outage of a server is waited out; 900 by default, 0 for never.
        date: The date in the prompts of a chat template that writes today's.
        extra_body: Further keys of every request, such as ``reasoning_effort``.
        letters: The one way in which letters may be scored; by default the best that works.
        questions_per_s: Questions a second that the servers answer, for the hours of a plan.
    """

    model: str
    tokenizer: str | None = None
    context: int | None = Field(None, gt=0)
    timeout_s: float | None = Field(None, gt=0, le=86_400)
    retries: int | None = Field(None, ge=0, le=20)
    patience_s: float = Field(900.0, ge=0, le=86_400)
    date: datetime.date = TEMPLATE_DAY
    letters: Way | None = None
    extra_body: dict[str, JsonValue] = Field(default_factory=dict)
    questions_per_s: float | None = Field(None, gt=0, allow_inf_nan=False, exclude=True)

    @field_validator("extra_body")
    @classmethod
    def _not_ours(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        check_extra(value)
        return value

    @property
    def weights(self) -> Weights:
        """Name that the server knows, by which a model card is found."""
        return Weights(self.model)

    @property
    def stated_context(self) -> int | None:
        """Context in tokens, if the config states it."""
        return self.context

    @property
    def stated_rate(self) -> float | None:
        """Questions a second, if the config states them."""
        return self.questions_per_s


class ServerModel(Adapting, OneByOne):
    """A model behind one or several servers, which are contacted on first use.

    ragbench cannot verify what a server runs: neither the weights, nor their number format, nor the
    chat template. The identity contains what the server reports.

    Raises:
        PrerequisiteError: The tokenizer cannot be loaded.
        UsageError: ``api_key_env`` is not the name of a variable.
    """

    Options: ClassVar[type[BackendOptions]] = ServerOptions

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        options = spec.read(ServerOptions)
        self.is_chat = spec.format != "plain"
        self.concurrency = options.at_once * len(options.endpoints)
        self._where = f"models: {spec.name}"
        self._model = options.model
        self._context = options.context
        self._date = options.date
        self._client = Client(
            spec.name,
            options.endpoints,
            timeout_s=options.timeout_s or TIMEOUT_S,
            retries=RETRIES if options.retries is None else options.retries,
            key_env=options.api_key_env,
            headers=options.headers,
            query=f"?api-version={options.api_version}" if options.api_version else "",
            patience_s=options.patience_s,
            proxy=options.proxy,
            proxy_auth=options.proxy_auth,
            at_once=options.at_once,
        )
        self._client.look = self._use(self._client.pool, spec.name, options.path)
        self._asked: Collection[Asked] = ()
        self._extra = options.extra_body
        self._asker = Asker(
            self._client, self._model, is_chat=self.is_chat, where=self._where, extra=self._extra
        )
        self._counter = TokenCounter(options.tokenizer, where=self._where)
        self._letters_wanted = options.letters
        self._letters = LetterScorer(self._asker, self._counter, self._echo, where=self._where)

    @classmethod
    def sends_to(cls, options: ServerOptions) -> tuple[Endpoint, ...]:
        """Return the servers and the proxy; ``allow_new`` checks those that a file names later."""
        return (*options.endpoints, *options.proxies)

    def check_same(self, endpoint: Endpoint) -> None:
        """Refuse a new server that is not as those at the start, by the same checks."""
        one = {"url": endpoint.url, "url_file": None, "letters": self._letters.way, "patience_s": 0}
        options = self.spec.options.model_copy(update=one)
        alone = ServerModel(self.spec.model_copy(update={"options": options}))
        alone.check_abilities(self._asked)
        if alone.context_tokens < self.context_tokens:
            raise UsageError(f"it takes {alone.context_tokens:,} tokens, fewer than the others")
        if alone.digest() != self.digest() or not self._asker.fits(alone._asker):
            raise UsageError("it differs from the servers that the run began with")

    @cached_property
    def served(self) -> Served:
        """Facts that the servers report; the first contact with them."""
        probe = self._asker.one_token
        found = ask_served(self._client, self._model, where=self._where, probe=probe)
        asked = self._context
        if asked is not None and found.context is not None and asked > found.context:
            raise UsageError(
                f"the server takes {found.context:,} tokens, fewer than `context` says",
                where=f"{self._where}: context: {asked}",
                fix="remove `context`",
            )
        return found

    @cached_property
    def context_tokens(self) -> int:
        """Maximum tokens, as the config or else the server states them."""
        found = self._context or self.served.context
        if found is None:
            raise UsageError(
                f"the server does not report how many tokens {self._model!r} takes",
                where=self._where,
                fix="write `context:` with the model's number, such as 8192",
            )
        return found

    def digest(self) -> str:
        """Return the identity: reported facts, format and tokenizer, but no URLs.

        A way of scoring letters is part of it once ``check_abilities`` has chosen it.
        """
        day, letters = self.template_day, self._letters.rule
        changes = self._asker.parameters.changes
        return sha256_json(
            {
                "served as": self._model,
                "told": self.served.identity,
                "format": self.prompt_format,
                "tokenizer": self._counter.digest,
                **({} if day is None else {"template day": day}),
                **({} if letters in (None, BY_ECHO) else {"letters": letters}),
                **({"parameters": changes} if changes else {}),
                **({"extra body": self._extra} if self._extra else {}),
            }
        )

    @cached_property
    def template_day(self) -> str | None:
        """The date that the chat template writes, as ``ModelFacts`` records it."""
        if not self.is_chat:
            return None
        _ = self.served
        return template_day(self._client, self._asker, self._date, self._template)

    def facts(self) -> ModelFacts:
        """Return the facts that the run folder records."""
        template = self._counter.template if self.is_chat else None
        return ModelFacts(
            digest=self.digest(),
            weights=f"{self._model}, not verified",
            dtype=AS_SERVED,
            device=AS_SERVED,
            format=self.prompt_format,
            chat_template_digest=sha256_text(template) if template else None,
            context_tokens=self.context_tokens,
            template_day=self.template_day,
            served=ServedFacts(
                told=self.served.told,
                server=self.served.server,
                tokens=self._counter.rule,
                tokenizer_digest=self._counter.digest,
                letters=self._letters.rule or "",
                changed_parameters=self._asker.parameters.changes,
                takes_lists=self._asker.takes_lists,
                joins_system=self._asker.has_joined_system,
            ),
        )

    def render(self, messages: Sequence[Message]) -> str:
        """Return the prompt as it is stored: a plain text, or the turns of a chat as JSON.

        A chat is one JSON list of ``role`` and ``content``; the server adds the markup. A last
        assistant turn is the beginning of the reply. Control tokens in a content are broken by a
        blank: those of the tokenizer, or else of the usual families.
        """
        turns, reply_start = turns_of(messages, self._counter.control)
        if not self.is_chat:
            return plain_text(turns, reply_start)
        if reply_start:
            turns.append({"role": "assistant", "content": reply_start})
        return json.dumps(turns, ensure_ascii=False, separators=(",", ":"))

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens without special tokens."""
        return self._counter.count(text)

    def release(self) -> None:
        """End all waits for servers that are away; each request has a connection of its own."""
        self._client.outages.end()

    def check_abilities(self, asked: Collection[Asked]) -> None:
        """Refuse, before the first question, abilities that a server does not have.

        Raises:
            PrerequisiteError: A server cannot be reached, does not know the model, does not
                continue a started reply, or does not report the log-probabilities of a prompt.
            UsageError: The context is unknown.
        """
        self._asked = asked
        _ = self.served, self.context_tokens
        try:
            if not self.is_chat and asked:
                check_plain(self._asker, self._where)
            if any(each.scoring == "generate" for each in asked):
                self._asker.check_replies()
            self._counter.compare(self._asker.size_of)
            if self.is_chat and Asked("generate", True) in asked:
                self._asker.check_reply_start()
            if any(each.scoring == "options" for each in asked):
                self._asker.check_echo()  # first: without it, a tokenizer does not help
                self._check_template()
                self._asker.takes_lists = takes_lists(self._asker)
            lettered = [each for each in asked if each.scoring == "letters"]
            if lettered:
                self._choose_letters(starts_reply=any(each.starts_reply for each in lettered))
        except (BackendError, UnavailableError) as error:
            raise unusable(error, self._where) from None
        self._asker.parameters.fix()
        self._asker.wait_out_outages(self.served)

    def _choose_letters(self, *, starts_reply: bool) -> None:
        probe = self.render([Message("user", HELLO["content"])])
        self._letters.choose(self._asking(probe), self._letters_wanted)
        if self._letters.has_echo:
            self._asker.takes_lists = takes_lists(self._asker)
        if starts_reply and self.is_chat and self._counter.template is None:
            self._asker.check_reply_start()

    def _check_template(self) -> None:
        if self.is_chat and self._counter.template is None:
            raise PrerequisiteError(
                "options of a chat are scored as a text in the model's chat template, which is "
                "missing",
                where=self._where,
                fix="give the model's `tokenizer`, or write `format: plain` or `scoring: generate`",
            )

    def score_options(self, prompt: str, options: Sequence[str]) -> OptionScores:
        """Return the log-likelihood of each option as the reply to a rendered prompt.

        Letters are scored as ``LetterScorer`` does, other options by echo: prompt and option as one
        text, with what the chat template of ``tokenizer`` writes before a reply between them.

        Raises:
            BackendError: A server failed, or does not report every number.
        """
        started = self._client.outages.clock()
        asking = self._asking(prompt)
        if self._letters.way is not None and are_letters(options):
            scores = self._letters.score(asking, options)
        else:
            scores = self._echo(asking, options)
        self._counter.check_read(self._contents(prompt), scores.prompt_tokens)
        return replace(scores, elapsed_s=self._client.outages.clock() - started)

    def _asking(self, prompt: str) -> Asking:
        """Return a rendered prompt in the forms that a server takes."""
        if not self.is_chat:
            return Asking(None, "", prompt, " ")
        turns, reply_start = self._turns(prompt)
        head = None
        if self._template is not None:
            whole = self._template.text(turns, reply_start)
            head = self._counter.without_first(whole + self._template.before_reply(whole))
        return Asking(tuple(turns), reply_start, head, "", self._sent_date)

    def _echo(self, asking: Asking, options: Sequence[str]) -> OptionScores:
        if asking.head is None:
            self._check_template()
        return score_by_echo(self._asker, self._counter, asking.head or "", asking.blank, options)

    @property
    def _sent_date(self) -> str:
        """The date that requests give the server's chat template; empty if it takes none."""
        return "" if self.template_day in (None, UNPINNED) else date_string(self._date)

    @cached_property
    def _template(self) -> ChatTemplate | None:
        if not self.is_chat or self._counter.template is None:
            return None
        return ChatTemplate(self._counter.tokenizer, day=self._date, where=self._where)

    def continuation(self, option: str) -> str:
        """Return an option as it follows the prompt: after what the chat template writes first."""
        if not self.is_chat:
            return " " + option
        return option if self._template is None else self._template.between + option

    def _turns(self, prompt: str) -> tuple[list[Turn], str]:
        turns: list[Turn] = json.loads(prompt)
        reply_start = turns.pop()["content"] if turns[-1]["role"] == "assistant" else ""
        return turns, reply_start

    def _contents(self, prompt: str) -> list[str]:
        """Return the texts that a rendered prompt has, without its markup."""
        return [turn["content"] for turn in json.loads(prompt)] if self.is_chat else [prompt]

    def generate(self, prompt: str, *, limit: int) -> Reply:
        """Return the model's reply to a rendered prompt, at temperature 0.

        Tokens of reply and prompt are the server's, or else counted here.

        Raises:
            BackendError: A server failed, or answered without a reply.
        """
        started = self._client.outages.clock()
        opened = ""
        if self.is_chat:
            turns, reply_start = self._turns(prompt)
            found = self._asker.chat(turns, reply_start, limit, date_string=self._sent_date)
            if self._template is not None and not reply_start and not found.has_trace:
                opened = self._template.opened
        else:
            found = self._asker.text(prompt, limit)
        self._counter.check_read(self._contents(prompt), found.prompt_tokens)
        if found.tokens is not None and found.tokens > limit + END_OF_TURN:
            raise BackendError(
                f"the server wrote {found.tokens:,} tokens, more than the limit of {limit:,}"
            )
        return Reply(
            text=found.text,
            tokens=self.count_tokens(found.text) if found.tokens is None else found.tokens,
            finish=found.finish,
            prompt_tokens=self.count_tokens(prompt)
            if found.prompt_tokens is None
            else found.prompt_tokens,
            elapsed_s=self._client.outages.clock() - started,
            opened=opened,
            replaced=found.replaced,
            cached_tokens=found.cached_tokens,
            reasoning_tokens=found.reasoning_tokens,
            by=found.by,
        )
