"""Models with weights on this machine: what the backends that run them share."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from ragbench.base.devices import Dtype, hide_loading_bars, pick_dtype
from ragbench.base.errors import PrerequisiteError, first_line
from ragbench.base.files import plain_file, sha256_json, sha256_text
from ragbench.base.modelfacts import ModelFacts
from ragbench.base.records import Message, OptionScores
from ragbench.base.weights import locate, weights_digest
from ragbench.models.local.context import context_of
from ragbench.models.local.gguf import converted
from ragbench.models.model import OneByOne
from ragbench.models.rendering import (
    PROBES,
    TEMPLATE_DAY,
    ChatTemplate,
    control_tokens,
    plain_text,
    start_of_options,
    turns_of,
)
from ragbench.models.spec import BackendOptions, ModelSpec, Weights


class LocalOptions(BackendOptions):
    """Keys of every backend with weights on this machine; the backends say what they mean."""

    path: str | None = None
    model: str | None = None
    revision: str | None = None
    dtype: Dtype = "auto"
    trust_remote_code: bool = False
    context: int | None = Field(None, gt=0)
    date: datetime.date = TEMPLATE_DAY

    @model_validator(mode="after")
    def _one_source(self) -> LocalOptions:
        if self.path is not None and self.model is not None:
            raise ValueError("give one of `path` (this machine) and `model` (hub id), not both")
        if self.path is None and self.model is None and not self.may_lack_weights:
            raise ValueError("give one of `path` (this machine) and `model` (hub id)")
        return self

    @property
    def may_lack_weights(self) -> bool:
        """Whether another entry may have the weights."""
        return False

    @property
    def weights(self) -> Weights:
        """Location of the weights."""
        return Weights(self.path or self.model or "")

    @property
    def stated_context(self) -> int | None:
        """Context in tokens, if the config states it."""
        return self.context


@dataclass(frozen=True, slots=True)
class Tokens:
    """A prompt with options as its reply.

    Attributes:
        alone: Tokens of the prompt.
        sequences: Those of the prompt with each option.
        start: Where the options' tokens start in each sequence, where the prompt's end for every
            option.
    """

    alone: Sequence[int]
    sequences: Sequence[Sequence[int]]
    start: int

    def scored(self, sums: Sequence[float], elapsed_s: float) -> OptionScores:
        """Return the scores of the options with these log-likelihoods."""
        return OptionScores(
            log_likelihoods=tuple(sums),
            option_tokens=tuple(len(ids) - self.start for ids in self.sequences),
            prompt_tokens=len(self.alone),
            elapsed_s=elapsed_s,
        )


class LocalModel(OneByOne):
    """The tokenizer, prompts and identity of a model with weights on this machine.

    Raises:
        PrerequisiteError: The weights are missing and cannot be downloaded.
        UsageError: Nothing states the model's context.
    """

    def __init__(self, spec: ModelSpec, device: str) -> None:
        from transformers import AutoConfig, AutoTokenizer

        hide_loading_bars()
        self.spec = spec
        options = spec.read(LocalOptions)
        self.device = device
        self.dtype = pick_dtype(options.dtype, self.device)
        self._revision = options.revision
        self._origin = locate(spec.reference, hub=options.path is None)
        folder = self._origin
        if folder is not None and folder.is_file():
            folder = converted(folder)
        self._source = spec.reference if folder is None else str(folder)
        self._options: dict[str, Any] = {
            "revision": options.revision,
            "local_files_only": folder is not None,
            "trust_remote_code": options.trust_remote_code,
        }
        try:
            self._config: Any = AutoConfig.from_pretrained(self._source, **self._options)
            self._tokenizer: Any = AutoTokenizer.from_pretrained(self._source, **self._options)
        except Exception as error:  # tokenizers raises a bare one on a damaged file
            raise unavailable(spec, error) from None
        where = f"models: {spec.name}"
        self.context_tokens = context_of(
            self._config, self._tokenizer, options.context, where=where
        )
        self.is_chat = spec.format == "chat" or (
            spec.format == "auto" and bool(self._tokenizer.chat_template)
        )
        if self.is_chat and not self._tokenizer.chat_template:
            raise PrerequisiteError(
                f"the tokenizer of {spec.name!r} has no chat template",
                where=f"models: {spec.name}: format: chat",
                fix="write format: plain",
            )

        self._template = ChatTemplate(self._tokenizer, day=options.date, where=where)

    def digest(self) -> str:
        """Return the identity of weights, number format and prompt format."""
        between = self._template.between if self.is_chat else ""
        return sha256_json(
            {
                "weights": self._weights_identity(),
                "dtype": self.dtype,
                "format": self.prompt_format,
                **({"before the reply": between} if between else {}),
            }
        )

    @property
    def _day(self) -> str | None:
        is_dated = self.is_chat and self._template.is_dated
        return self.spec.read(LocalOptions).date.isoformat() if is_dated else None

    def _weights_identity(self) -> str:
        if self._origin is not None:
            return weights_digest(self._origin)
        commit = getattr(self._config, "_commit_hash", None) or self._revision
        return f"{self.spec.reference}@{commit}"

    def facts(self) -> ModelFacts:
        """Return the facts that the run folder records."""
        template = self._tokenizer.chat_template if self.is_chat else None
        return ModelFacts(
            digest=self.digest(),
            weights=self._weights_identity(),
            dtype=self.dtype,
            device=self.device,
            format=self.prompt_format,
            chat_template_digest=sha256_text(str(template)) if template else None,
            context_tokens=self.context_tokens,
            architecture=(getattr(self._config, "architectures", None) or ["unknown"])[0],
            parameters=self.parameters(),
            template_day=self._day,
        )

    def parameters(self) -> int | None:
        """Return the parameters in the headers of local weights; None for the hub."""
        from safetensors import SafetensorError, safe_open

        files = sorted(Path(self._source).glob("*.safetensors"))
        if not files:
            return None
        total = 0
        for file in files:
            try:
                with safe_open(plain_file(file), framework="numpy") as tensors:
                    for name in tensors.keys():  # noqa: SIM118 - not a mapping
                        total += math.prod(tensors.get_slice(name).get_shape())
            except SafetensorError as error:
                raise unavailable(self.spec, error) from None
        return total

    def render(self, messages: Sequence[Message]) -> str:
        """Return the prompt as the model reads it, up to the start of its reply.

        A chat prompt is the template's text with the assistant's turn opened; the system turn joins
        the first user turn if the template has no system role. A plain prompt is the contents
        separated by blank lines, with each reply after ``Answer:``. A last assistant turn is the
        beginning of the reply. A control token that a content spells out, such as ``<|im_end|>``,
        is broken by a blank, so that no passage can end its turn or open another.

        Raises:
            PrerequisiteError: The chat template refuses a turn or leaves it out.
        """
        turns, reply_start = turns_of(messages, self._control)
        if self.is_chat:
            return self._template.text(turns, reply_start)
        return plain_text(turns, reply_start)

    def continuation(self, option: str) -> str:
        """Return an option as it follows the prompt: after what the chat template writes first."""
        return self._template.between + option if self.is_chat else " " + option

    @cached_property
    def _control(self) -> re.Pattern[str] | None:
        return control_tokens(self._tokenizer)

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens without special tokens."""
        return len(self._tokenizer(text, add_special_tokens=False).input_ids)

    def _encode(self, text: str) -> list[int]:
        # A rendered chat template already has its special tokens.
        return list(self._tokenizer(text, add_special_tokens=not self.is_chat).input_ids)

    def tokenise(self, prompt: str, options: Sequence[str]) -> Tokens:
        """Return a rendered prompt with each option as its reply, tokenised together.

        What a chat template writes before a reply is between the two.
        """
        head, blank = prompt, " "
        if self.is_chat:
            head, blank = prompt + self._template.before_reply(prompt), ""
        alone = self._encode(head)
        sequences = [self._encode(head + blank + option) for option in options]
        alike = len({option[:1].casefold() for option in options}) == 1
        probes = {text: self._encode(head + blank + text) for text in PROBES if alike}
        return Tokens(alone, sequences, start_of_options(alone, sequences, options, probes))


def unavailable(spec: ModelSpec, error: Exception) -> PrerequisiteError:
    """Return the error for weights that cannot be loaded."""
    return PrerequisiteError(
        f"the model {spec.name!r} cannot be loaded: {first_line(error)}",
        where=f"models: {spec.name}: {spec.reference}",
        fix="check the path or id; a hub model needs the network once, and a gated one a login",
    )
