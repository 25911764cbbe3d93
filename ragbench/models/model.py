"""The protocol of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol, TypeVar, runtime_checkable

from ragbench.base.endpoint import Endpoint
from ragbench.base.errors import BackendError
from ragbench.base.modelfacts import ModelFacts
from ragbench.base.records import Message, OptionScores, Reply, Scoring

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Asked:
    """Ability that a task needs from a model.

    Attributes:
        scoring: How its answers are taken.
        starts_reply: Whether its prompts end with the beginning of the reply.
    """

    scoring: Scoring
    starts_reply: bool


@runtime_checkable
class Checked(Protocol):
    """A model whose abilities must be checked first, such as one behind a server."""

    def check_abilities(self, asked: Collection[Asked]) -> None:
        """Refuse, before the first question, abilities that the model does not have.

        Raises:
            PrerequisiteError: The model cannot be reached, or cannot do this.
        """


@runtime_checkable
class Adaptive(Protocol):
    """A model whose servers change during a run, and how many requests they take."""

    def allow_new(self, check: Callable[[Endpoint], None]) -> None:
        """Let servers be asked that were not known at the start.

        None is asked before, nor one for which ``check`` raises an error.
        """

    def in_flight_now(self) -> int:
        """Return the number of batches that may be in flight now, at least 1.

        It is called about every second while the model answers.
        """


@dataclass(frozen=True, slots=True)
class Choice:
    """A rendered prompt, and the texts to score as its reply."""

    prompt: str
    options: Sequence[str]


class Model(Protocol):
    """Renders prompts, scores options and writes replies; loads its weights on first use."""

    @property
    def is_chat(self) -> bool:
        """Whether prompts are chats, special tokens included."""

    @property
    def concurrency(self) -> int:
        """Number of batches that may be in flight."""

    @property
    def batch_size(self) -> int:
        """Number of prompts that are best asked together."""

    @property
    def context_tokens(self) -> int:
        """Maximum tokens of a prompt and its reply."""

    def digest(self) -> str:
        """Return the identity of weights, number format and prompt format."""

    def facts(self) -> ModelFacts:
        """Return the facts that the run folder records."""

    def render(self, messages: Sequence[Message]) -> str:
        """Return the prompt as the model reads it, up to the start of its reply."""

    def continuation(self, option: str) -> str:
        """Return an option as it follows the prompt."""

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens without special tokens."""

    def count_all(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, without special tokens."""

    def release(self) -> None:
        """Free the weights' memory; they are loaded again on the next use."""

    def score_options(self, prompt: str, options: Sequence[str]) -> OptionScores:
        """Return the log-likelihood of each option as the reply to a rendered prompt.

        Raises:
            BackendError: The model failed on this prompt.
        """

    def generate(self, prompt: str, *, limit: int) -> Reply:
        """Return the reply to a rendered prompt, decoded greedily, of at most ``limit`` tokens.

        The limit includes a reasoning trace.

        Raises:
            BackendError: The model failed on this prompt.
        """

    def score_batch(self, items: Sequence[Choice]) -> list[OptionScores | BackendError]:
        """Return the scores of each item, or its error, in the order of items."""

    def generate_batch(self, items: Sequence[str], *, limit: int) -> list[Reply | BackendError]:
        """Return the reply to each prompt, or its error, in the order of items."""


class OneByOne(ABC):
    """Base of a backend that answers one prompt at a time; its batches are loops."""

    is_chat: bool
    concurrency: int = 1
    batch_size: int = 1

    @property
    def prompt_format(self) -> Literal["chat", "plain"]:
        """Format of prompts."""
        return "chat" if self.is_chat else "plain"

    def continuation(self, option: str) -> str:
        """Return an option as it follows the prompt: after a blank for plain models."""
        return option if self.is_chat else " " + option

    @abstractmethod
    def count_tokens(self, text: str) -> int:
        """Return the number of tokens, as in ``Model``."""

    def count_all(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, without special tokens."""
        return list(map(self.count_tokens, texts))

    @abstractmethod
    def score_options(self, prompt: str, options: Sequence[str]) -> OptionScores:
        """Return the log-likelihood of each option, as in ``Model``."""

    @abstractmethod
    def generate(self, prompt: str, *, limit: int) -> Reply:
        """Return the reply, as in ``Model``."""

    def score_batch(self, items: Sequence[Choice]) -> list[OptionScores | BackendError]:
        """Return the scores of each item, or its error, in the order of items."""
        return [or_error(partial(self.score_options, i.prompt, i.options)) for i in items]

    def generate_batch(self, items: Sequence[str], *, limit: int) -> list[Reply | BackendError]:
        """Return the reply to each prompt, or its error, in the order of items."""
        return [or_error(partial(self.generate, prompt, limit=limit)) for prompt in items]


def or_error(ask: Callable[[], R]) -> R | BackendError:
    """Return what a call gives, or the error of the backend."""
    try:
        return ask()
    except BackendError as error:
        return error
