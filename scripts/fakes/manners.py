"""What the servers of all vendors have in common: routes, answers, and lists of likely tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from scripts.fakes.rule import RuleModel, templated
from scripts.fakes.wire import Answer, Asked, refusal

SERVED = "owner/served"
FILTERED_PROMPT, FILTERED_REPLY = "FILTER-THIS-PROMPT", "FILTER-THIS-REPLY"
NOT_FOUND = Answer({"detail": "Not Found"}, 404)
Ranked = list[tuple[str, float]]


@dataclass
class Vendor:
    """A server that has nothing but chats; a vendor overrides what it does otherwise.

    Attributes:
        model: What answers.
        served: Name of the model.
        context: Maximum tokens of a prompt.
        key: The key that requests must have; empty if none is needed.
        cuts: Whether a longer prompt is cut without an error.
    """

    model: RuleModel = field(default_factory=RuleModel)
    served: str = SERVED
    context: int = 4096
    key: str = ""
    cuts: bool = False

    base: ClassVar[str] = "/v1"
    query: ClassVar[str] = ""
    server: ClassVar[str] = "fake/1"
    fingerprint: ClassVar[str | None] = None
    has_text: ClassVar[bool] = False  # whether there is /completions
    has_list: ClassVar[bool] = True  # whether there is /models
    echoes: ClassVar[bool] = False  # whether /completions gives a prompt's log-probabilities
    continues: ClassVar[bool] = False  # whether it continues a started reply
    lists: ClassVar[bool] = True  # whether it lists likely tokens
    lists_objects: ClassVar[bool] = False  # whether /completions lists them as chats do
    known: ClassVar[frozenset[str] | None] = None  # parameters; others are refused by name

    def routes(self) -> dict[str, Any]:
        """Return what answers each path."""
        found: dict[str, Any] = {f"{self.base}/chat/completions{self.query}": self.chat}
        if self.has_text:
            found[f"{self.base}/completions"] = self.text
        if self.has_list:
            found[f"{self.base}/models"] = lambda _: Answer({"data": [self.about()]})
        return found

    def answer(self, asked: Asked) -> Answer:
        """Answer a request of any path."""
        known = self.routes().get(asked.path)
        if known is None:
            return self.unknown(asked)
        found: Answer = self.denied(asked) or known(asked)
        return Answer(found.content, found.status, {"server": self.server} | found.headers)

    def unknown(self, asked: Asked) -> Answer:
        """Answer a request of an unknown path."""
        return NOT_FOUND

    def denied(self, asked: Asked) -> Answer | None:
        """Refuse a request without the key."""
        if not self.key or asked.headers.get("authorization") == f"Bearer {self.key}":
            return None
        return refusal("Incorrect API key provided.", 401, code="invalid_api_key")

    def about(self) -> dict[str, Any]:
        """Return the model in the list of models."""
        return {"id": self.served, "object": "model"}

    def checked(self, body: Mapping[str, Any]) -> Answer | None:
        """Refuse another model, or a parameter, as the vendor words it."""
        if body.get("model") != self.served:
            return self.no_model(str(body.get("model")))
        for name in body if self.known is not None else ():
            if name not in (self.known or ()):
                return refusal(f"Unrecognized request argument supplied: {name}")
        return self.refused(body)

    def no_model(self, name: str) -> Answer | None:
        """Refuse another model."""
        message = f"The model `{name}` does not exist."
        return refusal(message, 404, code="model_not_found", type="NotFoundError")

    def refused(self, body: Mapping[str, Any]) -> Answer | None:
        """Refuse a parameter."""
        return None

    def prompt_of(self, turns: Sequence[Mapping[str, str]], body: Mapping[str, Any]) -> str:
        """Return the text that the model reads for a chat."""
        continued = self.continues and bool(body.get("continue_final_message"))
        return templated(turns, continued=continued)

    def plain(self, prompt: str) -> str:
        """Return the text that the model reads for a prompt of ``/completions``."""
        return prompt

    def read(self, text: str) -> list[str] | Answer:
        """Return the tokens of a prompt that the model reads, or an error if they are too many."""
        tokens = self.model.tokens(text)
        if self.cuts or len(tokens) <= self.context:
            return tokens[-self.context :]
        return refusal(
            f"This model's maximum context length is {self.context} tokens. However, your "
            f"messages resulted in {len(tokens)} tokens.",
            code="context_length_exceeded",
        )

    def chat(self, asked: Asked) -> Answer:
        """Answer ``/chat/completions``."""
        body = asked.body
        if found := self.checked(body):
            return found
        tokens = self.read(self.prompt_of(body["messages"], body))
        if isinstance(tokens, Answer):
            return tokens
        context = "".join(tokens)
        if FILTERED_PROMPT in context and (found := self.filtered()):
            return found
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or 16
        thinking = self.thinking()
        reply = self.model.write(context, max(0, limit - thinking))
        finish = "length" if not reply or limit == 1 else "stop"
        said = self.opening(body) + reply
        if FILTERED_REPLY in context:
            said, finish = "", "content_filter"
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": said},
            "finish_reason": finish,
            "logprobs": None,
        }
        if body.get("logprobs") and self.lists and finish != "content_filter":
            ranked = self.ranked(body, context, body.get("top_logprobs") or 0)
            listed = [{"token": t, "logprob": n, "bytes": list(t.encode())} for t, n in ranked]
            first = {"token": reply, "logprob": self.model.log_probability(context, reply)}
            choice["logprobs"] = {"content": [{**first, "top_logprobs": listed}]}
        found = self.whole([choice], len(tokens), min(limit, thinking + 1), thinking)
        return self.with_extras(found, body, context)

    def with_extras(self, found: Answer, body: Mapping[str, Any], context: str) -> Answer:
        """Return an answer with what only this vendor adds to it."""
        return found

    def thinking(self) -> int:
        """Return the tokens of a trace that is not shown."""
        return 0

    def opening(self, body: Mapping[str, Any]) -> str:
        """Return what is repeated before a reply."""
        return ""

    def filtered(self) -> Answer | None:
        """Refuse a prompt by a content filter; None if the vendor has none for prompts."""
        return None

    def text(self, asked: Asked) -> Answer:
        """Answer ``/completions`` of one prompt or several."""
        body = asked.body
        if found := self.checked(body):
            return found
        several = isinstance(body["prompt"], list)
        if several and not self.takes_several():
            return refusal("json: cannot unmarshal array into Go struct field of type string")
        choices, sizes = [], []
        for place, prompt in enumerate(body["prompt"] if several else [body["prompt"]]):
            tokens = self.read(self.plain(prompt))
            if isinstance(tokens, Answer):
                return tokens
            sizes.append(len(tokens))
            choices.append(self.continued(place, "".join(tokens), body))
        written = len(choices) if body.get("max_tokens", 16) else 0
        return self.whole(choices, sum(sizes), written)

    def takes_several(self) -> bool:
        """Say whether ``prompt`` may be a list."""
        return True

    def continued(self, place: int, prompt: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return one choice of ``/completions``."""
        limit = body.get("max_tokens", 16)
        reply = self.model.write(prompt, limit)
        finish = "length" if limit <= 1 else "stop"
        choice: dict[str, Any] = {"index": place, "text": reply, "finish_reason": finish}
        choice["logprobs"] = None
        number = self.model.log_probability(prompt, reply) if reply else None
        if body.get("echo") and self.echoes:
            tokens, numbers = self.model.echoed(prompt)
            choice["text"] = prompt + reply
            more = ([reply], [number]) if limit else ([], [])
            choice["logprobs"] = {"tokens": tokens + more[0], "token_logprobs": numbers + more[1]}
        elif body.get("logprobs") and self.lists:
            ranked = self.ranked(body, prompt, body["logprobs"])
            if self.lists_objects:
                listed = [{"token": t, "logprob": n} for t, n in ranked]
                content = {"token": reply, "logprob": number, "top_logprobs": listed}
                choice["logprobs"] = {"content": [content]}
            else:
                choice["logprobs"] = {
                    "tokens": [reply],
                    "token_logprobs": [number],
                    "top_logprobs": [dict(ranked)],
                }
        return choice

    def ranked(self, body: Mapping[str, Any], context: str, count: int) -> Ranked:
        """Return the tokens that are listed, as the request names them."""
        return self.model.top(context, count)

    def whole(
        self, choices: list[dict[str, Any]], size: int, written: int, thinking: int = 0
    ) -> Answer:
        """Return an answer with its model and usage."""
        usage: dict[str, Any] = {
            "prompt_tokens": size,
            "completion_tokens": written,
            "total_tokens": size + written,
        }
        if thinking:
            usage["completion_tokens_details"] = {"reasoning_tokens": min(thinking, written)}
        found: dict[str, Any] = {"model": self.says(), "choices": choices, "usage": usage}
        if self.fingerprint is not None:
            found["system_fingerprint"] = self.fingerprint
        return Answer(found)

    def says(self) -> str:
        """Return the name of the model in answers."""
        return self.served
