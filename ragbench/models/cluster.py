"""A local model whose copies on the machines of a cluster answer for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial
from typing import Any, TypeVar

from ragbench.base.cluster.host import Failure
from ragbench.base.cluster.pool import Pool
from ragbench.base.errors import BackendError, PrerequisiteError
from ragbench.base.modelfacts import ModelFacts
from ragbench.base.records import Message, OptionScores, Reply
from ragbench.models.model import Choice, Model, OneByOne
from ragbench.models.spec import ModelSpec, make_model

HOST = "ragbench.models.cluster:ModelHost"
R = TypeVar("R", OptionScores, Reply)


@dataclass(frozen=True, slots=True)
class Copy:
    """What a copy of a model says of itself.

    Attributes:
        digest: Its identity.
        facts: Its facts.
        batch_size: Number of prompts that it is best asked together.
    """

    digest: str
    facts: ModelFacts
    batch_size: int


class ModelHost:
    """The models of a worker, of which one at a time has its weights in memory."""

    def __init__(self) -> None:
        self._models: dict[str, Model] = {}
        self._copies: dict[str, Copy] = {}
        self._last = ""

    def describe(self, spec: ModelSpec) -> Copy:
        """Return what the copy here says of itself; computed once per model."""
        model = self._model(spec)
        if spec.name not in self._copies:
            self._copies[spec.name] = Copy(model.digest(), model.facts(), model.batch_size)
        return self._copies[spec.name]

    def score(
        self, spec: ModelSpec, digest: str, items: Sequence[Choice]
    ) -> Copy | list[OptionScores | Failure]:
        """Return the scores of items; what the copy says of itself if it has another digest."""
        copy = self.describe(spec)
        if copy.digest != digest:
            return copy
        return list(map(_sent, self._model(spec).score_batch(items)))

    def generate(
        self, spec: ModelSpec, digest: str, items: Sequence[str], limit: int
    ) -> Copy | list[Reply | Failure]:
        """Return the replies to prompts; what the copy says of itself if it has another digest."""
        copy = self.describe(spec)
        if copy.digest != digest:
            return copy
        return list(map(_sent, self._model(spec).generate_batch(items, limit=limit)))

    def _model(self, spec: ModelSpec) -> Model:
        if spec.name not in self._models:
            self._models[spec.name] = make_model(spec)
        if self._last not in ("", spec.name):
            self._models[self._last].release()
        self._last = spec.name
        return self._models[spec.name]


class ClusterModel(OneByOne):
    """A model whose prompts are written here and answered by copies of it in a pool.

    Number format, batches and identity are those of the copies, so that this machine needs no GPU.

    Args:
        spec: The entry of the config.
        inner: The model here; its weights are not loaded.
        pool: Returns the workers, once an answer is needed.
    """

    def __init__(self, spec: ModelSpec, inner: Model, pool: Callable[[], Pool]) -> None:
        self._spec = spec
        self._inner = inner
        self._make_pool = pool
        self.is_chat = inner.is_chat
        self.context_tokens = inner.context_tokens

    @cached_property
    def _pool(self) -> Pool:
        return self._make_pool()

    @cached_property
    def _copy(self) -> Copy:
        found: Copy = self._pool.call(f"{HOST}.describe", self._spec)
        return found

    @property
    def concurrency(self) -> int:  # type: ignore[override]  # known once there is a pool
        """Number of workers."""
        return self._pool.size

    @property
    def batch_size(self) -> int:  # type: ignore[override]  # that of the copies
        """Number of prompts that a copy is best asked together."""
        return self._copy.batch_size

    def digest(self) -> str:
        """Return the identity of the copies."""
        return self._copy.digest

    def facts(self) -> ModelFacts:
        """Return the facts of the copies."""
        return self._copy.facts

    def render(self, messages: Sequence[Message]) -> str:
        """Return the prompt as the model reads it, up to the start of its reply."""
        return self._inner.render(messages)

    def continuation(self, option: str) -> str:
        """Return an option as it follows the prompt."""
        return self._inner.continuation(option)

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens without special tokens."""
        return self._inner.count_tokens(text)

    def count_all(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, without special tokens."""
        return self._inner.count_all(texts)

    def release(self) -> None:
        """Free what is in memory here; a worker frees a model when it is asked for another."""
        self._inner.release()

    def score_options(self, prompt: str, options: Sequence[str]) -> OptionScores:
        """Return the log-likelihood of each option, as in ``Model``."""
        (found,) = self.score_batch([Choice(prompt, options)])
        return _or_raise(found)

    def generate(self, prompt: str, *, limit: int) -> Reply:
        """Return the reply, as in ``Model``."""
        (found,) = self.generate_batch([prompt], limit=limit)
        return _or_raise(found)

    def score_batch(self, items: Sequence[Choice]) -> list[OptionScores | BackendError]:
        """Return the scores of each item, or its error, in the order of items."""
        # A sequence of options may be a view of something large.
        sent = [Choice(item.prompt, tuple(item.options)) for item in items]
        return self._asked(partial(self._pool.call, f"{HOST}.score"), len(sent), sent)

    def generate_batch(self, items: Sequence[str], *, limit: int) -> list[Reply | BackendError]:
        """Return the reply to each prompt, or its error, in the order of items."""
        return self._asked(
            partial(self._pool.call, f"{HOST}.generate"), len(items), list(items), limit
        )

    def _asked(self, call: Callable[..., Any], n: int, *arguments: object) -> list[Any]:
        try:
            found = call(self._spec, self._copy.digest, *arguments)
        except BackendError as error:  # of these prompts; they are asked again on resume
            return [error] * n
        if isinstance(found, Copy):
            raise self._mixed(found)
        return [one.error() if isinstance(one, Failure) else one for one in found]

    def _mixed(self, other: Copy) -> PrerequisiteError:
        own = self._copy
        differing = [
            f"{field.name} is {getattr(own.facts, field.name)!r} on one and "
            f"{getattr(other.facts, field.name)!r} on another"
            for field in fields(ModelFacts)
            if field.name != "digest"
            and getattr(own.facts, field.name) != getattr(other.facts, field.name)
        ]
        if own.batch_size != other.batch_size:
            differing.append(f"batches are of {own.batch_size} and of {other.batch_size} prompts")
        return PrerequisiteError(
            f"the model {self._spec.name!r} is not the same on all nodes of the cluster: "
            + ("; ".join(differing) or "the digests differ"),
            where=f"models: {self._spec.name}",
            fix="use nodes of one kind, or state `dtype` and `device` and copy the same weights to "
            "every node",
        )


def _sent(answer: R | BackendError) -> R | Failure:
    return Failure.of(answer) if isinstance(answer, BackendError) else answer


def _or_raise(answer: R | BackendError) -> R:
    if isinstance(answer, BackendError):
        raise answer
    return answer
