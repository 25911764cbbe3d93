"""Ways in which a server misbehaves, one per name, each on top of a vendor's usual answer."""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from scripts.fakes.manners import Vendor
from scripts.fakes.wire import Answer, Asked, refusal

SILENT_S = 3600.0
GRID = 8  # steps of a tie per unit
TOO_LONG = 4  # times the limit
CUT_TOKENS = 60
ASKS = ("/chat/completions", "/completions")
Failure = Callable[[Answer, Asked, int], Answer]


def _busy(**headers: str) -> Failure:
    def answer(_: Answer, __: Asked, ___: int) -> Answer:
        found = refusal("Rate limit reached.", 429, code="rate_limit_exceeded")
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return Answer(found.content, found.status, sent)

    return answer


def _busy_until(_: Answer, __: Asked, ___: int) -> Answer:
    found = refusal("Rate limit reached.", 429, code="rate_limit_exceeded")
    return Answer(found.content, 429, {"retry-after": formatdate(time.time() + 1.0, usegmt=True)})


def _no_quota(_: Answer, __: Asked, ___: int) -> Answer:
    return refusal(
        "You exceeded your current quota, please check your plan and billing details.",
        429,
        type="insufficient_quota",
        code="insufficient_quota",
    )


def _loading(_: Answer, __: Asked, ___: int) -> Answer:
    return refusal("Loading model", 503, type="unavailable_error", code=503)


def _reset(usual: Answer, _: Asked, __: int) -> Answer:
    whole = json.dumps(usual.content).encode()
    return Answer(whole[: len(whole) // 2], usual.status, usual.headers, claimed=len(whole))


def _silent(usual: Answer, _: Asked, __: int) -> Answer:
    return Answer(usual.content, usual.status, usual.headers, silent_s=SILENT_S)


def _page(_: Answer, __: Asked, ___: int) -> Answer:
    return Answer(b"<html><body>Please sign in.</body></html>", 200, {"content-type": "text/html"})


def _filtered(more: str) -> Failure:
    text = f"The response was filtered{more}"
    found = refusal(text, 400, code="content_filter", param="prompt")
    return lambda _, __, ___: found


def _edited(edit: Callable[[dict[str, Any], Asked, int], None]) -> Failure:
    """Return a failure that edits the content of a usual answer; errors stay as they are."""

    def answer(usual: Answer, asked: Asked, number: int) -> Answer:
        if usual.status != 200 or not isinstance(usual.content, dict):
            return usual
        content = copy.deepcopy(usual.content)
        edit(content, asked, number)
        return Answer(content, usual.status, usual.headers)

    return answer


def _another_model(content: dict[str, Any], _: Asked, __: int) -> None:
    content["model"] = "owner/another"


def _no_choices(content: dict[str, Any], _: Asked, __: int) -> None:
    content["choices"] = []


def _say(content: dict[str, Any], text: str | None, finish: str | None = None) -> None:
    for choice in content["choices"]:
        if "message" in choice:
            choice["message"]["content"] = text
        else:
            choice["text"] = text
        choice["finish_reason"] = finish or choice["finish_reason"]


def _no_content(content: dict[str, Any], _: Asked, __: int) -> None:
    _say(content, None)


def _empty(content: dict[str, Any], _: Asked, __: int) -> None:
    _say(content, "", "stop")


def _filtered_reply(content: dict[str, Any], _: Asked, __: int) -> None:
    _say(content, "", "content_filter")
    for choice in content["choices"]:
        choice["logprobs"] = None


def _too_long(content: dict[str, Any], asked: Asked, _: int) -> None:
    limit = asked.body.get("max_completion_tokens") or asked.body.get("max_tokens") or 16
    _say(content, "B" + " word" * (TOO_LONG * limit - 1), "stop")
    content["usage"]["completion_tokens"] = TOO_LONG * limit


def _other_build(content: dict[str, Any], _: Asked, number: int) -> None:
    content["system_fingerprint"] = f"fp_{number // 2}"


def _numbers(value: Any, change: Callable[[float], float]) -> Any:
    """Return logprobs in any form with every number changed."""
    if isinstance(value, dict):
        return {name: _numbers(inner, change) for name, inner in value.items() if name != "bytes"}
    if isinstance(value, list):
        return [_numbers(inner, change) for inner in value]
    return change(value) if isinstance(value, float) else value


def _renumbered(change: Callable[[float], float]) -> Failure:
    def edit(content: dict[str, Any], _: Asked, __: int) -> None:
        for choice in content["choices"]:
            choice["logprobs"] = _numbers(choice.get("logprobs"), change)

    return _edited(edit)


def _usual(usual: Answer, _: Asked, __: int) -> Answer:
    return usual


FAILURES: dict[str, Failure] = {
    "429": _busy(),
    "429-seconds": _busy(retry_after="1"),
    "429-fraction": _busy(retry_after="0.25"),
    "429-ms": _busy(retry_after_ms="250"),
    "429-date": _busy_until,
    "quota": _no_quota,
    "loading": _loading,
    "reset": _reset,
    "silent": _silent,
    "page": _page,
    "wrong-model": _edited(_another_model),
    "no-choices": _edited(_no_choices),
    "no-content": _edited(_no_content),
    "empty": _edited(_empty),
    "filtered-prompt": _filtered(" due to the prompt triggering the content management policy."),
    "filtered-shortly": _filtered(""),  # as learn.microsoft.com has it in an example
    "filtered-reply": _edited(_filtered_reply),
    "too-long": _edited(_too_long),
    "fingerprint": _edited(_other_build),
    "nan": _renumbered(lambda _: float("nan")),
    "ties": _renumbered(lambda number: round(number * GRID) / GRID),
    "cut": _usual,  # see ``Failing``
}


@dataclass
class Failing:
    """A vendor's server that misbehaves at some requests for text.

    Attributes:
        vendor: The usual answers.
        kind: Name of the failure.
        after: Requests for text that are answered as usual first.
        times: Requests that fail then; 0 for all.
        on: Text of the prompts that fail; empty for any.
    """

    vendor: Vendor
    kind: str
    after: int = 0
    times: int = 0
    on: str = ""
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, asked: Asked) -> Answer:
        """Answer a request of any path."""
        number = self._number(asked)
        if number is None:
            return self.vendor.answer(asked)
        if self.kind == "cut":
            cutting = copy.copy(self.vendor)
            cutting.context, cutting.cuts = CUT_TOKENS, True
            return cutting.answer(asked)
        return FAILURES[self.kind](self.vendor.answer(asked), asked, number)

    def _number(self, asked: Asked) -> int | None:
        """Return which failure this request is, from 0; None if it is answered as usual."""
        path = asked.path.partition("?")[0]
        if not path.endswith(ASKS) or self.on not in json.dumps(asked.body):
            return None
        with self._lock:
            number = self._count - self.after
            self._count += 1
        return number if number >= 0 and (not self.times or number < self.times) else None
