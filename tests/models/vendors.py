"""Vendors of ``scripts/fakes`` in a ``Loopback``, whose single paths a test can replace."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

from scripts.fakes.rule import LIKELY, RuleModel, templated
from scripts.fakes.vendors import VENDORS
from scripts.fakes.wire import Answer, Asked
from tests.models.loopback import MODEL, Loopback, Request, Sent

__all__ = ["LIKELY", "RuleModel", "Vendor", "VendorServer", "templated"]

Vendor = Literal[
    *("vllm", "sglang", "llama.cpp", "ollama", "lmstudio", "transformers", "openai", "openai-o"),
    *("azure", "gemini", "anthropic", "litellm", "litellm-drop"),
]


@dataclass
class VendorServer:
    """One vendor's endpoints.

    Attributes:
        vendor: Whose manners.
        model: What answers.
        delay_s: Seconds per request.
        context: Most tokens of a prompt.
    """

    vendor: Vendor
    model: RuleModel = field(default_factory=RuleModel)
    delay_s: float = 0.0
    context: int = 4096

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
        return _sent(self.fake.text(_asked(request)))

    def _answer(self, request: Request) -> Sent:
        time.sleep(self.delay_s)
        return _sent(self.fake.answer(_asked(request)))


def _asked(request: Request) -> Asked:
    return Asked(request.path, request.body, request.headers)


def _sent(answer: Answer) -> Sent:
    return Sent(answer.content, answer.status, answer.headers, answer.claimed)
