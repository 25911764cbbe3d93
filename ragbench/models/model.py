"""What a model is to an experiment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar, runtime_checkable

from ragbench.base.errors import BackendError
from ragbench.base.modelfacts import ModelFacts
from ragbench.base.records import Message, OptionScores, Reply, Scoring

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a task asks of a model.

    Attributes:
        scoring: How its answers are taken.
        begun: Whether its prompts end with what the reply is begun with.
    """

    scoring: Scoring
    begun: bool


@runtime_checkable
class Checked(Protocol):
    """A model that must be asked first what it can do, as one behind a server."""

    def check_abilities(self, asked: Collection[Asked]) -> None:
        """Refuse what the model cannot do, before the first question.

        Args:
            asked: What the tasks ask.

        Raises:
            PrerequisiteError: It cannot be reached, or cannot do this.
        """


@dataclass(frozen=True, slots=True)
class Choice:
    """A rendered prompt, and the texts that are scored as its reply."""

    prompt: str
    options: Sequence[str]


class Model(Protocol):
    """Renders prompts, scores options and replies; loads its weights on first use."""

    @property
    def is_chat(self) -> bool:
        """Whether prompts are a chat's, special tokens included."""

    @property
    def concurrency(self) -> int:
        """How many batches may be asked at a time."""

    @property
    def context_tokens(self) -> int:
        """How many tokens a prompt and its reply may have."""

    def digest(self) -> str:
        """Return the identity of weights, number format and prompt format."""

    def facts(self) -> ModelFacts:
        """Return what the run folder records of the model."""

    def render(self, messages: Sequence[Message]) -> str:
        """Return the prompt as the model reads it, up to where its reply begins."""

    def continuation(self, option: str) -> str:
        """Return an option as the text that follows the prompt."""

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has, special tokens apart."""

    def release(self) -> None:
        """Give the weights' memory back; they are loaded again on the next use."""

    def score_options(self, prompt: str, options: Sequence[str]) -> OptionScores:
        """Return the log-likelihood of each option as the reply to a rendered prompt.

        Raises:
            BackendError: The model failed on this prompt.
        """

    def generate(self, prompt: str, *, limit: int) -> Reply:
        """Return the model's own reply to a rendered prompt, decoded greedily.

        Args:
            prompt: A rendered prompt.
            limit: The most tokens of the reply, a reasoning trace included.

        Returns:
            The reply, with its tokens, how it ended, and seconds.

        Raises:
            BackendError: The model failed on this prompt.
        """

    def score_batch(self, items: Sequence[Choice]) -> list[OptionScores | BackendError]:
        """Return the scores of each item, or the error that it ended in, in the items' order."""

    def generate_batch(self, items: Sequence[str], *, limit: int) -> list[Reply | BackendError]:
        """Return the reply to each prompt, or the error that it ended in, in their order."""


class OneByOne(ABC):
    """Base of a backend that answers one prompt at a time: its batches are loops."""

    concurrency: int = 1

    @abstractmethod
    def score_options(self, prompt: str, options: Sequence[str]) -> OptionScores:
        """Return the log-likelihood of each option, as in ``Model``."""

    @abstractmethod
    def generate(self, prompt: str, *, limit: int) -> Reply:
        """Return the reply, as in ``Model``."""

    def score_batch(self, items: Sequence[Choice]) -> list[OptionScores | BackendError]:
        """Return the scores of each item, or the error that it ended in, in the items' order."""
        return [_or_error(partial(self.score_options, i.prompt, i.options)) for i in items]

    def generate_batch(self, items: Sequence[str], *, limit: int) -> list[Reply | BackendError]:
        """Return the reply to each prompt, or the error that it ended in, in their order."""
        return [_or_error(partial(self.generate, prompt, limit=limit)) for prompt in items]


def _or_error(ask: Callable[[], R]) -> R | BackendError:
    try:
        return ask()
    except BackendError as error:
        return error
