"""Sentence encoders: what a dense recipe says of its encoder, and the encoder at work."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from ragbench.base.devices import Device, Dtype, pick_device, pick_dtype
from ragbench.base.errors import BackendError, UsageError
from ragbench.base.files import sha256_json
from ragbench.base.progress import say
from ragbench.base.weights import locate, weights_digest
from ragbench.base.yamlfile import Fields
from ragbench.corpora.cleaned import clean_query
from ragbench.indexes.dense.encoder_model import CPU_TOKENS, EncoderModel, Pooling, Route, Text
from ragbench.indexes.dense.encoder_model import Vectors as Vectors  # what every index calls them
from ragbench.indexes.dense.precomputed import vectors_digest
from ragbench.indexes.dense.prompts import Prompts, own_prompts
from ragbench.indexes.recipe import HubModels

SEPARATOR = "[SEP]"
# Options of the query or of the speed; no passage's vector depends on them.
NOT_OF_PASSAGES = {
    "query_model",
    "query_revision",
    "query_prefix",
    "query_max_tokens",
    "batch_size",
    "batch_tokens",
    "dtype",  # kept as it was resolved
    "vectors",  # kept as a digest
}
# Not written where they have their default, so that older digests hold.
LATER = {
    "query_model",
    "query_revision",
    "pooling",
    "query_max_tokens",
    "pairs",
    "passage_prefix",
    "batch_tokens",
    "vectors",
}


class EncoderCard(Fields):
    """Which encoder made the vectors, and how; an index opens with no other.

    Attributes:
        model: ``package:NAME/FOLDER``, a local folder or a hub id: a model of
            sentence-transformers, or a plain transformer.
        revision: Revision on the hub; part of the identity.
        query_model: Model that encodes queries, if it is another one.
        query_revision: Revision of the query model on the hub.
        pooling: ``auto`` follows the model's folder, else it is the mean over tokens.
        normalise: Whether vectors are scaled to unit length (after pooling, in float32).
        max_tokens: Maximum tokens of a text; the encoder cuts longer ones.
        query_max_tokens: Maximum tokens of a query, if it is another number.
        template: Text of a passage that the encoder reads.
        pairs: Whether a passage is a pair of texts, those before and after ``[SEP]`` in the
            template. Without a title, the first text is empty.
        passage_prefix: Text before every passage, instead of the prompt that the model states for
            passages; an empty text leaves that prompt out.
        query_prefix: Text before every query, in the same way.
        dtype: ``auto`` is bfloat16 if the hardware supports it.
        batch_size: Maximum number of texts of ``max_tokens`` in a forward pass, which has more of
            shorter texts.
        batch_tokens: Maximum tokens in a forward pass, with padding, instead of ``batch_size``; the
            default suits a processor.
        vectors: Vectors of the passages that were made elsewhere: an ``.npy`` file, or a folder of
            them in the order of the corpus. ``model`` then encodes the queries.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    revision: str | None = None
    query_model: str | None = None
    query_revision: str | None = None
    pooling: Pooling = "auto"
    normalise: bool = True
    max_tokens: int = Field(256, gt=0)
    query_max_tokens: int | None = Field(None, gt=0)
    template: str = "{title}\n{text}"
    pairs: bool = False
    passage_prefix: str | None = None
    query_prefix: str | None = None
    dtype: Dtype = "auto"
    batch_size: int = Field(64, gt=0)
    batch_tokens: int | None = Field(None, gt=0)
    vectors: str | None = None

    @model_validator(mode="after")
    def _check(self) -> EncoderCard:
        if self.pairs and self.template.count(SEPARATOR) != 1:
            raise ValueError(
                f"`pairs: true` needs a template with one {SEPARATOR} between its two texts, such "
                f'as "{{title}} {SEPARATOR} {{text}}"'
            )
        if self.query_revision is not None and self.query_model is None:
            raise ValueError("`query_revision` is of a `query_model`, and there is none")
        return self

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = handler(self)
        fields = type(self).model_fields
        written = {
            key: value
            for key, value in found.items()
            if key not in LATER or value != fields[key].default
        }
        # Where the model states no prompt, digests are those of a card with an empty prefix.
        if "query_prefix" in written and self.query_prefix is None:
            if self._prompts(queries=True).query:
                del written["query_prefix"]
            else:
                written["query_prefix"] = ""
        if written.get("passage_prefix") == "" and not self._prompts(queries=False).document:
            del written["passage_prefix"]
        return written

    def _prompts(self, *, queries: bool) -> Prompts:
        return own_prompts(*(self.query_side() if queries else (self.model, self.revision)))

    def query_prompt(self) -> str:
        """Return the model's own prompt for queries; empty where the card has a prefix."""
        return self._prompts(queries=True).query if self.query_prefix is None else ""

    def passage_prompt(self) -> str:
        """Return the model's own prompt for passages; empty where the card has a prefix."""
        return self._prompts(queries=False).document if self.passage_prefix is None else ""

    def passage_digest(self) -> str:
        """Return the digest of what makes a passage's vector: the model, or given vectors."""
        if self.vectors is not None:
            return vectors_digest(self.vectors)
        return _prompted(_weights(self.model, self.revision), self.passage_prompt())

    def digest(self) -> str:
        """Return the digest of the weights, or the id and revision of a hub model.

        Prompts of the model's own are part of it. Where queries are encoded otherwise than
        passages, it is that of both digests.
        """
        queries = _prompted(_weights(*self.query_side()), self.query_prompt())
        passages = self.passage_digest()
        return passages if queries == passages else sha256_json([passages, queries])

    def hub_models(self) -> HubModels:
        """Return its models that come from the hub, with their revisions."""
        models = {self.model: self.revision}
        if self.query_model is not None:
            models[self.query_model] = self.query_revision
        return {model: revision for model, revision in models.items() if locate(model) is None}

    def query_side(self) -> tuple[str, str | None]:
        """Return the model that encodes queries, and its revision."""
        if self.query_model is None:
            return self.model, self.revision
        return self.query_model, self.query_revision


def _weights(model: str, revision: str | None) -> str:
    path = locate(model)
    return f"{model}@{revision}" if path is None else weights_digest(path)


def _prompted(weights: str, prompt: str) -> str:
    return sha256_json([weights, prompt]) if prompt else weights


class Encoder:
    """A loaded encoder; where passages have a model of their own, it is loaded when needed.

    Without ``dtype``, the card decides; ``device_name`` is one of several devices of a kind, as
    torch names it.

    Raises:
        PrerequisiteError: The weights are missing and cannot be had.
    """

    def __init__(
        self,
        card: EncoderCard,
        device: Device,
        dtype: Dtype | None = None,
        *,
        device_name: str | None = None,
    ) -> None:
        self.card = card
        self.device = pick_device(device)
        self.dtype = pick_dtype(dtype or card.dtype, self.device)
        self._device_name = device_name or self.device
        self._query_tokens = card.query_max_tokens or card.max_tokens
        most = self._query_tokens
        if card.query_model is None and card.vectors is None:
            most = max(most, card.max_tokens)
        self._queries = self._loaded(*card.query_side(), most)
        self._prompts = card.passage_prompt(), card.query_prompt()
        for prompts in {own_prompts(card.model, card.revision), own_prompts(*card.query_side())}:
            if prompts.unused:
                names = ", ".join(prompts.unused)
                say(f"{card.model}: prompts that are not used: {names} (query_prefix gives one)")

    def _loaded(self, model: str, revision: str | None, max_tokens: int) -> EncoderModel:
        return EncoderModel(
            *(model, revision),
            pooling=self.card.pooling,
            max_tokens=max_tokens,
            device_name=self._device_name,
            dtype=self.dtype,
        )

    @cached_property
    def _passages(self) -> EncoderModel:
        if self.card.query_model is None:
            return self._queries
        side = self._loaded(self.card.model, self.card.revision, self.card.max_tokens)
        if side.dimension != self.dimension:
            raise UsageError(
                f"the vectors of passages have {side.dimension:,} numbers, those of queries "
                f"{self.dimension:,}",
                where=f"encoder: model: {self.card.model}, query_model: {self.card.query_model}",
                fix="give two models that were trained together",
            )
        return side

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return self._queries.dimension

    def passages(self, texts: Sequence[str]) -> Vectors:
        """Encode passages that the template has been applied to, as float32 (N, D)."""
        given = self._given(texts)
        tokens = self.card.max_tokens
        return self._finished(self._passages, given, tokens, self._prompts[0], "document")

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens are read of each passage, those of the model's own included."""
        given = self._given(texts)
        return self._passages.lengths(given, self.card.max_tokens, prompt=self._prompts[0])

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Encode queries without invisible characters, as float32 (Q, D)."""
        prefixed = [(self.card.query_prefix or "") + clean_query(text) for text in texts]
        tokens = self._query_tokens
        return self._finished(self._queries, prefixed, tokens, self._prompts[1], "query")

    def _given(self, texts: Sequence[str]) -> Sequence[Text]:
        prefixed = [(self.card.passage_prefix or "") + text for text in texts]
        return [_pair(text) for text in prefixed] if self.card.pairs else prefixed

    def _finished(
        self,
        side: EncoderModel,
        texts: Sequence[Text],
        max_tokens: int,
        prompt: str,
        route: Route,
    ) -> Vectors:
        vectors = side.encode(
            texts, max_tokens=max_tokens, budget=self.budget, prompt=prompt, route=route
        )
        if not np.isfinite(vectors).all():
            bad = texts[int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])]
            text = bad if isinstance(bad, str) else " ".join(bad)
            raise BackendError(
                f"the encoder gave a vector that is not finite for {text[:80]!r}",
                where=side.model,
                fix="set the encoder's dtype: float32",
            )
        return unit(vectors) if self.card.normalise else vectors

    @property
    def budget(self) -> int:
        """Tokens of one forward pass, with padding."""
        if self.card.batch_tokens is not None:
            return self.card.batch_tokens
        most = self.card.batch_size * self.card.max_tokens
        return most if self.device == "cuda" else min(most, CPU_TOKENS)


def unit(vectors: Vectors) -> Vectors:
    """Return vectors scaled to unit length; one of zeros stays as it is."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


def _pair(text: str) -> tuple[str, str]:
    title, _, rest = text.partition(SEPARATOR)
    return title.strip(), rest.strip()
