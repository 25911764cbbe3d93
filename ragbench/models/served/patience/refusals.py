"""What a server's refusal asks for: how long to wait, or that no wait helps."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

READ_BYTES = 1 << 16  # of a refusal; those of the vendors are far shorter
NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")
DELAY = re.compile(rf"({NUMBER.pattern})s")
TOO_MANY, PAYMENT = 429, 402
MAY_BE_QUOTA = (400, 403, TOO_MANY)
# Azure's "rate limit of your current pricing tier ... increase the quota" is no spent quota.
SPENT = re.compile(
    r"insufficient[ _-](?:quota|balance|credits?|funds)|exceeded your current quota"
    r"|billing[ _](?:hard[ _]limit|not[ _]active)|credit balance is too low"
    r"|budget has been exceeded|budget_exceeded|out of call volume quota"
    r"|exceeded your monthly included credits",
    re.IGNORECASE,
)
# Google names the limit that was hit, such as GenerateRequestsPerDayPerProjectPerModel-FreeTier.
PER_DAY = re.compile(r"Per(?:Day|Month)")
LIMIT = re.compile(r"quotaId\W{1,8}([\w-]+)")  # in a message of a gateway that repeats Google's
GOOGLES = "RESOURCE_EXHAUSTED"
WORDS = ("message", "type", "code", "status", "detail")
LEADS_ON = ("error", "errors", "innererror", "details", "violations", "detail", "message")
DEPTH = 6


def wait_asked(headers: Mapping[str, str], content: bytes = b"") -> float | None:
    """Return the seconds that a refusal asks to wait; None if it does not say.

    ``retry-after-ms`` comes before ``Retry-After``, a number with or without a fraction or a date.
    A date counts from the server's own ``Date``, as clocks differ. Google writes ``retryDelay``
    into the body.
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if NUMBER.fullmatch(milliseconds):
        return float(milliseconds) / 1000
    header = headers.get("retry-after", "").strip()
    if NUMBER.fullmatch(header):
        return float(header)
    until = _seconds(header)
    if until is not None:
        now = _seconds(headers.get("date", ""))
        return max(0.0, until - (time.time() if now is None else now))
    for name, value in _said(_decoded(content), 0):
        found = DELAY.fullmatch(value) if name == "retryDelay" else None
        if found:
            return float(found[1])
    return None


def is_spent(status: int, content: bytes) -> bool:
    """Say whether a refusal means a quota or a balance that no short wait brings back.

    Most vendors send it with 429, as they do for a rate limit. Google has one message for both: a
    limit per day is a spent quota, and one per minute or without a name is not.
    """
    if status == PAYMENT:
        return True
    if status not in MAY_BE_QUOTA:
        return False
    said = list(_said(_decoded(content), 0))
    words = " ".join(value for name, value in said if name != "quotaId")
    limits = [value for name, value in said if name == "quotaId"] + LIMIT.findall(words)
    if limits or GOOGLES in words:
        return any(PER_DAY.search(limit) for limit in limits)
    return SPENT.search(words) is not None


def status_inside(value: Mapping[str, Any]) -> int | None:
    """Return the status of an error that a server sent with HTTP 200; None if there is none.

    Gateways do so where the server behind them fails: ``{"error": {"code": 502, ...}}``.
    """
    error = value.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    if "choices" in value or type(code) is not int or not 400 <= code < 600:
        return None
    return code


def _decoded(content: bytes) -> object:
    text = content[:READ_BYTES].decode("utf-8", errors="replace")
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    return {"message": text}


def _said(value: object, depth: int) -> Iterator[tuple[str, str]]:
    """Yield the words of a refusal by their names, and nothing that it repeats of the prompt."""
    if depth > DEPTH:
        return
    if isinstance(value, list):
        for member in value:
            yield from _said(member, depth + 1)
        return
    if isinstance(value, str):
        yield "message", value
        return
    if not isinstance(value, dict):
        return
    for name, inner in value.items():
        if isinstance(inner, str) and name in (*WORDS, "error", "quotaId", "retryDelay"):
            yield name, inner
        elif isinstance(inner, dict | list) and name in LEADS_ON:
            yield from _said(inner, depth + 1)


def _seconds(date: str) -> float | None:
    """Return the time of an HTTP date; None if it is none."""
    try:
        found = parsedate_to_datetime(date)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None
