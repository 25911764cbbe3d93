"""A request and its answer, as vendors and failures see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Asked:
    """A request: its path with the query, its JSON body (empty for a GET), and its headers.

    Names of headers are in lower case.
    """

    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What is sent: JSON of a value, or bytes as they are.

    Attributes:
        content: The body.
        status: The HTTP status.
        headers: Headers beside type and length.
        claimed: The length that the header claims, if it is not the true one; the connection is
            closed after the body.
        silent_s: Seconds of silence before the answer.
    """

    content: object
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    claimed: int | None = None
    silent_s: float = 0.0


def refusal(message: str, status: int = 400, **fields: object) -> Answer:
    """Return an error in OpenAI's form."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return Answer({"error": error | fields}, status)
