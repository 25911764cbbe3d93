"""Servers that people start themselves.

A comment names the source of each manner: a page of the vendor's documentation, its source, or an
issue or pull request in its repository. What has no source is said to be assumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from scripts.fakes.manners import Ranked, Vendor
from scripts.fakes.rule import templated
from scripts.fakes.wire import Answer, Asked, refusal

MOST_LISTED = 20


@dataclass
class Vllm(Vendor):
    """vLLM.

    - logprob_token_ids: github.com/vllm-project/vllm/pull/43463
    - at most 20 tokens in a list: docs.vllm.ai, engine arguments, max-logprobs
    - /tokenize, echo, prompt_logprobs, continue_final_message: docs.vllm.ai, OpenAI-compatible
      server
    """

    has_text: ClassVar[bool] = True
    echoes: ClassVar[bool] = True
    continues: ClassVar[bool] = True
    server: ClassVar[str] = "uvicorn"

    def routes(self) -> dict[str, Any]:
        """Return what answers each path."""
        own = {"/tokenize": self.tokenize, "/version": lambda _: Answer({"version": "0.0-fake"})}
        return super().routes() | own

    def about(self) -> dict[str, Any]:
        """Return the model with its context."""
        return {**super().about(), "root": self.served, "max_model_len": self.context}

    def refused(self, body: Mapping[str, Any]) -> Answer | None:
        """Refuse longer lists than the server allows, and numbers without a generated token."""
        asked = body.get("top_logprobs") or body.get("logprobs") or 0
        if int(asked) > MOST_LISTED:
            return refusal(
                f"Requested sample logprobs of {asked}, which is greater than max allowed: "
                f"{MOST_LISTED}"
            )
        if body.get("logprob_token_ids") and body.get("echo") and not body.get("max_tokens", 16):
            return refusal("logprob_token_ids needs a generated token")  # the wording is assumed
        return None

    def tokenize(self, asked: Asked) -> Answer:
        """Answer ``/tokenize`` of a text or of turns."""
        text = asked.body.get("prompt")
        if text is None and "messages" in asked.body:
            text = self.prompt_of(asked.body["messages"], asked.body)
        if text is None:
            return refusal("prompt: Field required")
        tokens = [self.model.id_of(token) for token in self.model.tokens(text)]
        return Answer({"count": len(tokens), "max_model_len": self.context, "tokens": tokens})

    def ranked(self, body: Mapping[str, Any], context: str, count: int) -> Ranked:
        """Return the likeliest tokens, or those with the given numbers and the written one."""
        found = self.model.top(context, count)
        if wanted := body.get("logprob_token_ids"):
            names = [self.model.token_of(number) for number in wanted]
            named = [(name, self.model.log_probability(context, name)) for name in names]
            found = list(dict([*self.model.top(context, 1), *named]).items())
        if body.get("return_tokens_as_token_ids"):
            return [(f"token_id:{self.model.id_of(token)}", n) for token, n in found]
        return found

    def with_extras(self, found: Answer, body: Mapping[str, Any], context: str) -> Answer:
        """Return a chat's answer with the prompt's log-probabilities, if they are asked for."""
        if body.get("prompt_logprobs") is None or not isinstance(found.content, dict):
            return found
        return Answer(found.content | {"prompt_logprobs": self._of_prompt(context)})

    def continued(self, place: int, prompt: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return one choice of ``/completions``."""
        choice = super().continued(place, prompt, body)
        if body.get("prompt_logprobs") is not None:
            choice["prompt_logprobs"] = self._of_prompt(prompt)
        return choice

    def _of_prompt(self, prompt: str) -> list[dict[str, Any] | None]:
        pairs = zip(*self.model.echoed(prompt), strict=True)
        return [
            None
            if number is None
            else {str(self.model.id_of(token)): {"logprob": number, "decoded_token": token}}
            for token, number in pairs
        ]


@dataclass
class Sglang(Vendor):
    """SGLang.

    - echo with numbers, /tokenize of texts alone, max_model_len: its source,
      python/sglang/srt/entrypoints
    - continue_final_message: github.com/sgl-project/sglang/pull/4226
    - unknown keys are ignored: assumed
    """

    has_text: ClassVar[bool] = True
    echoes: ClassVar[bool] = True
    continues: ClassVar[bool] = True
    server: ClassVar[str] = "uvicorn"

    def routes(self) -> dict[str, Any]:
        """Return what answers each path."""
        return super().routes() | {"/tokenize": self.tokenize}

    def about(self) -> dict[str, Any]:
        """Return the model with its context."""
        return {**super().about(), "root": self.served, "max_model_len": self.context}

    def tokenize(self, asked: Asked) -> Answer:
        """Answer ``/tokenize`` of a text."""
        text = asked.body.get("prompt")
        if not isinstance(text, str):
            return refusal("prompt: Field required", 422)
        tokens = [self.model.id_of(token) for token in self.model.tokens(text)]
        return Answer({"tokens": tokens, "count": len(tokens), "max_model_len": self.context})


@dataclass
class LlamaCpp(Vendor):
    """llama.cpp's ``llama-server``.

    - /props, /tokenize of ``content``, /apply-template: its tools/server/README.md
    - no numbers of a prompt, whatever ``echo`` says: github.com/ggml-org/llama.cpp/issues/27174
    - lists in the form of chats everywhere: github.com/ggml-org/llama.cpp/pull/10783
    - a started reply is repeated, until github.com/ggml-org/llama.cpp/pull/23089 made it optional
    """

    has_text: ClassVar[bool] = True
    lists_objects: ClassVar[bool] = True
    server: ClassVar[str] = "llama.cpp"
    fingerprint: ClassVar[str | None] = "b0000-fake"

    def routes(self) -> dict[str, Any]:
        """Return what answers each path."""
        settings = {"n_ctx": self.context}
        props = {"default_generation_settings": settings, "total_slots": 1, "model_path": "m.gguf"}
        own = {"/tokenize": self.tokenize, "/props": lambda _: Answer(props)}
        own["/apply-template"] = self.rendered
        return super().routes() | own

    def about(self) -> dict[str, Any]:
        """Return the model with the context that it was trained with, not the server's."""
        return {**super().about(), "meta": {"n_ctx_train": 131_072}}

    def no_model(self, name: str) -> Answer | None:
        """Answer to any name: one model is loaded."""
        return None

    def refused(self, body: Mapping[str, Any]) -> Answer | None:
        """Refuse ``top_logprobs`` alone."""
        if "top_logprobs" in body and not body.get("logprobs"):
            return refusal("top_logprobs requires logprobs to be set to true", 400)
        return None

    def tokenize(self, asked: Asked) -> Answer:
        """Answer ``/tokenize`` of a text."""
        text = asked.body.get("content")
        if text is None:  # an empty list, as for an empty text
            return Answer({"tokens": []})
        return Answer({"tokens": [self.model.id_of(token) for token in self.model.tokens(text)]})

    def rendered(self, asked: Asked) -> Answer:
        """Answer ``/apply-template``."""
        return Answer({"prompt": self.prompt_of(asked.body["messages"], asked.body)})

    def prompt_of(self, turns: Sequence[Mapping[str, str]], body: Mapping[str, Any]) -> str:
        """Return the text for a chat: a last turn of the assistant stays open."""
        return templated(turns, continued=turns[-1]["role"] == "assistant")

    def opening(self, body: Mapping[str, Any]) -> str:
        """Return the beginning of a started reply."""
        last = body["messages"][-1]
        return str(last["content"]) if last["role"] == "assistant" else ""


@dataclass
class Ollama(Vendor):
    """Ollama.

    - a longer prompt than the context is cut: github.com/ollama/ollama/issues/4967
    - fields, fp_ollama, lists in the form of chats: its openai/openai.go
    - /completions goes through the model's template: github.com/ollama/ollama/issues/5544
    """

    cuts: bool = True
    has_text: ClassVar[bool] = True
    lists_objects: ClassVar[bool] = True
    fingerprint: ClassVar[str | None] = "fp_ollama"

    def no_model(self, name: str) -> Answer | None:
        """Refuse another model."""
        return refusal(f"model '{name}' not found", 404, type="not_found_error")

    def plain(self, prompt: str) -> str:
        """Return a prompt as the one turn of a chat."""
        return templated([{"role": "user", "content": prompt}])

    def takes_several(self) -> bool:
        """Take one prompt alone."""
        return False


@dataclass
class LmStudio(Vendor):
    """LM Studio.

    - endpoints: lmstudio.ai, OpenAI compatible endpoints
    - no log-probabilities and no error: github.com/lmstudio-ai/lms/issues/60
    - another name and a longer prompt than the context are refused: assumed
    """

    has_text: ClassVar[bool] = True
    lists: ClassVar[bool] = False

    def takes_several(self) -> bool:
        """Take one prompt alone (assumed)."""
        return False


@dataclass
class TransformersServe(Vendor):
    """``transformers serve`` with one model.

    From its source, src/transformers/cli/serving: logprobs and echo are ignored, keys beyond
    OpenAI's are refused with 422, another model with 400; the list has models of the hub's cache
    alone.
    """

    has_text: ClassVar[bool] = True
    lists: ClassVar[bool] = False
    server: ClassVar[str] = "uvicorn"
    strange: ClassVar[frozenset[str]] = frozenset(
        {"add_generation_prompt", "continue_final_message", "logprob_token_ids"}
        | {"return_tokens_as_token_ids"}
    )

    def routes(self) -> dict[str, Any]:
        """Return what answers each path."""
        listed = {f"{self.base}/models": lambda _: Answer({"object": "list", "data": []})}
        return super().routes() | listed

    def no_model(self, name: str) -> Answer | None:
        """Refuse another model."""
        text = f"Server is pinned to '{self.served}'; requested '{name}'."
        return Answer({"detail": text}, 400)

    def refused(self, body: Mapping[str, Any]) -> Answer | None:
        """Refuse keys beyond OpenAI's."""
        if found := self.strange & body.keys():
            names = ", ".join(map(repr, sorted(found)))
            return Answer({"detail": f"Unexpected fields in the request: {{{names}}}"}, 422)
        return None

    def takes_several(self) -> bool:
        """Take one prompt alone."""
        return False
