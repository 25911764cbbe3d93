"""Cross-encoders: a transformer that reads a query with a passage and gives the pair one score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, Field

from ragbench.base.devices import (
    Device,
    Dtype,
    hide_loading_bars,
    pick_device,
    pick_dtype,
    torch_dtype,
)
from ragbench.base.errors import BackendError, PrerequisiteError, UsageError, first_line
from ragbench.base.files import sha256_text
from ragbench.base.weights import locate, weights_digest
from ragbench.base.yamlfile import Fields
from ragbench.indexes.dense.batches import token_batches
from ragbench.indexes.dense.prompts import pair_prompt
from ragbench.indexes.recipe import HubModels

Pair = tuple[str, str]
MIN_PASSAGE = 64  # tokens that a passage keeps beside a query, however long


class RerankerCard(Fields):
    """Which cross-encoder scores the pairs, and how.

    Attributes:
        model: A folder, ``package:NAME/FOLDER`` or a hub id of a sequence classifier of one label.
        revision: The hub revision; part of the identity.
        max_tokens: A longer pair loses the end of its passage; a query only what leaves the
            passage less than 64 tokens (or a quarter of ``max_tokens``, if that is less).
        template: What the cross-encoder sees of a passage.
        dtype: float32 by default, in which the order of hits does not depend on the batch.
        batch_tokens: Tokens in one forward pass, with padding.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    revision: str | None = None
    max_tokens: int = Field(512, ge=16)
    template: str = "{title}\n{text}"
    dtype: Dtype = "float32"
    batch_tokens: int = Field(4096, gt=0)

    def identity(self) -> dict[str, Any]:
        """Return the options that can change a score."""
        return self.model_dump(exclude={"batch_tokens"})

    def hub_models(self) -> HubModels:
        """Return the model with its revision if it comes from the hub."""
        return {self.model: self.revision} if locate(self.model) is None else {}

    def digest(self) -> str:
        """Return the digest of the model's files, or the hub's id, revision and default prompt."""
        path = locate(self.model)
        if path is not None:
            return weights_digest(path)
        prompt = pair_prompt(self.model, self.revision)
        return f"{self.model}@{self.revision}" + (f"+{sha256_text(prompt)}" if prompt else "")


class CrossEncoder:
    """A loaded cross-encoder.

    Raises:
        PrerequisiteError: The weights are missing, or are not a classifier of one label.
        UsageError: The card's ``max_tokens`` are more than the model has positions for.
    """

    def __init__(self, card: RerankerCard, device: Device) -> None:
        hide_loading_bars()
        self.card = card
        self.device = pick_device(device)
        self.dtype = pick_dtype(card.dtype, self.device)
        self._tokenizer, self._model = self._load()
        self._prompt = pair_prompt(card.model, card.revision)
        self._room = card.max_tokens - self._tokenizer.num_special_tokens_to_add(pair=True)

    def _load(self) -> tuple[Any, Any]:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        path = locate(self.card.model)
        source = self.card.model if path is None else str(path)
        # Said outright: else transformers asks at the terminal whether a model's code may run.
        where = {
            "revision": self.card.revision,
            "local_files_only": path is not None,
            "trust_remote_code": False,
        }
        if self.card.revision is None:
            del where["revision"]
        try:
            tokenizer = AutoTokenizer.from_pretrained(source, **where)
            model, report = AutoModelForSequenceClassification.from_pretrained(
                source,
                dtype=torch_dtype(self.dtype),
                use_safetensors=True,
                output_loading_info=True,
                **where,
            )
        except (OSError, ValueError) as error:
            raise self._unfit(f"cannot be loaded: {first_line(error)}") from None
        if missing := sorted(report["missing_keys"]):  # they would be random numbers
            raise self._unfit(f"has no weights {', '.join(missing[:3])}")
        if model.config.num_labels != 1:
            raise self._unfit(f"has {model.config.num_labels} labels, not one score")
        self._check_length(model)
        return tokenizer, model.to(self.device).eval()

    def _check_length(self, model: Any) -> None:
        """Refuse pairs longer than the model has positions for."""
        positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        embeddings = getattr(model.base_model, "embeddings", None)
        table = getattr(embeddings, "position_embeddings", None)
        padding = getattr(table, "padding_idx", None)  # RoBERTa counts from the one after it
        room = positions - (0 if padding is None else padding + 1) if positions else None
        if room is not None and self.card.max_tokens > room:
            raise UsageError(
                f"the reranker reads at most {room:,} tokens, not {self.card.max_tokens:,}",
                where=f"reranker: max_tokens, of {self.card.model}",
                fix=f"write `max_tokens: {room}` or less",
            )

    def _unfit(self, what: str) -> PrerequisiteError:
        return PrerequisiteError(
            f"the reranker {what}",
            where=f"reranker: model: {self.card.model}",
            fix="give a cross-encoder of one label; check the path or id; a hub model needs the "
            "network once",
        )

    def scores(self, pairs: Sequence[Pair]) -> npt.NDArray[np.float32]:
        """Return the model's raw outputs for pairs of a query and a text, in their order.

        The model's default prompt, if it has one, comes before each query.
        The template has been applied to the texts; equal pairs have equal scores.

        Raises:
            BackendError: A score is not finite.
        """
        import torch

        pairs = [(self._prompt + query, text) for query, text in pairs]
        each = {pair: place for place, pair in enumerate(dict.fromkeys(pairs))}
        if not each:
            return np.empty(0, dtype=np.float32)
        tokens = self._tokenise(list(each))
        found = np.empty(len(each), dtype=np.float32)
        with torch.inference_mode():
            for rows in token_batches([len(ids) for ids in tokens["input_ids"]], self._budget()):
                some = {key: [values[row] for row in rows] for key, values in tokens.items()}
                padded = self._tokenizer.pad(some, return_tensors="pt").to(self.device)
                found[rows] = self._model(**padded).logits[:, 0].float().cpu().numpy()
        if not np.isfinite(found).all():
            bad = list(each)[int(np.flatnonzero(~np.isfinite(found))[0])]
            raise BackendError(
                f"the reranker gave a score that is not finite for the query {bad[0][:80]!r}",
                where=self.card.model,
                fix="set the reranker's dtype: float32",
            )
        return found[[each[pair] for pair in pairs]]

    def _budget(self) -> int:
        return max(self.card.batch_tokens, self.card.max_tokens)

    def _tokenise(self, pairs: Sequence[Pair]) -> dict[str, list[list[int]]]:
        queries = self._cut(list(dict.fromkeys(query for query, _ in pairs)))
        found: dict[str, list[list[int]]] = self._tokenizer(
            [queries[query] for query, _ in pairs],
            [text for _, text in pairs],
            truncation="only_second",
            max_length=self.card.max_tokens,
        ).data
        return found

    def _cut(self, queries: list[str]) -> dict[str, str]:
        """Cut queries that leave a passage too little room; most are as they were."""
        room = self._room - min(MIN_PASSAGE, self.card.max_tokens // 4)
        marks = self._tokenizer(
            queries, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )["offset_mapping"]
        return {
            query: query if len(ends) <= room else query[: ends[room - 1][1]]
            for query, ends in zip(queries, marks, strict=True)
        }
