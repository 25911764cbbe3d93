"""How many tokens a text has for a model whose weights are elsewhere."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from ragbench.base.devices import hide_loading_bars
from ragbench.base.errors import PrerequisiteError, first_line
from ragbench.base.files import sha256_json
from ragbench.base.weights import locate
from ragbench.models.local.gguf import converted
from ragbench.models.rendering import USUAL_CONTROL, control_tokens

BYTES_A_TOKEN = 2  # prose has four or more, long numbers may have fewer


class TokenCounter:
    """Counts with a tokenizer where there is one, else a token for every two bytes of UTF-8.

    Args:
        reference: A folder, a ``.gguf`` file, ``package:NAME/FILE`` or a hub id; None for bytes.
        where: The config's place, for messages.

    Raises:
        PrerequisiteError: There is no tokenizer.
    """

    def __init__(self, reference: str | None, *, where: str) -> None:
        self.reference = reference
        self._tokenizer: Any = None
        if reference is None:
            return
        from transformers import AutoTokenizer

        hide_loading_bars()
        folder = locate(reference)
        if folder is not None and folder.is_file():
            folder = converted(folder)
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(
                reference if folder is None else str(folder),
                local_files_only=folder is not None,
                trust_remote_code=False,  # else it asks, and waits for an answer
            )
        except Exception as error:  # tokenizers raises just that on a damaged file
            raise PrerequisiteError(
                f"the tokenizer cannot be loaded: {first_line(error)}",
                where=f"{where}: tokenizer",
                fix="give a folder with tokenizer.json, or a hub id; or leave `tokenizer` out",
            ) from None

    @property
    def rule(self) -> str:
        """How tokens are counted, for the run folder."""
        if self._tokenizer is None:
            return f"estimated: one for every {BYTES_A_TOKEN} bytes of UTF-8"
        return f"tokenizer {self.reference}"

    def count(self, text: str) -> int:
        """Return how many tokens a text has, special tokens apart."""
        if self._tokenizer is None:
            return -(-len(text.encode("utf-8")) // BYTES_A_TOKEN)
        return len(self._tokenizer(text, add_special_tokens=False).input_ids)

    @property
    def template(self) -> str | None:
        """The tokenizer's chat template."""
        found = getattr(self._tokenizer, "chat_template", None)
        return str(found) if found else None

    @property
    def tokenizer(self) -> Any:
        """The tokenizer; None where bytes are counted."""
        return self._tokenizer

    @cached_property
    def control(self) -> re.Pattern[str] | None:
        """What finds control tokens: the tokenizer's own, or those of the usual families."""
        return USUAL_CONTROL if self._tokenizer is None else control_tokens(self._tokenizer)

    @cached_property
    def digest(self) -> str | None:
        """The identity of vocabulary, rules and template; None where bytes are counted."""
        if self._tokenizer is None:
            return None
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        rules = sorted(self._tokenizer.get_vocab().items()) if backend is None else backend.to_str()
        return sha256_json([rules, self.template])

    def without_first(self, text: str) -> str:
        """Return a templated text without the first token that the server's tokenizer adds.

        Args:
            text: What a chat template made; some begin with that token spelt out.

        Returns:
            The text to send to ``/completions``, where the token is added again.
        """
        first = getattr(self._tokenizer, "bos_token", None)
        if not first or not text.startswith(first):
            return text
        adds = self._tokenizer("a").input_ids[:1] == [self._tokenizer.bos_token_id]
        return text.removeprefix(first) if adds else text
