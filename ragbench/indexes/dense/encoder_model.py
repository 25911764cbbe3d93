"""A loaded sentence-transformers model that encodes texts in batches of a token budget.

Texts are tokenised once, sorted by length and run through the model's own modules, with nothing
but the last text of a batch padded; what comes after the transformer is computed in float32.
Models of other kinds than transformers and static embeddings go through ``encode`` itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ragbench.base.devices import hide_loading_bars, torch_dtype
from ragbench.base.errors import PrerequisiteError, UsageError, first_line
from ragbench.base.weights import locate
from ragbench.indexes.dense.batches import token_batches

# While it loads a model, transformers has functions of its own replaced for the whole process:
# threads that load at once leave some so, and no later model would have its weights tied.
LOADING = Lock()

Vectors = npt.NDArray[np.float32]
Pooling = Literal["auto", "cls", "mean"]
Route = Literal["query", "document"]
Text = str | tuple[str, str]
CPU_TOKENS = 4096  # more leaves the caches; scripts/bench_encode.py compares
ROBERTAS = ("roberta", "xlm-roberta", "camembert", "mpnet")  # their first position is the third


class EncoderModel:
    """A loaded model.

    Args:
        model: ``package:NAME/FOLDER``, a folder or a hub id.
        revision: The hub revision.
        pooling: ``auto`` runs the model's own modules, and the mean where it has none; the others
            pool the transformer's last hidden states and leave out what else the model has.
        max_tokens: The most that it will be asked to read of a text.
        device_name: torch's name of a device.
        dtype: The transformer's number format.

    Raises:
        PrerequisiteError: The weights are not here and cannot be had.
        UsageError: The model cannot be used as the card says.
    """

    def __init__(
        self,
        model: str,
        revision: str | None,
        *,
        pooling: Pooling,
        max_tokens: int,
        device_name: str,
        dtype: str,
    ) -> None:
        self.model = model
        self.device_name = device_name
        self._whole = _load(model, revision, device_name, dtype)
        self._modules = [module.eval() for module in self._whole]
        if pooling != "auto":
            self._modules = self._pooled(pooling)
        for module in self._modules[1:]:
            module.float()
        self._kind = _kind(self._whole)
        if self._kind == "transformer":
            self._check_positions(max_tokens)

    def _pooled(self, pooling: Pooling) -> list[Any]:
        from sentence_transformers.sentence_transformer import modules

        first = self._modules[0]
        if not isinstance(first, modules.Transformer):
            raise UsageError(
                f"`pooling: {pooling}` is of transformers, and this model is none",
                where=f"encoder: model: {self.model}",
                fix="leave `pooling` out",
            )
        size = first.get_embedding_dimension()
        return [first, modules.Pooling(size, pooling).to(self.device_name)]

    def _check_positions(self, max_tokens: int) -> None:
        config = self._whole[0].auto_model.config.get_text_config()
        positions = getattr(config, "max_position_embeddings", None)
        if not isinstance(positions, int) or positions < 1:
            return
        positions -= 2 if config.model_type in ROBERTAS else 0
        if max_tokens > positions:
            raise UsageError(
                f"`max_tokens: {max_tokens:,}` is more than the {positions:,} tokens that "
                "this model can read",
                where=f"encoder: model: {self.model}",
                fix=f"write max_tokens: {positions} or less",
            )

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return int(self.encode([""], max_tokens=8, budget=8).shape[1])

    def encode(
        self,
        texts: Sequence[Text],
        *,
        max_tokens: int,
        budget: int,
        prompt: str = "",
        route: Route = "document",
    ) -> Vectors:
        """Return the vectors of texts, or of pairs of texts, in their order: float32 (N, D).

        A model with a way of its own for queries (a ``Router``) takes the ``route``.
        The prompt is put before each; a model that leaves it out of its mean does so. Texts longer
        than ``max_tokens`` are cut, of a pair the longer part. ``budget`` is the tokens of one
        forward pass, with padding. The vectors are not scaled unless the model does so.
        """
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        if self._kind == "other" or (prompt and self._leaves_prompts_out()):
            return self._by_its_own(texts, max_tokens, budget, prompt, route)
        texts = _prompted(texts, prompt)
        tokens = self._tokens(texts, max_tokens)
        lengths = [len(ids) for ids in tokens["input_ids"]]
        order: list[int] = []
        parts: list[Vectors] = []
        for rows in token_batches(lengths, budget):
            order += rows
            some = {key: [column[row] for row in rows] for key, column in tokens.items()}
            parts.append(self._forward(some))
        return np.concatenate(parts)[np.argsort(order)]

    def lengths(self, texts: Sequence[Text], max_tokens: int, *, prompt: str = "") -> list[int]:
        """Return how many tokens of each text a transformer or static embedding reads."""
        read = self._tokens(_prompted(texts, prompt), max_tokens)["input_ids"]
        return [len(ids) for ids in read]

    def _leaves_prompts_out(self) -> bool:
        """Return whether the mean over tokens is to be without those of the prompt."""
        from sentence_transformers.sentence_transformer.modules import Pooling

        return any(isinstance(m, Pooling) and not m.include_prompt for m in self._modules)

    def _by_its_own(
        self, texts: Sequence[Text], max_tokens: int, budget: int, prompt: str, route: Route
    ) -> Vectors:
        self._limit(max_tokens)
        encode = self._whole.encode_query if route == "query" else self._whole.encode_document
        found: Any = encode(
            [_joined(text) for text in texts],
            prompt=prompt,  # an empty one, too, so that no default takes its place
            batch_size=max(1, budget // max_tokens),
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return np.ascontiguousarray(found, dtype=np.float32)

    def _limit(self, max_tokens: int) -> None:
        from sentence_transformers.sentence_transformer.modules import Transformer

        try:
            self._whole.max_seq_length = max_tokens
        except AttributeError:  # a static embedding on one of several routes has no limit
            for module in self._whole.modules():
                if isinstance(module, Transformer):
                    module.max_seq_length = max_tokens

    def _tokens(self, texts: Sequence[Text], max_tokens: int) -> dict[str, list[list[int]]]:
        if self._kind == "static":
            plain = [_joined(text) for text in texts]
            coded = self._whole[0].tokenizer.encode_batch(plain, add_special_tokens=False)
            return {"input_ids": [one.ids[:max_tokens] for one in coded]}
        columns = [texts] if isinstance(texts[0], str) else zip(*texts, strict=True)
        found: dict[str, list[list[int]]] = (
            self._whole[0]
            .tokenizer(
                *map(list, columns),
                truncation="longest_first",
                max_length=max_tokens,
                return_attention_mask=True,
                verbose=False,
            )
            .data
        )
        return found

    def _forward(self, tokens: dict[str, list[list[int]]]) -> Vectors:
        import torch

        with torch.inference_mode():
            features = self._features(tokens)
            for number, module in enumerate(self._modules):
                features = module(features)
                if number == 0:
                    features = {key: _single(value) for key, value in features.items()}
            found: Vectors = features["sentence_embedding"].float().cpu().numpy()
        return found

    def _features(self, tokens: dict[str, list[list[int]]]) -> dict[str, Any]:
        import torch

        ids = tokens["input_ids"]
        if self._kind == "static":
            flat = np.fromiter((token for some in ids for token in some), dtype=np.int64)
            starts = np.cumsum([0, *(len(some) for some in ids[:-1])], dtype=np.int64)
            tensors = {"input_ids": torch.from_numpy(flat), "offsets": torch.from_numpy(starts)}
        else:
            tensors = dict(self._whole[0].tokenizer.pad(tokens, return_tensors="pt"))
        return {key: value.to(self.device_name) for key, value in tensors.items()}


def _prompted(texts: Sequence[Text], prompt: str) -> Sequence[Text]:
    """Return texts with a prompt before each; before the first of a pair."""
    if not prompt:
        return texts
    return [prompt + t if isinstance(t, str) else (prompt + t[0], t[1]) for t in texts]


def _joined(text: Text) -> str:
    return text if isinstance(text, str) else " ".join(text).strip()


def _single(value: Any) -> Any:
    """Return float32 for a tensor of a shorter number format, anything else as it is."""
    import torch

    is_half = isinstance(value, torch.Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if is_half else value


def _load(model: str, revision: str | None, device_name: str, dtype: str) -> Any:
    from sentence_transformers import SentenceTransformer

    hide_loading_bars()
    path = locate(model)
    try:
        with LOADING:
            return SentenceTransformer(
                model if path is None else str(path),
                device=device_name,
                revision=revision,
                local_files_only=path is not None,
                model_kwargs={"dtype": torch_dtype(dtype), "use_safetensors": True},
            )
    except (OSError, ValueError) as error:
        raise PrerequisiteError(
            f"the encoder cannot be loaded: {first_line(error)}",
            where=f"encoder: model: {model}",
            fix="check the path or id; a hub model needs the network once",
        ) from None


def _kind(model: Any) -> Literal["transformer", "static", "other"]:
    """Say how a model is run; one with images or chats is left to its own ``encode``."""
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding, Transformer
    from transformers import PreTrainedTokenizerFast

    first = model[0]
    if isinstance(first, StaticEmbedding):
        return "static"
    is_plain = (
        isinstance(first, Transformer)
        and isinstance(first.tokenizer, PreTrainedTokenizerFast)
        and first.transformer_task == "feature-extraction"
        and list(first.modality_config) == ["text"]
        and not first.processing_kwargs
    )
    return "transformer" if is_plain else "other"
