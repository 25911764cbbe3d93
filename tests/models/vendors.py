"""Servers with the manners of each vendor, in front of a model whose numbers follow from a rule.

Installed into a ``Loopback``. The model has a small vocabulary of likely tokens and one class of
all others, so that a test computes what is right by hand.
"""

from __future__ import annotations

import hashlib
import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Any, Literal

from tests.models.loopback import MODEL, Loopback, Request, Sent

Vendor = Literal["vllm", "llama.cpp", "openai", "openai-o", "azure", "ollama", "gemini", "claude"]
Lists = Literal["any order", "refused", "misplaced", "without index", "first alone"]
TOKEN = re.compile(r" ?[A-Za-z]+| ?[0-9]|\n+| ?[^A-Za-z0-9\n]")
WORDS = (
    "Yes No The This It Is And Answer I We He She You Because If That These Both None All".split()
)
LIKELY = tuple(f"{blank}{w}" for blank in ("", " ") for w in (*ascii_uppercase[:8], *WORDS))
OTHERS = 10_000  # tokens in the class of all others, each about as likely as the next


@dataclass
class RuleModel:
    """Logits of the next token by a rule.

    Attributes:
        logits: Fixed logits by token, whatever precedes; those of other tokens follow from a hash.
        others: Logit of the class of all tokens that are not ``LIKELY``.
    """

    logits: Mapping[str, float] = field(default_factory=dict)
    others: float = -4.0
    _ids: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        return TOKEN.findall(text)

    def id_of(self, token: str) -> int:
        """Return a token's number."""
        with self._lock:
            return self._ids.setdefault(token, 100 + len(self._ids))

    def token_of(self, number: int) -> str:
        """Return the token with a number."""
        return next(token for token, known in self._ids.items() if known == number)

    def next_token(self, context: str) -> dict[str, float]:
        """Return the log-probability of every likely token after a context."""
        logits = {token: self._logit(context, token) for token in LIKELY}
        total = math.log(sum(map(math.exp, [*logits.values(), self.others])))
        return {token: logit - total for token, logit in logits.items()}

    def log_probability(self, context: str, token: str) -> float:
        """Return the log-probability of any token after a context."""
        likely = self.next_token(context)
        if token in likely:
            return likely[token]
        rest = 1.0 - sum(map(math.exp, likely.values()))
        return math.log(rest / (OTHERS + 100 * len(token)))

    def _logit(self, context: str, token: str) -> float:
        if token in self.logits:
            return self.logits[token]
        digest = hashlib.sha256(f"{context}\0{token}".encode()).digest()
        return 6.0 * int.from_bytes(digest[:6], "big") / 2.0**48

    def top(self, context: str, count: int) -> list[tuple[str, float]]:
        """Return the likeliest tokens after a context, the likeliest first."""
        ranked = sorted(self.next_token(context).items(), key=lambda pair: (-pair[1], pair[0]))
        return ranked[:count]

    def echoed(self, text: str) -> tuple[list[str], list[float | None]]:
        """Return a text's tokens and their log-probabilities; None for the first."""
        tokens = self.tokens(text)
        numbers: list[float | None] = [None]
        for place in range(1, len(tokens)):
            numbers.append(self.log_probability("".join(tokens[:place]), tokens[place]))
        return tokens, numbers

    def write(self, context: str, limit: int) -> str:
        """Return the one greedy token of a reply that then ends."""
        return self.top(context, 1)[0][0] if limit else ""


def templated(turns: list[dict[str, str]], *, continued: bool = False) -> str:
    """Return turns in the vendors' chat template; a continued last turn stays open."""
    text = "".join(f"[{turn['role']}]\n{turn['content']}\n" for turn in turns)
    return text.removesuffix("\n") if continued else f"{text}[assistant]\n"


@dataclass
class VendorServer:
    """One vendor's endpoints.

    Attributes:
        vendor: Whose manners.
        model: What answers.
        delay_s: Seconds per request.
        context: Most tokens of a prompt.
        lists: How a list of prompts is answered.
    """

    vendor: Vendor
    model: RuleModel = field(default_factory=RuleModel)
    delay_s: float = 0.0
    context: int = 4096
    lists: Lists = "any order"

    def install(self, server: Loopback) -> str:
        """Let a server answer as the vendor does, and return the base address."""
        base = "/v1"
        if self.vendor == "azure":
            base = "/openai/deployments/our-name"
        server.answers.clear()
        query = "?api-version=2024-10-21" if self.vendor == "azure" else ""
        self._add(server, f"{base}/chat/completions{query}", self.chat)
        if self.vendor in ("vllm", "llama.cpp", "ollama"):
            self._add(server, f"{base}/completions", self.text)
        if self.vendor in ("vllm", "llama.cpp"):
            self._add(server, "/tokenize", self.tokenize)
        if self.vendor not in ("azure", "claude"):
            about: dict[str, Any] = {"id": MODEL}
            if self.vendor == "vllm":
                about["max_model_len"] = self.context
            self._add(server, f"{base}/models", lambda _: Sent({"data": [about]}))
        return server.url.removesuffix("/v1") + base

    def _add(self, server: Loopback, path: str, answer: Callable[[Request], Sent]) -> None:
        def answering(request: Request) -> Sent:
            if self.vendor == "azure" and "api-key" not in request.headers:
                return Sent({"error": {"code": "401", "message": "Access denied"}}, 401)
            time.sleep(self.delay_s)
            return answer(request)

        server.answers[path] = answering

    def tokenize(self, request: Request) -> Sent:
        """Answer vLLM's and llama.cpp's ``/tokenize`` of a plain text."""
        name = "content" if self.vendor == "llama.cpp" else "prompt"
        text = request.body.get(name)
        if text is None and self.vendor == "vllm":
            continued = bool(request.body.get("continue_final_message"))
            text = templated(request.body["messages"], continued=continued)
        if text is None:
            return Sent({"error": {"message": f"{name} is missing"}}, 400)
        tokens = self.model.tokens(text)
        return Sent({"tokens": [self.model.id_of(token) for token in tokens]})

    def chat(self, request: Request) -> Sent:
        """Answer ``/chat/completions``."""
        body = request.body
        if refusal := self._refusal(body):
            return refusal
        continued = bool(body.get("continue_final_message")) and self.vendor == "vllm"
        tokens = self.model.tokens(templated(body["messages"], continued=continued))
        if self.vendor == "ollama":
            tokens = tokens[-self.context :]  # without a word
        context = "".join(tokens)
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or 16
        reply = self.model.write(context, limit)
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": reply},
            "finish_reason": "length",
        }
        if body.get("logprobs") and self.vendor not in ("gemini", "claude"):
            ranked = self._ranked(body, context, body.get("top_logprobs") or 0)
            listed = [{"token": t, "logprob": n, "bytes": list(t.encode())} for t, n in ranked]
            first = {"token": reply, "logprob": self.model.next_token(context)[reply]}
            choice["logprobs"] = {"content": [{**first, "top_logprobs": listed}]}
        return self._answer(choice, len(tokens))

    def text(self, request: Request) -> Sent:
        """Answer ``/completions``."""
        body = request.body
        if isinstance(body["prompt"], list):
            return self._texts(request)
        prompt, limit = body["prompt"], body.get("max_tokens", 16)
        if self.vendor == "ollama":
            prompt = "".join(self.model.tokens(prompt)[-self.context :])
        tokens, numbers = self.model.echoed(prompt) if body.get("echo") else ([], [])
        size = len(self.model.tokens(prompt))
        reply = self.model.write(prompt, limit)
        echoes = bool(body.get("echo")) and self.vendor == "vllm"
        choice: dict[str, Any] = {"index": 0, "text": reply, "finish_reason": "length"}
        if echoes:
            choice["text"] = prompt + reply
            if limit:
                tokens.append(reply)
                numbers.append(self.model.next_token(prompt)[reply])
            choice["logprobs"] = {"tokens": tokens, "token_logprobs": numbers}
        elif body.get("logprobs"):
            count = body["logprobs"]
            ranked = self._ranked(body, prompt, count)
            number = self.model.next_token(prompt)[reply]
            if self.vendor == "llama.cpp":
                listed = [{"token": t, "logprob": n} for t, n in ranked]
                content = {"token": reply, "logprob": number, "top_logprobs": listed}
                choice["logprobs"] = {"content": [content]}
            elif self.vendor == "vllm":
                choice["logprobs"] = {
                    "tokens": [reply],
                    "token_logprobs": [number],
                    "top_logprobs": [dict(ranked)],
                }
        return self._answer(choice, size)

    def _texts(self, request: Request) -> Sent:
        """Answer ``/completions`` of a list of prompts."""
        if self.lists == "refused":
            return Sent({"error": {"message": "prompt must be a string"}}, 400)
        prompts = request.body["prompt"]
        alone = [
            self.text(Request(request.path, {**request.body, "prompt": prompt}, request.headers))
            for prompt in prompts
        ]
        answers: list[Any] = [sent.content for sent in alone]
        choices = [answer["choices"][0] for answer in answers]
        places = list(range(len(choices)))
        if self.lists == "misplaced":  # each has the index of another
            places = [*places[1:], 0]
        for choice, place in zip(choices, places, strict=True):
            choice["index"] = 0 if self.lists == "without index" else place
        if self.lists == "first alone":
            choices = choices[:1]
        elif self.lists == "any order":
            choices = choices[::-1]
        usage = {
            name: sum(answer["usage"][name] for answer in answers)
            for name in ("prompt_tokens", "completion_tokens")
        }
        return Sent({"model": MODEL, "choices": choices, "usage": usage})

    def _ranked(self, body: Mapping[str, Any], context: str, count: int) -> list[tuple[str, float]]:
        """Return the tokens that are listed, as the request names them."""
        ranked = self.model.top(context, count)
        if self.vendor != "vllm":
            return ranked
        if wanted := body.get("logprob_token_ids"):
            names = [self.model.token_of(number) for number in wanted]
            likeliest = self.model.top(context, 1)
            others = [(n, self.model.log_probability(context, n)) for n in names]
            ranked = list(dict([*likeliest, *others]).items())
        if body.get("return_tokens_as_token_ids"):
            return [(f"token_id:{self.model.id_of(token)}", n) for token, n in ranked]
        return ranked

    def _answer(self, choice: dict[str, Any], size: int) -> Sent:
        usage = {"prompt_tokens": size, "completion_tokens": 1}
        return Sent({"model": MODEL, "choices": [choice], "usage": usage})

    def _refusal(self, body: Mapping[str, Any]) -> Sent | None:
        """Refuse a parameter by its name, as the vendor words it."""
        if self.vendor == "openai-o":
            if "max_tokens" in body:
                return _named(
                    "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                    "'max_completion_tokens' instead.",
                    "max_tokens",
                )
            if "temperature" in body:
                return _named(
                    "Unsupported value: 'temperature' does not support 0 with this model. Only "
                    "the default (1) value is supported.",
                    "temperature",
                )
            if "logprobs" in body:
                return _named("You are not allowed to request logprobs from this model", None)
        if self.vendor == "gemini":
            for name in ("seed", "frequency_penalty", "logprobs"):
                if name in body:
                    text = (
                        f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
                    )
                    return Sent([{"error": {"code": 400, "message": text}}], 400)
        if self.vendor == "claude":
            for name in ("seed", "frequency_penalty", "logprobs"):
                if name in body:
                    text = f"{name}: Extra inputs are not permitted"
                    return Sent({"error": {"type": "invalid_request_error", "message": text}}, 400)
        if self.vendor in ("openai", "azure") and (body.get("top_logprobs") or 0) > 20:
            return _named("Invalid value for 'top_logprobs': at most 20", "top_logprobs")
        return None


def _named(message: str, param: str | None) -> Sent:
    error = {"message": message, "type": "invalid_request_error", "param": param}
    return Sent({"error": error}, 400)
