"""What refusals ask for, in the words of the vendors' own documentation."""

from __future__ import annotations

import json
from email.utils import formatdate
from time import time

import pytest

from ragbench.models.served.patience.refusals import is_spent, status_inside, wait_asked

DAY = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0.25 "}, 0.25),
        ({"retry-after": "20.000"}, 20.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "12.5", "retry-after": "1"}, 0.0125),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": DAY}, 0.0),
        ({"retry-after": DAY, "date": "Wed, 21 Oct 2015 07:27:30 GMT"}, 30.0),
        ({"retry-after": DAY, "date": "Wed, 21 Oct 2015 07:29:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 -0000", "date": DAY}, 0.0),
        *(
            ({"retry-after": text}, None)
            for text in ("", "soon", "-1", "nan", "inf", "1e9", "0x10", "1,5", "9" * 400)
        ),
        ({"retry-after": "Mon, 99 Jan 99999 00:00 GMT"}, None),
    ],
)
def test_the_wait_of_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert wait_asked(headers) == seconds


def test_a_date_without_the_servers_own_counts_from_now() -> None:
    header = {"retry-after": formatdate(time() + 30, usegmt=True)}
    assert wait_asked(header) == pytest.approx(30, abs=3)


def google(*limits: str, delay: str = "34.07s") -> bytes:
    """Return Gemini's refusal, which has one message for all limits."""
    violations = [{"quotaMetric": "requests", "quotaId": limit} for limit in limits]
    details = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
    ]
    error = {
        "code": 429,
        "message": "You exceeded your current quota, please check your plan and billing details.",
        "status": "RESOURCE_EXHAUSTED",
        "details": details,
    }
    return json.dumps([{"error": error}]).encode()


def test_googles_delay_is_in_the_body() -> None:
    assert wait_asked({}, google("X-PerMinute")) == 34.07
    assert wait_asked({"retry-after": "2"}, google("X-PerMinute")) == 2.0
    assert wait_asked({}, google("X-PerMinute", delay="soon")) is None
    assert wait_asked({}, b"[" * 100_000) is None


def body(message: str, **more: str) -> bytes:
    return json.dumps({"error": {"message": message, **more}}).encode()


@pytest.mark.parametrize(
    ("status", "content", "spent"),
    [
        # OpenAI: a spent quota, and a rate limit
        (429, body("You exceeded your current quota", code="insufficient_quota"), True),
        (429, body("Over the limit", type="insufficient_quota"), True),
        (429, body("Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000"), False),
        (403, body("Billing hard limit has been reached", code="billing_hard_limit_reached"), True),
        # Azure: a rate limit that speaks of quota, and API management's call volume
        (
            429,
            body(
                "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version "
                "2024-10-21 have exceeded token rate limit of your current OpenAI S0 pricing "
                "tier. Please retry after 26 seconds. Please go here: "
                "https://aka.ms/oai/quotaincrease if you would like to further increase the "
                "default rate limit.",
                code="429",
            ),
            False,
        ),
        (403, b'{"message": "Out of call volume quota. Replenished in 10:12:33."}', True),
        # Google: the same message for a day and a minute
        (429, google("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), True),
        (429, google("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"), False),
        (429, google("TokensPerMinute-FreeTier", "RequestsPerDay-FreeTier"), True),
        (429, body("You exceeded your current quota.", status="RESOURCE_EXHAUSTED"), False),
        (429, body('litellm.RateLimitError: {"quotaId": "RequestsPerDayPerModel"}'), True),
        (429, body('current quota {\\"quotaId\\": \\"RequestsPerMinutePerModel\\"}'), False),
        # Anthropic, DeepSeek, a LiteLLM proxy
        (400, body("Your credit balance is too low to access the Anthropic API."), True),
        (402, b"", True),
        (400, body("Budget has been exceeded! Current cost: 2.1", type="budget_exceeded"), True),
        # a prompt that a server repeats is not its own word
        (400, b'{"detail": [{"msg": "bad", "input": "exceeded your current quota"}]}', False),
        (500, body("You exceeded your current quota"), False),
        (429, b"<html>You exceeded your current quota</html>", True),
        (429, b"", False),
    ],
)  # fmt: skip
def test_a_spent_quota_is_told_from_a_rate_limit(status: int, content: bytes, spent: bool) -> None:
    assert is_spent(status, content) is spent


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ({"error": {"code": 502, "message": "upstream"}}, 502),
        ({"error": {"code": 429}}, 429),
        ({"error": {"code": 200}}, None),
        ({"error": {"code": "502"}}, None),
        ({"error": {"code": True}}, None),
        ({"error": "no"}, None),
        ({"error": {"code": 502}, "choices": []}, None),  # refused where choices are read
        ({}, None),
    ],
)
def test_the_status_of_an_error_inside_an_answer(
    value: dict[str, object], status: int | None
) -> None:
    assert status_inside(value) == status
