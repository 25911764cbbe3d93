"""JSON over HTTP to the servers of one model: bounded, retried, and never sent elsewhere.

Redirects are not followed, and neither proxies nor ``.netrc`` are read from the environment:
requests go to the addresses in the config and to no other host. Certificates are checked against
those of the system, or of ``SSL_CERT_FILE``.
"""

from __future__ import annotations

import json
import os
import random
import re
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import cycle
from threading import Lock
from typing import Any
from weakref import finalize

import httpx

from ragbench.base.errors import BackendError, PrerequisiteError, UsageError, first_line
from ragbench.models.endpoint import Endpoint

CONNECT_S = 10.0
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
MAX_RESPONSE_BYTES = 64 << 20
EXCERPT_CHARACTERS = 200
SECRET_CHARACTERS = 12  # a key of this length is in no reply by chance
HEADERS = {
    "user-agent": "ragbench",
    "accept": "application/json",
    "accept-encoding": "identity",  # so that a small answer cannot decompress into a large one
}
VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
KEY = re.compile(r"[\x21-\x7e]+")
TOO_MANY = 429
UNAUTHORISED = (401, 403)


class Refused(BackendError):
    """An HTTP error from the server."""

    def __init__(self, what: str, *, status: int, where: str) -> None:
        denied = status in UNAUTHORISED
        fix = "name the variable of the right key with `api_key_env`" if denied else ""
        super().__init__(what, where=where, fix=fix)
        self.status = status


class _Fleeting(Exception):
    """A failure that may pass, with the seconds that the server asks to wait."""

    def __init__(self, error: BackendError, wait_s: float | None = None) -> None:
        super().__init__(error.what)
        self.error = error
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's JSON object, and its header ``server``."""

    value: dict[str, Any]
    server: str


class Client:
    """Asks the servers of one model in turn; safe to use from several threads.

    Args:
        name: The model's name, for messages.
        endpoints: The servers.
        timeout_s: Seconds for a whole answer.
        retries: Number of retries after a connection error, a timeout, 429 (after ``Retry-After``,
            at most 60 seconds) or a status from 500 on; at the next address if there are several.
        connections: Maximum number of connections.
        key_env: Environment variable of the key.

    Raises:
        UsageError: ``key_env`` is not the name of a variable. It may be a key, and is not repeated.
    """

    def __init__(
        self,
        name: str,
        endpoints: Sequence[Endpoint],
        *,
        timeout_s: float,
        retries: int,
        connections: int,
        key_env: str | None,
    ) -> None:
        if key_env is not None and VARIABLE.fullmatch(key_env) is None:
            raise UsageError(
                "`api_key_env` is not the name of an environment variable",
                where=f"models: {name}: api_key_env",
                fix="put the key into a variable such as SERVER_KEY, and write that name",
            )
        self._name = name
        self.endpoints = tuple(endpoints)
        self._turns = cycle(self.endpoints)
        self._timeout_s = timeout_s
        self._retries = retries
        self._connections = connections
        self._key_env = key_env
        self._opened: httpx.Client | None = None
        self._opening = Lock()

    def _open(self) -> httpx.Client:
        """Return the client, made on first use; it connects with the first request."""
        with self._opening:
            if self._opened is None:
                self._opened = httpx.Client(
                    follow_redirects=False,
                    trust_env=False,
                    verify=ssl.create_default_context(),
                    timeout=httpx.Timeout(self._timeout_s, connect=min(CONNECT_S, self._timeout_s)),
                    limits=httpx.Limits(max_connections=self._connections),
                    headers=HEADERS,
                )
                finalize(self, self._opened.close)
            return self._opened

    def close(self) -> None:
        """Close the connections; the next request opens them again."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def ask(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        endpoint: Endpoint | None = None,
        retries: int | None = None,
    ) -> Answer:
        """Return the answer to a GET, or to a POST of a JSON body.

        Args:
            path: Path after the endpoint's address, such as ``/models``.
            body: JSON to post.
            endpoint: One of the endpoints; by default each in turn.
            retries: Replaces the client's own number.

        Raises:
            BackendError: No connection, a timeout, an HTTP error, a redirect, or an answer that is
                not a JSON object; after retries, the last error.
        """
        left = self._retries if retries is None else retries
        attempt = 0
        while True:
            place = endpoint or next(self._turns)
            try:
                return self._once(place.url + path, body)
            except _Fleeting as failure:
                if attempt == left:
                    raise failure.error from None
                pause(_wait_s(attempt, failure.wait_s))
                attempt += 1

    def _once(self, url: str, body: Mapping[str, Any] | None) -> Answer:
        key = self._key()
        headers = {"authorization": f"Bearer {key}"} if key else {}
        until = time.monotonic() + self._timeout_s
        try:
            with self._open().stream(
                "GET" if body is None else "POST", url, json=body, headers=headers
            ) as response:
                content = self._read(response, url, until)
        except httpx.TransportError as error:
            took_long = isinstance(error, httpx.TimeoutException)
            why = f"no answer in {self._timeout_s:g} s" if took_long else first_line(error)
            raise _Fleeting(self._failed(f"cannot be asked: {why}", url)) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._failed(
                f"sent an answer that is not HTTP: {first_line(error)}", url
            ) from None
        self._check_status(response, content, url, key)
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            shown = excerpt(content, key)
            raise self._failed(f"sent an answer that is not a JSON object: {shown}", url)
        if len(key) >= SECRET_CHARACTERS and key.encode() in content:
            raise self._failed("sent the key back, so its answer is not kept", url)
        return Answer(value, excerpt(response.headers.get("server", "").encode(), key))

    def _read(self, response: httpx.Response, url: str, until: float) -> bytes:
        parts, size = [], 0
        for part in response.iter_bytes():
            size += len(part)
            if size > MAX_RESPONSE_BYTES:
                raise self._failed(f"answered with more than {MAX_RESPONSE_BYTES:,} bytes", url)
            if time.monotonic() > until:
                raise httpx.ReadTimeout("the answer is too slow")
            parts.append(part)
        return b"".join(parts)

    def _check_status(self, response: httpx.Response, content: bytes, url: str, key: str) -> None:
        status = response.status_code
        if response.is_success:
            return
        if response.has_redirect_location:
            target = excerpt(str(response.headers["location"]).encode(), key)
            host = httpx.URL(url).join(target).host if _is_url(target) else target
            raise self._failed(f"redirects to {host!r} (HTTP {status}), which is not followed", url)
        error = Refused(
            f"{self._name} answered HTTP {status}: {excerpt(content, key)}",
            status=status,
            where=url,
        )
        if status == TOO_MANY or status >= 500:
            raise _Fleeting(error, retry_after(response.headers.get("retry-after")))
        raise error

    def _failed(self, what: str, url: str) -> BackendError:
        return BackendError(f"{self._name} {what}", where=url, fix="check `url`, and the server")

    def _key(self) -> str:
        """Return the key; empty if the config names none."""
        if self._key_env is None:
            return ""
        key = os.environ.get(self._key_env, "").strip()
        if KEY.fullmatch(key) is None:
            state = "cannot be a key" if key else "is not set"
            raise PrerequisiteError(
                f"the environment variable {self._key_env} {state}",
                where=f"models: {self._name}: api_key_env",
                fix=f"export {self._key_env}=... before the command",
            )
        return key


def pause(seconds: float) -> None:
    """Wait before a retry."""
    time.sleep(seconds)


def _wait_s(attempt: int, asked: float | None) -> float:
    """Return the seconds to wait: as the server asks, or doubled after each failure."""
    if asked is not None:
        return min(asked, LONGEST_WAIT_S)
    longest = min(FIRST_WAIT_S * 2.0**attempt, LONGEST_WAIT_S)
    return longest * random.SystemRandom().uniform(0.5, 1.0)  # so that threads do not retry at once


def retry_after(header: str | None) -> float | None:
    """Return the seconds in a ``Retry-After`` header, a number or a date; else None."""
    if header is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", header.strip()):
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def excerpt(content: bytes, key: str = "") -> str:
    """Return the beginning of a body or header as one printable line of at most 200 characters.

    A JSON error is reduced to its message, and ``key`` is removed.
    """
    text = content[: 1 << 16].decode("utf-8", errors="replace")
    with suppress(ValueError, RecursionError):
        text = _message(json.loads(text)) or text
    if key:
        text = text.replace(key, "***")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= EXCERPT_CHARACTERS else line[: EXCERPT_CHARACTERS - 3] + "..."


def _message(value: Any) -> str:
    """Return the message of a server's error; empty if there is none."""
    for name in ("error", "message", "detail"):
        if isinstance(value, dict) and value.get(name):
            inner = value[name]
            return inner if isinstance(inner, str) else _message(inner)
    if isinstance(value, list):  # FastAPI's, each with a message and the input
        return "; ".join(str(v["msg"]) for v in value if isinstance(v, dict) and "msg" in v)
    return ""


def _is_url(text: str) -> bool:
    try:
        httpx.URL(text)
    except httpx.InvalidURL:
        return False
    return True
