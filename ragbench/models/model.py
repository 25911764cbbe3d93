"""What a model is to an experiment, and what a config says of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from ragbench import home
from ragbench.devices import Device, Dtype
from ragbench.records import Message, OptionScores, Reply


class ModelSpec(BaseModel):
    """One entry of a config's ``models``.

    Attributes:
        name: The model's name in every table.
        backend: A registered backend.
        path: ``package:NAME/FILE``, a local folder or a ``.gguf`` file.
        model: An id on the model hub; one of ``path`` and ``model`` is needed, unless ``base``
            and ``adapter`` say where the weights are.
        adapter: A folder with a PEFT adapter in safetensors, or ``package:NAME/FOLDER``.
        revision: The hub revision.
        kind: Whether it is a biomedical or a general model.
        base: The name of the general model that a biomedical one was made from.
        format: ``auto`` uses the chat template where the tokenizer has one.
        dtype: ``auto`` is bfloat16 where the hardware has it.
        device: ``auto`` takes the GPU where there is one.
        trust_remote_code: Whether code in the model's repository may run.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    backend: str = "hf"
    path: str | None = None
    model: str | None = None
    adapter: str | None = None
    revision: str | None = None
    kind: Literal["general", "biomedical"] = "general"
    base: str | None = None
    format: Literal["auto", "chat", "plain"] = "auto"
    dtype: Dtype = "auto"
    device: Device = "auto"
    trust_remote_code: bool = False

    _name = field_validator("name")(home.legal_name)

    @model_validator(mode="after")
    def _one_source(self) -> ModelSpec:
        from_base = self.adapter is not None and self.base is not None
        if self.path is not None and self.model is not None:
            raise ValueError("give one of `path` (this machine) and `model` (hub id), not both")
        if self.path is None and self.model is None and not from_base:
            raise ValueError("give one of `path` (this machine) and `model` (hub id)")
        if (self.kind == "biomedical") != (self.base is not None):
            raise ValueError("`kind: biomedical` and `base:` go together")
        return self

    @property
    def reference(self) -> str:
        """What the weights are found by."""
        return self.path or self.model or ""

    def with_weights_of(self, base: ModelSpec) -> ModelSpec:
        """Return the spec of an adapter with the weights of its base, where it names none."""
        if self.path is not None or self.model is not None:
            return self
        return self.model_copy(
            update={"path": base.path, "model": base.model, "revision": base.revision}
        )


class Model(Protocol):
    """Renders prompts, scores options and replies; loads its weights on first use."""

    context_tokens: int

    def __init__(self, spec: ModelSpec) -> None: ...

    def digest(self) -> str:
        """Return the identity of weights, number format and prompt format."""

    def facts(self) -> dict[str, object]:
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

        Args:
            prompt: A rendered prompt.
            options: The option texts.

        Returns:
            Sums of natural log-probabilities, with token counts and seconds.

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
