"""JSON over HTTP to the servers of one model: bounded, retried, and never sent elsewhere.

Redirects are not followed, and neither proxies nor ``.netrc`` are read from the environment:
requests go to the addresses in the config and to no other host. Certificates are checked against
those of the system, or of ``SSL_CERT_FILE``. An answer is a JSON object by the letter: a key that
is repeated in one object is refused, because two readers could see two values.
"""

from __future__ import annotations

import json
import random
import re
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from itertools import cycle
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore

from ragbench.base.endpoint import Endpoint
from ragbench.base.errors import BackendError, first_line
from ragbench.base.files import RepeatedKey, strict_json
from ragbench.base.words import replace_surrogates
from ragbench.models.served.keys import Keys
from ragbench.models.served.wire import Encoded, Received, TooLarge, exchange

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
MAX_RESPONSE_BYTES = 64 << 20
EXCERPT_CHARACTERS = 200
SECRET_CHARACTERS = 12  # a key of this length is in no reply by chance
HEADERS = {
    "user-agent": "ragbench",
    "accept": "application/json",
    "accept-encoding": "identity",  # so that a small answer cannot decompress into a large one
    "connection": "close",
}
HALF = re.compile(r"[\ud800-\udfff]|\\u[dD][89a-fA-F]")  # may be half a character
TOO_MANY, BAD_REQUEST = 429, 400
FILTER = re.compile(
    r"content[ _-]?(?:management policy|filter)|response was filtered", re.IGNORECASE
)
UNAUTHORISED = (401, 403)


class Refused(BackendError):
    """An HTTP error from the server."""

    def __init__(self, what: str, *, status: int, where: str) -> None:
        denied = status in UNAUTHORISED
        fix = (
            "name the variable of the right key with `api_key_env` or in `headers`"
            if denied
            else ""
        )
        super().__init__(what, where=where, fix=fix)
        self.status = status


def is_filtered(error: Refused) -> bool:
    """Say whether a content filter refused a prompt, as Azure's does with status 400."""
    return error.status == BAD_REQUEST and FILTER.search(error.what) is not None


class _Fleeting(Exception):
    """A failure that may pass, with the seconds that the server asks to wait."""

    def __init__(self, error: BackendError, wait_s: float | None = None) -> None:
        super().__init__(error.what)
        self.error = error
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's JSON object.

    Attributes:
        value: The object; halves of characters (lone surrogates) in it are U+FFFD.
        server: Its header ``server``.
        replaced: Number of halves that were replaced.
    """

    value: dict[str, Any]
    server: str
    replaced: int = 0


class Client:
    """Asks the servers of one model in turn; safe to use from several threads.

    Args:
        name: The model's name, for messages.
        endpoints: The servers.
        timeout_s: Seconds for a whole exchange, from connecting to the last byte of the answer.
        retries: Number of retries after a connection error, a timeout, 429 (after ``Retry-After``,
            at most 60 seconds) or a status from 500 on; at the next address if there are several.
        key_env: Environment variable of the key.
        headers: Further headers, as ``Keys`` reads them.
        query: Query of every request, such as ``?api-version=2024-10-21``.

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
        key_env: str | None,
        headers: Mapping[str, str] | None = None,
        query: str = "",
    ) -> None:
        self._name = name
        self.endpoints = tuple(endpoints)
        self._turns = cycle(self.endpoints)
        self._timeout_s = timeout_s
        self._retries = retries
        self._keys = Keys(name, key_env, headers or {})
        self._query = query

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()

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
                return self._once(place.url + path + self._query, body)
            except _Fleeting as failure:
                if attempt == left:
                    raise failure.error from None
                pause(_wait_s(attempt, failure.wait_s))
                attempt += 1

    def _once(self, url: str, body: Mapping[str, Any] | None) -> Answer:
        own, secrets = self._keys.read()
        headers = HEADERS | own
        headers |= {"content-type": "application/json"} if body is not None else {}
        headers |= {"host": urlsplit(url).netloc}
        try:
            received = exchange(
                url,
                headers=headers,
                body=None if body is None else json.dumps(body).encode("ascii"),
                seconds=self._timeout_s,
                most_bytes=MAX_RESPONSE_BYTES,
                tls=self._tls,
            )
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            took_long = isinstance(error, httpcore.TimeoutException)
            why = f"no answer in {self._timeout_s:g} s" if took_long else shown(first_line(error))
            raise _Fleeting(self._failed(f"cannot be asked: {why}", url)) from None
        except TooLarge:
            raise self._failed(
                f"answered with more than {MAX_RESPONSE_BYTES:,} bytes", url
            ) from None
        except Encoded as error:
            encoding = excerpt(str(error).encode(), secrets)
            raise self._failed(
                f"sent an answer with the content-encoding {encoding!r}, which was not asked for",
                url,
            ) from None
        except UnicodeError as error:  # a host name that cannot be looked up
            raise self._failed(f"cannot be asked: {first_line(error)}", url) from None
        self._check_status(received, url, secrets)
        value, replaced = self._object(received.content, url, secrets)
        if any(len(k) >= SECRET_CHARACTERS and k.encode() in received.content for k in secrets):
            raise self._failed("sent the key back, so its answer is not kept", url)
        server = excerpt(received.headers.get("server", "").encode(), secrets)
        return Answer(value, server, replaced)

    def _object(
        self, content: bytes, url: str, secrets: Sequence[str]
    ) -> tuple[dict[str, Any], int]:
        """Return the JSON object in a body, and the number of replaced halves of characters."""
        try:
            text = content.decode("utf-8-sig", errors="surrogatepass")
            value = strict_json.decode(text)
            replaced = 0
            if isinstance(value, dict) and HALF.search(text):
                value, replaced = whole_characters(value)
        except RepeatedKey as error:
            name = excerpt(str(error).encode(errors="replace"), secrets)
            raise self._failed(f"sent an answer that cannot be trusted: {name}", url) from None
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise self._failed(
                f"sent an answer that is not a JSON object: {excerpt(content, secrets)}", url
            )
        return value, replaced

    def _check_status(self, received: Received, url: str, secrets: Sequence[str]) -> None:
        status = received.status
        if received.is_success:
            return
        if received.location is not None:
            host = excerpt(_host(url, received.location).encode(), secrets)
            raise self._failed(f"redirects to {host!r} (HTTP {status}), which is not followed", url)
        error = Refused(
            f"{self._name} answered HTTP {status}: {excerpt(received.content, secrets)}",
            status=status,
            where=url,
        )
        if status == TOO_MANY or status >= 500:
            raise _Fleeting(error, retry_after(received.headers.get("retry-after")))
        raise error

    def _failed(self, what: str, url: str) -> BackendError:
        return BackendError(f"{self._name} {what}", where=url, fix="check `url`, and the server")


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


def excerpt(content: bytes, secrets: Sequence[str] = ()) -> str:
    """Return the beginning of a body or header as one printable line of at most 200 characters.

    A JSON error is reduced to its message, and ``secrets`` are removed.
    """
    text = content[: 1 << 16].decode("utf-8", errors="replace")
    with suppress(ValueError, RecursionError):
        text = _message(json.loads(text)) or text
    for secret in secrets:
        text = text.replace(secret, "***")
    return shown(text)


def shown(text: str) -> str:
    """Return text as one printable line of at most 200 characters."""
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


def _host(url: str, target: str) -> str:
    """Return the host of a redirect, or the whole target if it is not an address."""
    try:
        return urlsplit(urljoin(url, target)).hostname or target
    except ValueError:
        return target


def whole_characters(value: Any) -> tuple[Any, int]:
    """Return decoded JSON with U+FFFD for every lone surrogate, and their number."""
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, list):
        pairs = [whole_characters(item) for item in value]
        return [item for item, _ in pairs], sum(count for _, count in pairs)
    if isinstance(value, dict):
        inner, count = whole_characters(list(value.values()))
        names, others = whole_characters(list(value))
        return dict(zip(names, inner, strict=True)), count + others
    return value, 0
