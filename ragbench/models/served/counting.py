"""Token counts for a model whose weights are elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from ragbench.base.devices import hide_loading_bars
from ragbench.base.errors import BackendError, PrerequisiteError, first_line
from ragbench.base.files import sha256_json
from ragbench.base.weights import locate
from ragbench.models.local.gguf import converted
from ragbench.models.rendering import USUAL_CONTROL, control_tokens

BYTES_A_TOKEN = 2  # prose has four or more, long numbers may have fewer
MOST_BYTES = 12  # per token on average, of any text but runs of one character
PLAIN = "Say yes."
# A text in which tokenizers differ: numbers, signs, other scripts, blanks and rare words.
TELLING = (
    "Glomerulonephritis (IgA, stage 3b): eGFR 43.75 ml/min/1.73 m\u00b2, creatinine 1,284 "
    "\u00b5mol/l; "
    "\u03b1-blockers \u2265 20 mg b.i.d.  were NOT tolerated, cf. ICD-10 N02.8.\n\tNachsorge: "
    "Blutdruckmessung t\u00e4glich, 100000 IE/d; pneumonoultramicroscopicsilicovolcanoconiosis."
)
JOINS = 4  # tokens that the ends of a text may lose beside the markup of a chat
ALMOST = 0.95  # of the tokens alone, since those at the joins of turns may merge
SHORT = 256  # tokens, fewer than any server's context


class TokenCounter:
    """Counts with a tokenizer, or one token per two bytes of UTF-8 without one.

    Args:
        reference: A folder, a ``.gguf`` file, ``package:NAME/FILE`` or a hub id; None for bytes.
        where: Place in the config, for messages.

    Raises:
        PrerequisiteError: The tokenizer cannot be loaded.
    """

    def __init__(self, reference: str | None, *, where: str) -> None:
        self.reference = reference
        self.is_servers = False
        self.tokenizer: Any = None
        if reference is None:
            return
        from transformers import AutoTokenizer

        hide_loading_bars()
        folder = locate(reference)
        if folder is not None and folder.is_file():
            folder = converted(folder)
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(
                reference if folder is None else str(folder),
                local_files_only=folder is not None,
                trust_remote_code=False,  # otherwise it waits for an answer on the terminal
            )
        except Exception as error:  # tokenizers raises a bare one on a damaged file
            raise PrerequisiteError(
                f"the tokenizer cannot be loaded: {first_line(error)}",
                where=f"{where}: tokenizer",
                fix="give a folder with tokenizer.json or a hub id, or remove `tokenizer`",
            ) from None

    @property
    def rule(self) -> str:
        """How tokens are counted, for the run folder."""
        if self.tokenizer is None:
            return f"estimated: one for every {BYTES_A_TOKEN} bytes of UTF-8"
        return f"tokenizer {self.reference}"

    def count(self, text: str) -> int:
        """Return the number of tokens without special tokens."""
        if self.tokenizer is None:
            return -(-len(text.encode("utf-8")) // BYTES_A_TOKEN)
        return len(self.tokenizer(text, add_special_tokens=False).input_ids)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of texts, special ones included; empty without a tokenizer."""
        if self.tokenizer is None:
            return []
        return [list(self.tokenizer(text).input_ids) for text in texts]

    def compare(self, size_of: Callable[[str], int | None]) -> None:
        """Find out whether the server has this tokenizer, so that its counts say what it read.

        ``size_of`` returns the tokens that the server reports for a prompt with a text. What it
        adds to each prompt, such as a first token and the markup of a chat, makes no difference.
        """
        if self.tokenizer is None:
            return
        short, long = size_of(PLAIN), size_of(f"{PLAIN} {TELLING}")
        more = self.count(f"{PLAIN} {TELLING}") - self.count(PLAIN)
        self.is_servers = short is not None and long is not None and long - short == more

    def check_read(self, texts: Sequence[str], reported: int | None) -> None:
        """Refuse a prompt of which a server read only a part.

        Some servers cut prompts at their own context without a word. Short prompts are not checked.
        A cut of a few tokens is seen with the server's own tokenizer, one of 5 % with another, and
        only one to a fraction without any.

        Args:
            texts: What the prompt has at least.
            reported: Tokens of the prompt, as the server reports them.

        Raises:
            BackendError: The server reports too few.
        """
        if reported is None:
            return
        if self.tokenizer is None:
            least = sum(len(" ".join(text.split()).encode()) for text in texts) // MOST_BYTES
        else:
            whole = sum(map(self.count, texts))
            least = whole - JOINS * len(texts) if self.is_servers else int(whole * ALMOST)
        if least > SHORT and reported < least:
            raise BackendError(
                f"the server read {reported:,} tokens of a prompt of at least {least:,}: it cuts "
                "prompts at its own context",
                fix="raise the server's context (Ollama: `num_ctx` or OLLAMA_CONTEXT_LENGTH), or "
                "state it as `context`",
            )

    @property
    def template(self) -> str | None:
        """The tokenizer's chat template."""
        found = getattr(self.tokenizer, "chat_template", None)
        return str(found) if found else None

    @cached_property
    def control(self) -> re.Pattern[str] | None:
        """Pattern of control tokens: the tokenizer's own, or those of the usual families."""
        return USUAL_CONTROL if self.tokenizer is None else control_tokens(self.tokenizer)

    @cached_property
    def digest(self) -> str | None:
        """Identity of vocabulary, rules and template; None without a tokenizer."""
        if self.tokenizer is None:
            return None
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        rules = sorted(self.tokenizer.get_vocab().items()) if backend is None else backend.to_str()
        return sha256_json([rules, self.template])

    def without_first(self, text: str) -> str:
        """Return a templated text without a first token that the server's tokenizer adds again.

        Some chat templates begin with that token.
        """
        first = getattr(self.tokenizer, "bos_token", None)
        if not first or not text.startswith(first):
            return text
        adds = self.tokenizer("a").input_ids[:1] == [self.tokenizer.bos_token_id]
        return text.removeprefix(first) if adds else text
