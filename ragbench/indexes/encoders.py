"""Sentence encoders: what a dense recipe says of its encoder, and the encoder at work."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from ragbench.devices import (
    Device,
    Dtype,
    hide_loading_bars,
    pick_device,
    pick_dtype,
    torch_dtype,
)
from ragbench.errors import BackendError, PrerequisiteError, first_line
from ragbench.weights import locate, weights_digest

Vectors = npt.NDArray[np.float32]


class EncoderCard(BaseModel):
    """Which encoder made the vectors, and how; an index opens with no other.

    Attributes:
        model: ``package:NAME/FOLDER``, a local folder or a hub id, in sentence-transformers'
            layout, which holds the pooling.
        revision: The hub revision; part of the identity.
        normalise: Whether vectors are scaled to unit length (after pooling, in float32).
        max_tokens: Longer texts are cut by the encoder.
        template: What the encoder sees of a passage.
        query_prefix: Put before every query.
        dtype: ``auto`` is bfloat16 where the hardware has it.
        batch_size: Texts in one forward pass.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    revision: str | None = None
    normalise: bool = True
    max_tokens: int = Field(256, gt=0)
    template: str = "{title}\n{text}"
    query_prefix: str = ""
    dtype: Dtype = "auto"
    batch_size: int = Field(64, gt=0)

    def digest(self) -> str:
        """Return the digest of the weights, or the id and revision of a hub model."""
        path = locate(self.model)
        return f"{self.model}@{self.revision}" if path is None else weights_digest(path)


class Encoder:
    """A loaded encoder.

    Args:
        card: Which encoder.
        device: Where it computes.
        dtype: The number format; None resolves the card's.

    Raises:
        PrerequisiteError: The weights are not here and cannot be had.
    """

    def __init__(self, card: EncoderCard, device: Device, dtype: Dtype | None = None) -> None:
        from sentence_transformers import SentenceTransformer

        hide_loading_bars()
        self.card = card
        self.device = pick_device(device)
        self.dtype = pick_dtype(dtype or card.dtype, self.device)
        path = locate(card.model)
        try:
            self._model = SentenceTransformer(
                card.model if path is None else str(path),
                device=self.device,
                revision=card.revision,
                local_files_only=path is not None,
                model_kwargs={"dtype": torch_dtype(self.dtype), "use_safetensors": True},
            )
        except (OSError, ValueError) as error:
            raise PrerequisiteError(
                f"the encoder cannot be loaded: {first_line(error)}",
                where=f"encoder: model: {card.model}",
                fix="check the path or id; a hub model needs the network once",
            ) from None
        with suppress(AttributeError):  # a static model reads texts of any length
            self._model.max_seq_length = card.max_tokens

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return int(self._encode([""]).shape[1])

    def passages(self, texts: Sequence[str]) -> Vectors:
        """Encode passages that the template has been applied to, as float32 (N, D)."""
        return self._encode(texts)

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Encode queries, as float32 (Q, D)."""
        return self._encode([self.card.query_prefix + text for text in texts])

    def _encode(self, texts: Sequence[str]) -> Vectors:
        found: Any = self._model.encode(
            list(texts),
            batch_size=self.card.batch_size,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        vectors: Vectors = np.ascontiguousarray(found, dtype=np.float32)
        if not np.isfinite(vectors).all():
            bad = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
            raise BackendError(
                f"the encoder gave a vector that is not finite for {texts[bad][:80]!r}",
                where=self.card.model,
                fix="set the encoder's dtype: float32",
            )
        if self.card.normalise:
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors
