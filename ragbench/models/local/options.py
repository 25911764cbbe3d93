"""Keys of the backend ``hf``."""

from __future__ import annotations

import datetime
from typing import Literal

from pydantic import Field, model_validator

from ragbench.base.devices import Device, Dtype
from ragbench.models.rendering import TEMPLATE_DAY
from ragbench.models.spec import BackendOptions, Weights


class HfOptions(BackendOptions):
    """Keys of the backend ``hf``.

    Attributes:
        path: ``package:NAME/FILE``, a local folder or a ``.gguf`` file.
        model: Id on the model hub. One of ``path`` and ``model`` is needed, except with an
            ``adapter`` whose ``base`` has the weights.
        adapter: Folder of a PEFT adapter in safetensors, or ``package:NAME/FOLDER``.
        revision: Revision on the hub.
        dtype: ``auto`` is bfloat16 if the hardware supports it. Quantised weights keep theirs.
        device: ``auto`` is the GPU if there is one.
        device_map: ``auto`` spreads the layers over all GPUs; a processor takes them whole.
        attn_implementation: Implementation of attention; ``auto`` is the one that transformers
            chooses. ``flash_attention_2`` needs its package and scores prompts one by one.
        batch_tokens: Tokens of a pass beyond which more bring little; by default 512 on a
            processor and 8,192 on a GPU.
        trust_remote_code: Whether code in the model's repository may run.
        context: Maximum tokens of prompt and reply, if the model states none, or to use fewer.
        date: The date in the prompts of a chat template that writes today's.
    """

    path: str | None = None
    model: str | None = None
    adapter: str | None = None
    revision: str | None = None
    dtype: Dtype = "auto"
    device: Device = "auto"
    device_map: Literal["auto"] | None = None
    attn_implementation: Literal["auto", "eager", "sdpa", "flash_attention_2"] = "auto"
    batch_tokens: int | None = Field(None, gt=0)
    trust_remote_code: bool = False
    context: int | None = Field(None, gt=0)
    date: datetime.date = TEMPLATE_DAY

    @model_validator(mode="after")
    def _one_source(self) -> HfOptions:
        if self.path is not None and self.model is not None:
            raise ValueError("give one of `path` (this machine) and `model` (hub id), not both")
        if self.path is None and self.model is None and self.adapter is None:
            raise ValueError("give one of `path` (this machine) and `model` (hub id)")
        return self

    @property
    def weights(self) -> Weights:
        """Location of the weights; the reference is empty if only the base has it."""
        return Weights(self.path or self.model or "", self.adapter)

    @property
    def stated_context(self) -> int | None:
        """Context in tokens, if the config states it."""
        return self.context

    def with_weights_of(self, base: BackendOptions) -> HfOptions:
        """Return an adapter's options with the weights of its base, if they name none."""
        if self.weights.reference or not isinstance(base, HfOptions):
            return self
        return self.model_copy(
            update={"path": base.path, "model": base.model, "revision": base.revision}
        )
