"""Error messages of servers and clients that harnesses stored in place of a reply."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

LONGEST = 20_000  # characters; no error message is longer
TAIL = 1_000  # characters of free text after the words that open a message
SERVICE = (
    r"(?:(?:the )?(?:\w+ )?(?:api|server|service|endpoint|backend|llm)|(?:azure )?openai|azure|"
    r"anthropic|gemini|vertex|cohere|mistral|hugging ?face|ollama|vllm|litellm|bedrock|groq|"
    r"together|replicate)\b"
)
SERVER_STATUS = (
    r"(?:too many requests|internal server error|bad gateway|"
    r"service (?:temporarily )?unavailable|gateway time-?out)"
)
STATUS = (
    r"(?:bad request|unauthorized|payment required|forbidden|not found|request time-?out|"
    rf"payload too large|{SERVER_STATUS})"
)
# Words that open a message, whatever follows them in its paragraph.
OPENINGS = re.compile(
    rf"(?:error communicating with {SERVICE}|"
    r"(?:an )?error (?:occurred )?(?:while |when |in )?(?:calling|contacting|querying|"
    rf"connecting to) {SERVICE}|"
    r"(?:the |your )?(?:request|read|write|connect|connection|server|gateway|"
    r"(?:read )?operation|api call) (?:has )?timed out\b|"
    r"connection (?:error\b|aborted\b|refused\b|reset by peer\b|closed by (?:the )?remote\b)|"
    r"(?:api )?rate[ -]?limit (?:reached|exceeded|error)\b|"
    r"error code: ?[45]\d\d\b|"
    r"http(?:/[\d.]+)?(?: error| status| status code| code| response)?:? ?[45]\d\d\b|"
    r"(?:status|status code|error|server error)?:? ?[45]\d\d:? "
    rf"(?:(?:client|server) error:|{STATUS})|"
    r"bad gateway\. ?\{|"
    r"(?:the|that) (?:server|model|engine) is (?:currently )?overloaded\b|"
    r"the server had an error while processing your request\b|"
    r"this model's maximum context length is \d|"
    r"https?connectionpool\(host=|"
    r"\(?'connection aborted\.'|"
    r"remote end closed connection without response\b|"
    r"server disconnected without sending a response\b|"
    r"<urlopen error |"
    r"\[errno -?\d+\]|"
    r"cannot connect to host \S)",
    re.IGNORECASE,
)
# The name of an exception before its message, as Python prints it; case counts.
RAISED = re.compile(
    r"(?:[A-Za-z_][\w.]{0,80}\.)?"
    r"(?:(?:API|APIConnection|APIResponse|APIStatus|APITimeout|Authentication|BadRequest|"
    r"ChunkedEncoding|ClientConnector|ClientOS|ClientPayload|ClientResponse|Connect|Connection|"
    r"ConnectionAborted|ConnectionRefused|ConnectionReset|HTTP|HTTPStatus|InternalServer|"
    r"InvalidRequest|MaxRetry|NewConnection|OpenAI|Overloaded|PermissionDenied|Proxy|RateLimit|"
    r"Read|RemoteProtocol|ServerDisconnected|ServerTimeout|ServiceUnavailable|SSL|Throttling|"
    r"Timeout|TryAgain|URL|UnprocessableEntity)(?:Error|Exception)|"
    r"ConnectTimeout|ReadTimeout|RemoteDisconnected|(?<=\.)Timeout)[:(]"
)
# Messages that are nothing but these words.
WHOLE = re.compile(
    r"(?:(?:request |read |connection |gateway |server )(?:timeout|time-out)(?: error)?"
    rf"|timed out|{SERVER_STATUS})(?: after \d+(?:\.\d+)? ?s(?:ec(?:onds?)?)?)?[.!]?",
    re.IGNORECASE,
)
# Messages that are nothing but these words after a prefix such as ``Error:``.
AFTER_PREFIX = re.compile(
    r"(?:timeout|time-out|overloaded|rate limited|(?:network|api|server) error)"
    r"(?: after \d+(?:\.\d+)? ?s(?:ec(?:onds?)?)?)?[.!]?",
    re.IGNORECASE,
)
PREFIX = re.compile(
    r"\[?(?:error|exception|api error|openai error|request failed|timeout)\]?\s{0,3}[:-]\s{0,3}",
    re.IGNORECASE,
)
TITLE = re.compile(r"<(?:title|h1)[^>]{0,200}>\s{0,20}([^<]{0,200})", re.IGNORECASE)
FAULT = re.compile(rf"\b[45]\d\d\b|\berror\b|{STATUS}", re.IGNORECASE)
# A text that gives an answer is a reply, whatever it mentions.
ANSWERS = re.compile(
    r"\banswers?\b[^.]{0,20}(?:\bis\b|:)|\banswer_choice\b|\b(?:option|choice) [A-F]\b",
    re.IGNORECASE,
)


def is_failure(reply: str) -> bool:
    """Return whether a whole reply is the error message of a server, a client or a proxy.

    A message is recognised by its opening words and must be one paragraph, a traceback, a page of
    HTML or an object of JSON. A text that gives an answer, or one that mentions an error after
    other words, is a reply. A provider's notice that it filtered a prompt is a refusal.
    """
    if len(reply) > LONGEST:
        return False
    text = reply.strip()
    if text.startswith("Traceback (most recent call last):"):
        return bool(RAISED.match(text.rpartition("\n")[2]))
    if text[:15].lower().startswith(("<!doctype html", "<html")):
        whole = text[-7:].lower() == "</html>"
        return whole and any(FAULT.search(title) for title in TITLE.findall(text))
    return _is_object(text) if text.startswith("{") else _is_message(text)


def _is_message(text: str) -> bool:
    if prefix := PREFIX.match(text):
        text = text[prefix.end() :]
        if AFTER_PREFIX.fullmatch(text):
            return True
        if text.startswith("{"):
            return _is_object(text)
    if WHOLE.fullmatch(text):
        return True
    opening = OPENINGS.match(text) or RAISED.match(text)
    if opening is None:
        return False
    tail = text[opening.end() :]
    return len(tail) <= TAIL and not re.search(r"\n\s*\n", tail) and not ANSWERS.search(tail)


def _is_object(text: str) -> bool:
    """Return whether a text is an API's error, such as ``{"error": {"message": ...}}``."""
    if ANSWERS.search(text):
        return False
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if not isinstance(value, dict):
        return False
    error = value.get("error")
    if isinstance(error, Mapping):
        return bool({"message", "code", "type", "status"} & error.keys())
    if isinstance(error, str):
        return _is_message(error)
    return _has_message(value)


def _has_message(value: Mapping[str, Any]) -> bool:
    message = value.get("message")
    if not isinstance(message, str):
        return False
    return value.get("object") == "error" or (len(value) == 1 and _is_message(message))
