"""Models that transformers runs on this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

from ragbench.base.devices import Device, pick_device, torch_dtype
from ragbench.base.endpoint import Endpoint
from ragbench.base.errors import BackendError, PrerequisiteError, first_line
from ragbench.base.records import OptionScores, Reply
from ragbench.base.weights import locate, weights_digest
from ragbench.models.local.adapter import check_adapter, with_adapter
from ragbench.models.local.generation import forget_sampling, greedy, turn_ends
from ragbench.models.local.model import LocalModel, LocalOptions, unavailable
from ragbench.models.local.prefix import option_log_likelihoods, use_float32_output
from ragbench.models.spec import BackendOptions, ModelSpec, Weights

# Out of memory, and what the code of a rare family raises on an input.
FAILURES = (RuntimeError, IndexError, ValueError, TypeError, AttributeError)


class HfOptions(LocalOptions):
    """Keys of the backend ``hf``.

    Attributes:
        path: ``package:NAME/FILE``, a local folder or a ``.gguf`` file.
        model: Id on the model hub. One of ``path`` and ``model`` is needed, except with an
            ``adapter`` whose ``base`` has the weights.
        adapter: Folder of a PEFT adapter in safetensors, or ``package:NAME/FOLDER``.
        revision: Revision on the hub.
        dtype: ``auto`` is bfloat16 if the hardware supports it.
        device: ``auto`` is the GPU if there is one.
        trust_remote_code: Whether code in the model's repository may run.
        context: Maximum tokens of prompt and reply, if the model states none, or to use fewer.
        date: The date in the prompts of a chat template that writes today's.
    """

    adapter: str | None = None
    device: Device = "auto"

    @property
    def weights(self) -> Weights:
        """Location of the weights; the reference is empty if only the base has it."""
        return Weights(self.path or self.model or "", self.adapter)

    @property
    def may_lack_weights(self) -> bool:
        """Whether another entry may have the weights: that of an adapter's base."""
        return self.adapter is not None

    def with_weights_of(self, base: BackendOptions) -> HfOptions:
        """Return an adapter's options with the weights of its base, if they name none."""
        if self.weights.reference or not isinstance(base, HfOptions):
            return self
        return self.model_copy(
            update={"path": base.path, "model": base.model, "revision": base.revision}
        )


class HfModel(LocalModel):
    """A causal language model; tokenizer and config load at once, weights on first use.

    Raises:
        PrerequisiteError: The weights are missing and cannot be downloaded.
        UsageError: Nothing states the model's context.
    """

    Options: ClassVar[type[BackendOptions]] = HfOptions

    def __init__(self, spec: ModelSpec) -> None:
        options = spec.read(HfOptions)
        self._adapter = None if options.adapter is None else locate(options.adapter, hub=False)
        super().__init__(spec, pick_device(options.device))
        if self._adapter is not None:
            check_adapter(self._adapter)

    @classmethod
    def sends_to(cls, options: HfOptions) -> tuple[Endpoint, ...]:
        """Return no endpoint: the model runs in this process."""
        return ()

    def _weights_identity(self) -> str:
        merged = f"+merged:{weights_digest(self._adapter)}" if self._adapter else ""
        return super()._weights_identity() + merged

    @cached_property
    def _model(self) -> Any:
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM

        try:
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                self._source,
                dtype=torch_dtype(self.dtype),
                use_safetensors=True,
                output_loading_info=True,
                **self._options,
            )
        except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
            raise unavailable(self.spec, error) from None
        model, report = loaded
        if missing := sorted(
            report["missing_keys"]
        ):  # transformers fills these with random numbers
            raise PrerequisiteError(
                f"the weights of {self.spec.name!r} are missing {len(missing)} tensors of a causal "
                f"language model, such as {missing[0]}",
                where=f"models: {self.spec.name}: {self.spec.reference}",
                fix="give a whole causal language model, not an encoder",
            )
        if self._adapter is not None:
            model = with_adapter(model, self._adapter, name=self.spec.name)
        try:
            model = model.to(self.device).eval()
        except RuntimeError as error:  # such as out of memory
            raise unavailable(self.spec, error) from None
        use_float32_output(model)
        forget_sampling(model)
        return model

    def release(self) -> None:
        """Free the weights' memory; they are loaded again on the next use."""
        import gc

        import torch

        if self.__dict__.pop("_model", None) is not None:
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
        started = time.perf_counter()
        tokens = self.tokenise(prompt, options)
        model = self._model
        try:
            sums = option_log_likelihoods(
                model, tokens.sequences, [tokens.start] * len(tokens.sequences), reuse=reuse
            )
        except FAILURES as error:
            raise _failed(self.spec, error) from None
        if not all(math.isfinite(value) for value in sums):
            raise BackendError(
                f"{self.spec.name} gave a likelihood that is not finite ({sums})",
                fix=f"the dtype was {self.dtype}; try dtype: float32",
            )
        return tokens.scored(sums, time.perf_counter() - started)

    def generate(self, prompt: str, *, limit: int) -> Reply:
        """Return the model's reply to a rendered prompt, decoded greedily.

        The repository's sampling and penalty settings are not used. A plain model's reply ends at
        the first blank line, where a new part of the prompt would begin. Special tokens other than
        the end of the turn stay in the reply.

        Raises:
            BackendError: The model failed.
        """
        started = time.perf_counter()
        ids = self._encode(prompt)
        model = self._model
        try:
            text, tokens, finish = greedy(
                model,
                self._tokenizer,
                ids,
                limit=limit,
                ends=turn_ends(model, self._tokenizer),
                plain=not self.is_chat,
            )
        except FAILURES as error:
            raise _failed(self.spec, error) from None
        opened = self._template.opened_in(prompt) if self.is_chat else ""
        return Reply(text, tokens, finish, len(ids), time.perf_counter() - started, opened)


def _failed(spec: ModelSpec, error: Exception) -> BackendError:
    return BackendError(
        f"{spec.name} failed: {first_line(error)}",
        fix="a smaller context budget or another dtype or device may help",
    )
