"""Services that are paid for, and a gateway in front of one.

A comment names the source of each manner; what has none is said to be assumed. None was asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from scripts.fakes.manners import Vendor
from scripts.fakes.rule import templated
from scripts.fakes.wire import Answer, Asked, refusal

MOST_LISTED = 20
KNOWN = frozenset(
    "model messages max_tokens max_completion_tokens temperature top_p n stop stream seed "
    "frequency_penalty presence_penalty logprobs top_logprobs logit_bias user reasoning_effort "
    "response_format tools tool_choice store metadata service_tier verbosity".split()
)


@dataclass
class OpenAi(Vendor):
    """OpenAI's models that do not reason.

    - at most 20 top_logprobs; answers name a dated version: platform.openai.com, API reference
    - an unknown key: github.com/openai/openai-python/issues/433
    - no /completions for chat models: the service's message, which is widely quoted
    """

    known: ClassVar[frozenset[str] | None] = KNOWN
    fingerprint: ClassVar[str | None] = "fp_fake"
    server: ClassVar[str] = "cloudflare"

    def routes(self) -> dict[str, Any]:
        """Return what answers each path."""
        return super().routes() | {f"{self.base}/completions": self.no_text}

    def says(self) -> str:
        """Return a dated version of the model."""
        return f"{self.served}-2025-04-14"

    def no_text(self, asked: Asked) -> Answer:
        """Refuse a plain prompt."""
        return refusal(
            "This is a chat model and not supported in the v1/completions endpoint. Did you mean "
            "to use v1/chat/completions?",
            404,
            param="model",
        )

    def refused(self, body: Mapping[str, Any]) -> Answer | None:
        """Refuse a longer list than the service gives."""
        if (body.get("top_logprobs") or 0) > MOST_LISTED:
            text = "Invalid value for 'top_logprobs': must be less than or equal to 20."
            return refusal(text, param="top_logprobs")
        return None


@dataclass
class OpenAiReasoning(OpenAi):
    """OpenAI's models that reason: the o series and GPT-5.

    - temperature: github.com/tmc/langchaingo/issues/1355; max_tokens and logprobs: the service's
      messages, which are widely quoted; the status 403 of the last is assumed
    - a trace that is part of the limit and not shown: platform.openai.com, guide to reasoning
    """

    def refused(self, body: Mapping[str, Any]) -> Answer | None:
        """Refuse what these models do not take."""
        if "max_tokens" in body:
            return refusal(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                "'max_completion_tokens' instead.",
                param="max_tokens",
                code="unsupported_parameter",
            )
        if body.get("temperature", 1) != 1:
            return refusal(
                f"Unsupported value: 'temperature' does not support {body['temperature']} with "
                "this model. Only the default (1) value is supported.",
                param="temperature",
                code="unsupported_value",
            )
        if "logprobs" in body:
            text = "You are not allowed to request logprobs from this model"
            return refusal(text, 403)
        return None

    def thinking(self) -> int:
        """Return the tokens of the trace."""
        return 4


@dataclass
class Azure(OpenAi):
    """Azure's OpenAI service, at a deployment whose name is not the model's.

    - api-version in the query, api-key, deployment in the path: learn.microsoft.com, Azure OpenAI
      reference
    - content_filter as the end of a reply without content, results of the filter in every answer,
      error 400 with innererror for a prompt: learn.microsoft.com, content filtering
    """

    base: ClassVar[str] = "/openai/deployments/our-name"
    query: ClassVar[str] = "?api-version=2024-10-21"
    has_list: ClassVar[bool] = False

    def routes(self) -> dict[str, Any]:
        """Return what answers each path: chats alone."""
        return {f"{self.base}/chat/completions{self.query}": self.chat}

    def denied(self, asked: Asked) -> Answer | None:
        """Refuse a request without the key in its own header."""
        given = asked.headers.get("api-key")
        if given is not None and self.key in ("", given):
            return None
        text = "Access denied due to invalid subscription key or wrong API endpoint."
        return Answer({"error": {"code": "401", "message": text}}, 401)

    def unknown(self, asked: Asked) -> Answer:
        """Answer a request of an unknown path or version."""
        return Answer({"error": {"code": "404", "message": "Resource not found"}}, 404)

    def no_model(self, name: str) -> Answer | None:
        """Answer to any name: the path names the deployment."""
        return None

    def with_extras(self, found: Answer, body: Mapping[str, Any], context: str) -> Answer:
        """Return an answer with the results of the filter, and no content of a filtered reply."""
        content: Any = found.content
        safe = {"violence": {"filtered": False, "severity": "safe"}}
        for choice in content["choices"]:
            choice["content_filter_results"] = safe
            if choice["finish_reason"] == "content_filter":
                del choice["message"]["content"]
        results = [{"prompt_index": 0, "content_filter_results": safe}]
        return Answer(content | {"prompt_filter_results": results})

    def filtered(self) -> Answer | None:
        """Refuse a prompt."""
        inner = {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"violence": {"filtered": True, "severity": "medium"}},
        }
        return refusal(
            "The response was filtered due to the prompt triggering Azure OpenAI's content "
            "management policy. Please modify your prompt and retry.",
            param="prompt",
            code="content_filter",
            status=400,
            innererror=inner,
        )


@dataclass
class Gemini(Vendor):
    """Gemini's layer for OpenAI's API.

    - a list of errors, all unknown keys in one message, frequency_penalty and seed among them:
      github.com/n4ze3m/page-assist/issues/418, github.com/Vali-98/ChatterUI/issues/227
    - path: ai.google.dev, OpenAI compatibility
    - logprobs are refused in the same way, both forms of a model's name are known: assumed
    """

    base: ClassVar[str] = "/v1beta/openai"
    unknown_names: ClassVar[tuple[str, ...]] = (
        *("frequency_penalty", "seed", "logprobs", "top_logprobs"),
        *("add_generation_prompt", "continue_final_message"),
    )

    def about(self) -> dict[str, Any]:
        """Return the model; the list has its resource name."""
        return {"id": f"models/{self.served}", "object": "model"}

    def no_model(self, name: str) -> Answer | None:
        """Refuse another model."""
        return None if name == f"models/{self.served}" else super().no_model(name)

    def refused(self, body: Mapping[str, Any]) -> Answer | None:
        """Refuse unknown keys, all in one message."""
        texts = [
            f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
            for name in self.unknown_names
            if name in body
        ]
        if not texts:
            return None
        error = {"code": 400, "message": "\n".join(texts), "status": "INVALID_ARGUMENT"}
        return Answer([{"error": error}], 400)


@dataclass
class Anthropic(Vendor):
    """Anthropic's layer for OpenAI's API.

    Keys that are ignored, and system turns joined at the start: platform.claude.com, OpenAI SDK
    compatibility. That it lists no models is assumed.
    """

    has_list: ClassVar[bool] = False
    lists: ClassVar[bool] = False

    def no_model(self, name: str) -> Answer | None:
        """Refuse another model."""
        return refusal(f"model: {name}", 404, type="not_found_error")

    def prompt_of(self, turns: Sequence[Mapping[str, str]], body: Mapping[str, Any]) -> str:
        """Return the text of a chat, its system turns joined at the start."""
        system = [turn["content"] for turn in turns if turn["role"] == "system"]
        others = [turn for turn in turns if turn["role"] != "system"]
        first = [{"role": "system", "content": "\n".join(system)}] if system else []
        return templated([*first, *others])


@dataclass
class LiteLlm(Vendor):
    """LiteLLM in front of Anthropic's own API.

    - the message: github.com/kaiko-ai/eva/issues/895
    - unsupported keys are refused, or left out with drop_params: docs.litellm.ai, drop unsupported
      params
    - other keys are passed on, and Anthropic refuses them: docs.litellm.ai, provider-specific
      params
    """

    drops: ClassVar[bool] = False
    lists: ClassVar[bool] = False
    server: ClassVar[str] = "uvicorn"
    unsupported: ClassVar[tuple[str, ...]] = (
        *("frequency_penalty", "logprobs", "presence_penalty", "seed", "top_logprobs"),
    )

    def says(self) -> str:
        """Return the provider's name of the model (assumed)."""
        return "claude-fake"

    def no_model(self, name: str) -> Answer | None:
        """Refuse another model."""
        text = f"/chat/completions: Invalid model name passed in model={name}. Call `/v1/models`."
        return Answer({"error": {"message": text, "type": "None", "code": "400"}}, 400)

    def refused(self, body: Mapping[str, Any]) -> Answer | None:
        """Refuse keys that the provider does not support, or that it does not know."""
        names = [name for name in self.unsupported if name in body]
        if names and not self.drops:
            text = (
                f"litellm.UnsupportedParamsError: anthropic does not support parameters: {names}, "
                f"for model={self.served}. To drop these, set `litellm.drop_params=True` or for "
                "proxy:\n\n`litellm_settings:\n drop_params: true`\n"
            )
            return Answer({"error": {"message": text, "type": "None", "code": "400"}}, 400)
        for name in body:
            if name not in KNOWN and name not in self.unsupported:
                text = f"litellm.BadRequestError: AnthropicException - {name}: Extra inputs are "
                return Answer({"error": {"message": f"{text}not permitted"}}, 400)
        return None


@dataclass
class LiteLlmDropping(LiteLlm):
    """LiteLLM with ``drop_params``."""

    drops: ClassVar[bool] = True
