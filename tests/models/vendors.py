"""Vendors of ``scripts/fakes`` in a ``Loopback``, whose single paths a test can replace."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Literal

from scripts.fakes.rule import LIKELY, RuleModel, templated
from scripts.fakes.vendors import VENDORS
from scripts.fakes.wire import Answer, Asked
from tests.models.loopback import MODEL, Loopback, Request, Sent

__all__ = ["LIKELY", "Lists", "RuleModel", "Vendor", "VendorServer", "templated"]

Vendor = str  # a key of ``VENDORS``
Lists = Literal["any order", "refused", "misplaced", "without index", "first alone"]


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

    def __post_init__(self) -> None:
        self.fake = VENDORS[self.vendor](self.model, MODEL, self.context)

    def install(self, server: Loopback) -> str:
        """Let a server answer as the vendor does, and return the base address."""
        server.answers.clear()
        for path in self.fake.routes():
            server.answers[path] = self._answer
        return server.url.removesuffix("/v1") + self.fake.base

    def text(self, request: Request) -> Sent:
        """Answer ``/completions``."""
        return _sent(self._listed(request, self.fake.text(_asked(request))))

    def _answer(self, request: Request) -> Sent:
        time.sleep(self.delay_s)
        return _sent(self._listed(request, self.fake.answer(_asked(request))))

    def _listed(self, request: Request, usual: Answer) -> Answer:
        """Return an answer as ``lists`` says, if the prompt is a list."""
        if not isinstance(request.body.get("prompt"), list) or usual.status != 200:
            return usual
        if self.lists == "refused":
            return Answer({"error": {"message": "prompt must be a string"}}, 400)
        content: Any = usual.content
        choices = content["choices"]
        places = list(range(len(choices)))
        if self.lists == "misplaced":  # each has the index of another
            places = [*places[1:], 0]
        for choice, place in zip(choices, places, strict=True):
            choice["index"] = 0 if self.lists == "without index" else place
        if self.lists == "first alone":
            content["choices"] = choices[:1]
        elif self.lists == "any order":
            content["choices"] = choices[::-1]
        return usual


def _asked(request: Request) -> Asked:
    return Asked(request.path, request.body, request.headers)


def _sent(answer: Answer) -> Sent:
    return Sent(answer.content, answer.status, answer.headers, answer.claimed)
