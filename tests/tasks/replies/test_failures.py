"""Error messages that clients write in place of replies, and replies that mention errors."""

from __future__ import annotations

import time

import pytest

from ragbench.tasks.replies.failures import LONGEST, TAIL, is_failure

POOL = "HTTPSConnectionPool(host='api.example.org', port=443): "
PAGE = (
    "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>"
    "\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
TRACE = (
    "Traceback (most recent call last):\n"
    '  File "ask.py", line 3, in ask\n    client.send(prompt)\n{last}\n'
)


@pytest.mark.parametrize(
    "reply",
    [
        # openai before 1.0: its exceptions as texts, and with their names
        f"Error communicating with OpenAI: {POOL}Read timed out. (read timeout=600)",
        "Error communicating with OpenAI: ('Connection aborted.', RemoteDisconnected('Remote end "
        "closed connection without response'))",
        f"Request timed out: {POOL}Read timed out. (read timeout=600)",
        f"openai.error.Timeout: Request timed out: {POOL}Read timed out.",
        f"openai.error.APIConnectionError: Error communicating with OpenAI: {POOL}Max retries",
        "That model is currently overloaded with other requests. You can retry your request.",
        "The server is overloaded or not ready yet.",
        "The server had an error while processing your request. Sorry about that!",
        "Rate limit reached for gpt-3.5-turbo in organization org-x on tokens per min.",
        "This model's maximum context length is 4097 tokens. However, your messages resulted in "
        "5012 tokens. Please reduce the length of the messages.",
        'Bad gateway. {"error":{"code":502,"message":"Bad gateway."}} 502',
        "HTTP code 502 from API (<html><h1>502 Bad Gateway</h1></html>)",
        # openai since 1.0
        "Error code: 429 - {'error': {'message': 'Rate limit reached', 'code': '429'}}",
        "Connection error.",
        "Request timed out.",
        # requests, urllib, aiohttp, httpx
        f"{POOL}Max retries exceeded with url: /v1/chat (Caused by ConnectTimeoutError())",
        "('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))",
        "requests.exceptions.ReadTimeout: " + POOL + "Read timed out.",
        "503 Server Error: Service Unavailable for url: http://localhost:8000/v1/completions",
        "429 Client Error: Too Many Requests for url: https://api.example.org/v1",
        "HTTP Error 504: Gateway Time-out",
        "<urlopen error [Errno 111] Connection refused>",
        "[Errno -3] Temporary failure in name resolution",
        "Cannot connect to host localhost:8000 ssl:default [Connect call failed]",
        "Server disconnected without sending a response.",
        "ConnectionError(MaxRetryError('no route'))",
        # harnesses' own words
        "Error: Request timeout",
        "Error: timeout",
        "ERROR: timeout after 60 seconds",
        "[Error] - Connection refused",
        "Exception: Read timed out.",
        "Timeout: Request timed out",
        "Error calling the OpenAI API: 401",
        "An error occurred while contacting the model server: no route to host",
        'Error: {"error": {"message": "overloaded", "type": "server_error"}}',
        "HTTP 503",
        "HTTP/1.1 504 Gateway Timeout",
        "502 Bad Gateway",
        "Error 500: Internal Server Error",
        "  Internal Server Error\n",
        "Too Many Requests",
        "Service Temporarily Unavailable",
        # bodies of an API
        '{"error": {"message": "The engine is overloaded", "type": "server_error"}}',
        '{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}',
        '{"object": "error", "message": "prompt is too long", "code": 400}',
        '{"error": "Rate limit exceeded"}',
        '{"message": "Too Many Requests"}',
        # pages of a proxy, tracebacks
        PAGE.format(title="502 Bad Gateway"),
        PAGE.format(title="504 Gateway Time-out"),
        "<!DOCTYPE html><html><title>api.example.org | 524: A timeout occurred</title></html>",
        TRACE.format(last="httpx.ReadTimeout: The read operation timed out"),
        TRACE.format(last="openai.APIConnectionError: Connection error."),
    ],
)
def test_error_messages(reply: str) -> None:
    assert is_failure(reply)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "B",
        "error",
        "Error",
        "Timeout",
        "Time-out",  # before an incision
        "Not found.",
        "Forbidden",
        "404",
        "500 mg",
        "503 patients were randomised",
        "Refractive error",
        "Connection errors between neurons",
        "Error communicating with the patient led to the wrong dose.",
        "Error communicating with OpenAI is not an option listed; the answer is B.",
        "Error: the surgical time-out was skipped",
        "Error: wrong-site surgery, for want of a timeout.",
        "Error: B",
        "Error: the dose was 500 mg",
        "A server error occurred in the laboratory, so the sample was lost. The answer is B.",
        "The patient was read the consent; a connection error delayed the telemetry.",
        "Read: the tracing shows a timeout of the pacemaker",
        "Protocol: give 500 mL of saline",
        "Timeout: the team confirms the patient's name.",
        "Connection error\n\nThe telemetry failed. Give adrenaline.",
        "Connection error. The answer is C.",
        "Request timed out. I choose option B",
        "The connection between the ducts",
        "The server is the waiter in this vignette.",
        "Medication errors: 429 of 1,000 prescriptions",
        "MedicationError: wrong dose",
        '{"step_by_step_thinking": "Connection error", "answer_choice": "B"}',
        '{"error": "wrong dose"}',
        '{"error": {"message": "none"}, "answer_choice": "B"}',
        '{"error": null, "answer": "B"}',
        '{"message": "Take two tablets."}',
        "{'error'",
        "[1]",
        PAGE.format(title="Causes of chest pain"),
        PAGE.format(title="502 Bad Gateway") + "The answer is B.",
        TRACE.format(last="ValueError: heart rate below 0"),
        "The response was filtered due to the prompt triggering Azure OpenAI's content management "
        "policy. Please modify your prompt and retry.",  # a refusal
        "Connection error." + "x" * (TAIL + 1),
        PAGE.format(title="502 Bad Gateway").replace("nginx", "x" * LONGEST),
    ],
)
def test_replies_that_are_none(reply: str) -> None:
    assert not is_failure(reply)


@pytest.mark.parametrize("part", ["a", " ", "\n", "{", '{"error":', "<html><title", "Error: ", "."])
def test_long_texts_take_no_time(part: str) -> None:
    text = (part * LONGEST)[:LONGEST]
    started = time.perf_counter()
    for reply in (
        text,
        "Error: " + text[:-7],
        "HTTP 500" + text[:-8],
        "<html>" + text[:-13] + "</html>",
    ):
        is_failure(reply)
    assert time.perf_counter() - started < 1
