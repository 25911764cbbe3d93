"""A pipeline of the user's as a model: its answer is the reply."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from typing import Any, ClassVar

from pydantic import Field

from ragbench.base.endpoint import Reach
from ragbench.base.errors import BackendError, DataError, PrerequisiteError, UsageError
from ragbench.base.files import sha256_file, sha256_json
from ragbench.base.modelfacts import ModelFacts
from ragbench.base.records import Message, OptionScores, Reply
from ragbench.models.model import Asked, OneByOne
from ragbench.models.rendering import USUAL_CONTROL, plain_text, turns_of
from ragbench.models.runnable.call import CHAT, CallSpec, PipelineKeys
from ragbench.models.runnable.process import RunnableProcess
from ragbench.models.served.counting import TokenCounter
from ragbench.models.spec import BackendOptions, ModelSpec

HOW_CALLED = {"factory", "options", "input", "answer"}
ANY_LENGTH = 1 << 30  # tokens; what a pipeline reads of a prompt is its own affair


class RunnableOptions(PipelineKeys, BackendOptions):
    """Keys of the backend ``runnable``.

    Attributes:
        answer: Key of the answer in what the pipeline returns; by default the first of ``answer``,
            ``output``, ``result`` and ``messages``.
        context: Maximum tokens of a prompt and its reply, if longer ones should be refused.
        timeout_s: Seconds after which a question is given up.
    """

    who: ClassVar[str] = "this model"
    place: ClassVar[str] = "models: factory"

    answer: str = ""
    context: int | None = Field(None, gt=0)
    timeout_s: float = Field(120, gt=0, le=86400, exclude=True)

    @property
    def stated_context(self) -> int | None:
        """Context in tokens, if the config states it."""
        return self.context

    def call_spec(self) -> CallSpec:
        """Return what the process is started with."""
        return self.call("text", self.answer)


class RunnableModel(OneByOne):
    """A pipeline that is asked for answers; its code is imported with the first question."""

    Options: ClassVar[type[BackendOptions]] = RunnableOptions

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.options = spec.read(RunnableOptions)
        chats = self.options.input == CHAT
        self.is_chat = chats if spec.format == "auto" else spec.format == "chat"
        self.context_tokens = self.options.context or ANY_LENGTH
        self._counter = TokenCounter(None, where=f"models: {spec.name}")
        self._process: RunnableProcess | None = None

    @classmethod
    def sends_to(cls, options: RunnableOptions) -> Reach:
        """Return the servers that the config declares; None if it declares none."""
        return options.sends_to()

    def digest(self) -> str:
        """Return the identity of the keys, of the file of the module and of the prompt format.

        Raises:
            UsageError: The module has no file.
        """
        keys = self.options.model_dump(mode="json", include=HOW_CALLED)
        code = sha256_file(self.options.source())
        return sha256_json({"runnable": keys, "module": code, "format": self.prompt_format})

    def facts(self) -> ModelFacts:
        """Return the facts that the run folder records."""
        code = sha256_file(self.options.source())
        return ModelFacts(
            digest=self.digest(),
            weights=f"unknown; module of {self.options.factory}: {code}",
            format=self.prompt_format,
            context_tokens=self.options.context,
        )

    def check_abilities(self, asked: Collection[Asked]) -> None:
        """Refuse what a pipeline cannot do; its code is not imported.

        Raises:
            UsageError: A task needs log-likelihoods, or the continuation of a reply in a chat.
        """
        if any(each.scoring != "generate" for each in asked):
            raise self._without_scores()
        if self.is_chat and any(each.starts_reply for each in asked):
            raise UsageError(
                f"a task starts the reply, and the runnable of the model {self.spec.name!r} takes "
                "a chat, which it may not continue",
                where=f"models: {self.spec.name}",
                fix="write `format: plain`: the prompt then ends with the start of the reply",
            )

    def _without_scores(self) -> UsageError:
        return UsageError(
            f"the model {self.spec.name!r} is a runnable, which writes answers and has no "
            "log-likelihoods of options or letters",
            where=f"models: {self.spec.name}: backend",
            fix="write `scoring: generate` at the top of the config or in the task; a `filter` "
            "needs another model in `by`",
        )

    def render(self, messages: Sequence[Message]) -> str:
        """Return the prompt: the turns of a chat as JSON, else the plain format.

        Control tokens of the usual families in a content are broken by a blank.
        """
        turns, reply_start = turns_of(messages, USUAL_CONTROL)
        if not self.is_chat:
            return plain_text(turns, reply_start)
        return json.dumps(turns, ensure_ascii=False, separators=(",", ":"))

    def count_tokens(self, text: str) -> int:
        """Return an estimate: one token for every two bytes."""
        return self._counter.count(text)

    def release(self) -> None:
        """End the process; another one is started on the next use."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def score_options(self, prompt: str, options: Sequence[str]) -> OptionScores:
        """Refuse: a pipeline has no log-likelihoods.

        Raises:
            UsageError: Always.
        """
        raise self._without_scores()

    def generate(self, prompt: str, *, limit: int) -> Reply:
        """Return the answer of the pipeline, whatever its length.

        Tokens are those of all calls of models in it, if all of them report theirs.

        Raises:
            BackendError: It raised an error, took too long, ended its process or gave no answer.
            PrerequisiteError: Its code cannot be loaded.
        """
        asked: Any = json.loads(prompt) if self.is_chat else prompt
        process = self._started()
        started = time.perf_counter()
        try:
            found = process.ask(asked, "this question")
        except DataError as error:
            raise BackendError(error.what, where=error.where, fix=error.fix) from None
        is_counted = 0 < found.model_calls == found.reported_calls
        return Reply(
            text=found.text,
            tokens=found.written_tokens if is_counted else None,
            finish="stop",
            prompt_tokens=found.sent_tokens if is_counted else None,
            elapsed_s=time.perf_counter() - started,
            model_calls=found.model_calls,
        )

    def _started(self) -> RunnableProcess:
        if self._process is None or self._process.is_closed:
            name, where = self.spec.name, f"models: {self.spec.name}: {self.options.factory}"
            who = f"the runnable of the model {name!r}"
            try:
                self._process = RunnableProcess(self.options.call_spec(), who, where)
            except BackendError as error:  # of the code, not of the question
                raise PrerequisiteError(error.what, where=error.where, fix=error.fix) from None
        return self._process
