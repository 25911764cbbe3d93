"""Models that transformers runs on this machine."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Collection, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar
from weakref import ref

from ragbench.base.devices import hide_loading_bars, pick_device, pick_dtype
from ragbench.base.endpoint import Endpoint
from ragbench.base.errors import BackendError, PrerequisiteError, first_line
from ragbench.base.files import sha256_json, sha256_text
from ragbench.base.modelfacts import ModelFacts
from ragbench.base.records import Message, OptionScores, Reply
from ragbench.base.weights import locate, weights_digest
from ragbench.models.local.adapter import check_adapter, with_adapter
from ragbench.models.local.attention import suits
from ragbench.models.local.batches import (
    BATCH_SIZE,
    BATCH_TOKENS,
    ENGINE,
    FAILURES,
    WRITTEN_TOKENS,
    Sums,
    Timed,
    score_all,
    write_all,
)
from ragbench.models.local.context import context_of
from ragbench.models.local.generation import greedy, turn_ends
from ragbench.models.local.gguf import converted
from ragbench.models.local.loading import (
    load_weights,
    no_attention,
    require_accelerate,
    settle,
    unavailable,
)
from ragbench.models.local.options import HfOptions
from ragbench.models.local.prefix import option_log_likelihoods
from ragbench.models.local.quantised import check_quantised, quantised
from ragbench.models.local.skeleton import Skeleton, skeleton, stored_parameters
from ragbench.models.local.tree import Scored
from ragbench.models.model import Asked, Choice, OneByOne, or_error
from ragbench.models.rendering import (
    PROBES,
    ChatTemplate,
    control_tokens,
    plain_text,
    start_of_options,
    turns_of,
)
from ragbench.models.spec import BackendOptions, ModelSpec


class HfModel(OneByOne):
    """A causal language model; tokenizer and config load at once, weights on first use.

    Raises:
        PrerequisiteError: The weights are missing and cannot be downloaded.
        UsageError: Nothing states the model's context.
    """

    Options: ClassVar[type[BackendOptions]] = HfOptions

    def __init__(self, spec: ModelSpec) -> None:
        from transformers import AutoConfig, AutoTokenizer

        hide_loading_bars()
        self.spec = spec
        options = spec.read(HfOptions)
        self.device = pick_device(options.device)
        self.dtype = pick_dtype(options.dtype, self.device)
        self._revision = options.revision
        self._origin = locate(spec.reference, hub=options.path is None)
        self._adapter = None if options.adapter is None else locate(options.adapter, hub=False)
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
        where = self._where = f"models: {spec.name}"
        self._quantised = quantised(self._config)
        if self._quantised is not None:
            self._quantised.refuse(options.dtype, self._adapter, where)
            self.dtype = self._quantised.name
        if self._adapter is not None:
            check_adapter(self._adapter)
        self.context_tokens = context_of(
            self._config, self._tokenizer, options.context, where=where
        )
        has_template = bool(self._tokenizer.chat_template)
        self.is_chat = spec.format == "chat" or (spec.format == "auto" and has_template)
        if self.is_chat and not has_template:
            raise PrerequisiteError(
                f"the tokenizer of {spec.name!r} has no chat template",
                where=f"{where}: format: chat",
                fix="write format: plain",
            )
        self._template = ChatTemplate(self._tokenizer, day=options.date, where=where)
        self.batch_size = BATCH_SIZE[self.device]
        self.batch_tokens = options.batch_tokens or BATCH_TOKENS[self.device]
        self._attention = options.attn_implementation
        self._blocks = suits(self._attention, self.device, self.dtype)

    @classmethod
    def sends_to(cls, options: HfOptions) -> tuple[Endpoint, ...]:
        """Return no endpoint: the model runs in this process."""
        return ()

    def check_abilities(self, asked: Collection[Asked]) -> None:
        """Refuse, before the first question, weights that cannot be loaded on this machine.

        Raises:
            PrerequisiteError: A package or a GPU is missing, or the model does not have the
                implementation of attention.
        """
        require_accelerate(self.spec, self.device)
        if self._quantised is not None:
            check_quantised(self._config, self.spec.name, self.device, self._where)
        try:
            self._skeleton  # noqa: B018 - refuses the attention
        except (ImportError, ValueError) as error:
            raise no_attention(self.spec.name, self._attention, error) from None

    @cached_property
    def _skeleton(self) -> Skeleton | None:
        trusted = bool(self._options["trust_remote_code"])
        asked = self._attention, self._blocks
        return skeleton(self._config, *asked, trust_remote_code=trusted)

    def digest(self) -> str:
        """Return the identity of weights, number format, prompt format and computation."""
        between = self._template.between if self.is_chat else ""
        sizes = [self.batch_size, self.batch_tokens, WRITTEN_TOKENS[self.device], "questions"]
        return sha256_json(
            {
                "weights": self._weights_identity(),
                "dtype": self.dtype,
                "format": self.prompt_format,
                "engine": ENGINE,
                "device": self.device,
                "attention": self.attention(),
                "batches": sizes,
                **({"quantised": self._quantised.digest} if self._quantised else {}),
                **({"before the reply": between} if between else {}),
            }
        )

    def attention(self) -> str:
        """Return the implementation of attention, such as ``sdpa``; as asked for if unknown."""
        found = self._sized
        return found.attention if found else self._attention

    @property
    def _sized(self) -> Skeleton | None:
        try:
            return self._skeleton
        except (ImportError, ValueError):  # ``check_abilities`` refuses the attention
            return None

    @property
    def _day(self) -> str | None:
        is_dated = self.is_chat and self._template.is_dated
        return self.spec.read(HfOptions).date.isoformat() if is_dated else None

    def _weights_identity(self) -> str:
        if self._origin is None:
            commit = getattr(self._config, "_commit_hash", None) or self._revision
            weights = f"{self.spec.reference}@{commit}"
        else:
            weights = weights_digest(self._origin)
        return weights + (f"+merged:{weights_digest(self._adapter)}" if self._adapter else "")

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
            footprint=self._sized.footprint(self.dtype, self._quantised) if self._sized else None,
            own={"attention": self.attention(), "batch_tokens": self.batch_tokens},
        )

    def parameters(self) -> int | None:
        """Return the parameters in the headers of local weights; None for the hub.

        Those of quantised weights are packed, so that the config alone has their number.
        """
        if self._quantised is not None:
            return self._sized.parameters if self._sized else None
        try:
            return stored_parameters(Path(self._source))
        except ValueError as error:
            raise unavailable(self.spec, error) from None

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

    def count_all(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, counted by several threads."""
        if not texts:
            return []
        found = self._tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False)
        return list(map(len, found.input_ids))

    def _encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        # A rendered chat template already has its special tokens.
        found = self._tokenizer(list(texts), add_special_tokens=not self.is_chat).input_ids
        return [list(ids) for ids in found]

    @cached_property
    def _model(self) -> Any:
        from safetensors import SafetensorError

        try:
            model = load_weights(
                self.spec,
                self._source,
                dtype=None if self._quantised else self.dtype,
                device=self.device,
                options=self._options,
            )
            if self._adapter is not None:
                model = with_adapter(model, self._adapter, name=self.spec.name)
            return settle(model, self.device, self.spec, blocks=self._blocks)
        except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
            raise unavailable(self.spec, error) from None  # such as out of memory

    def release(self) -> None:
        """Free the weights' memory; they are loaded again on the next use."""
        import gc

        import torch

        if "_model" in self.__dict__:
            kept = ref(self.__dict__.pop("_model"))
            if kept() is not None:  # by a cycle
                gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def score_options(
        self, prompt: str, options: Sequence[str], *, reuse: bool = True
    ) -> OptionScores:
        """Return the log-likelihood of each option as the reply to a rendered prompt.

        Prompt and option are tokenised together, with what a chat template writes before a reply
        between them. The options' tokens start where the prompt's end for every option.
        ``reuse`` computes the prompt once for all options.

        Raises:
            BackendError: The model failed, or a likelihood is not finite.
        """
        if reuse:
            (found,) = self.score_batch([Choice(prompt, options)])
            if isinstance(found, BackendError):
                raise found
            return found
        item, read = self._read(prompt, options)
        started = time.perf_counter()
        starts = [item.start] * len(item.sequences)
        try:
            sums = option_log_likelihoods(self._model, item.sequences, starts, reuse=False)
        except FAILURES as error:
            raise _failed(self.spec, error) from None
        return self._scores(item, read, Sums(sums, time.perf_counter() - started))

    def score_batch(self, items: Sequence[Choice]) -> list[OptionScores | BackendError]:
        """Return the scores of each item, or its error, in the order of items.

        Items share forward passes, and in these the beginnings that they have in common.
        """
        read = [self._read(item.prompt, item.options) for item in items]
        found = score_all(self._model, [item for item, _ in read], budget=self.batch_tokens)
        return [
            or_error(partial(self._scores, *pair, sums))
            if isinstance(sums, Sums)
            else _failed(self.spec, sums)
            for pair, sums in zip(read, found, strict=True)
        ]

    def _read(self, prompt: str, options: Sequence[str]) -> tuple[Scored, int]:
        """Return the tokens of a prompt with each option, and the number of the prompt's."""
        head, blank = prompt, " "
        if self.is_chat:
            head, blank = prompt + self._template.before_reply(prompt), ""
        alike = len({option[:1].casefold() for option in options}) == 1
        texts = [*options, *(PROBES if alike else ())]
        alone, *ids = self._encode_all([head, *(head + blank + text for text in texts)])
        sequences, probes = ids[: len(options)], dict(zip(texts, ids, strict=True))
        probes = {text: probes[text] for text in texts[len(options) :]}
        start = start_of_options(alone, sequences, options, probes)
        return Scored(sequences, start), len(alone)

    def _scores(self, item: Scored, prompt_tokens: int, sums: Sums) -> OptionScores:
        if not all(math.isfinite(value) for value in sums.values):
            raise BackendError(
                f"{self.spec.name} gave a likelihood that is not finite ({sums.values})",
                fix=f"the dtype was {self.dtype}; try dtype: float32",
            )
        return OptionScores(
            log_likelihoods=tuple(sums.values),
            option_tokens=tuple(len(ids) - item.start for ids in item.sequences),
            prompt_tokens=prompt_tokens,
            elapsed_s=sums.elapsed_s,
        )

    def generate(self, prompt: str, *, limit: int) -> Reply:
        """Return the model's reply to a rendered prompt, decoded greedily.

        The repository's sampling and penalty settings are not used. A plain model's reply ends at
        the first blank line, where a new part of the prompt would begin. Special tokens other than
        the end of the turn stay in the reply.

        Raises:
            BackendError: The model failed.
        """
        (found,) = self.generate_batch([prompt], limit=limit)
        if isinstance(found, BackendError):
            raise found
        return found

    def generate_batch(self, items: Sequence[str], *, limit: int) -> list[Reply | BackendError]:
        """Return the reply to each prompt, or its error, in the order of items."""
        model, read = self._model, self._encode_all(items)
        ends = turn_ends(model, self._tokenizer)
        write = partial(
            greedy, model, self._tokenizer, limit=limit, ends=ends, plain=not self.is_chat
        )
        budget = WRITTEN_TOKENS[self.device] if ends else 0
        found = write_all(model, read, write, limit=limit, budget=budget)
        return [
            Reply(
                *(one.written.text, one.written.tokens, one.written.finish),
                *(
                    len(ids),
                    one.elapsed_s,
                    self._template.opened_in(prompt) if self.is_chat else "",
                ),
            )
            if isinstance(one, Timed)
            else _failed(self.spec, one)
            for prompt, ids, one in zip(items, read, found, strict=True)
        ]


def _failed(spec: ModelSpec, error: Exception) -> BackendError:
    return BackendError(
        f"{spec.name} failed: {first_line(error)}",
        fix="a smaller context budget or another dtype or device may help",
    )
