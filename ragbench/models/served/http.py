"""JSON over HTTP to the servers of one model: bounded, retried, and never sent elsewhere.

Redirects are not followed, and neither proxies nor ``.netrc`` are read from the environment:
requests go to the addresses in the config, through its proxy if it names one, and to no other host.
Certificates are checked against those of the system, or of ``SSL_CERT_FILE``. An answer is a JSON
object by the letter: a key that is repeated in one object is refused, because two readers could see
two values.
"""

from __future__ import annotations

import json
import random
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from copy import copy
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore

from ragbench.base.endpoint import Endpoint
from ragbench.base.errors import BackendError, UnavailableError, first_line
from ragbench.base.files import RepeatedKey, strict_json
from ragbench.base.progress import say
from ragbench.base.words import whole_characters
from ragbench.models.served.addresses.pool import AllAway, Pool, Turn
from ragbench.models.served.keys import Keys
from ragbench.models.served.patience.outages import Outages
from ragbench.models.served.patience.refusals import is_spent, status_inside, wait_asked
from ragbench.models.served.wire import SILENCE_S, Encoded, Received, TooLarge, exchange

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
MOST_OUTAGES = 3  # of one request, which may be the cause
POLL_S = 30.0  # for an answer to a poll
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
    """A failure that may pass.

    Attributes:
        wait_s: Seconds that the server asks to wait.
        is_busy: Whether the server is there and answers too many requests.
        is_late: Whether the time for the exchange was up.
    """

    def __init__(
        self,
        error: BackendError,
        wait_s: float | None = None,
        *,
        is_busy: bool = False,
        is_late: bool = False,
    ) -> None:
        super().__init__(error.what)
        self.error = error
        self.wait_s = wait_s
        self.is_busy = is_busy
        self.is_late = is_late


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
    """Asks the least busy server of one model; safe to use from several threads.

    Args:
        name: The model's name, for messages.
        endpoints: The servers.
        at_once: Number of requests that each server may have at a time.
        timeout_s: Seconds for a whole exchange, from connecting to the last byte of the answer.
        retries: Number of retries after a connection error, a timeout, 429 (after ``Retry-After``,
            at most 60 seconds) or a status from 500 on; at the next address if there are several.
            Outages that are waited out are no retries.
        key_env: Environment variable of the key.
        headers: Further headers, as ``Keys`` reads them.
        query: Query of every request, such as ``?api-version=2024-10-21``.
        patience_s: Seconds that an outage is waited out, once ``outages`` has started.
        proxy: Address of a proxy.
        proxy_auth: Variable of its user and password, as ``Keys`` reads it.

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
        patience_s: float = 0.0,
        proxy: str | None = None,
        proxy_auth: str | None = None,
        at_once: int = 32,
    ) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._retries = retries
        self._keys = Keys(name, key_env, headers or {}, proxy=proxy, proxy_auth=proxy_auth)
        self._query = query
        self.outages = Outages(name, patience_s, lambda endpoint: endpoint in self.endpoints)
        self.pool = Pool(name, endpoints, at_once=at_once, is_away=self.outages.is_away)
        self.look: Callable[[], None] = lambda: None
        self._silent: set[Endpoint] = set()

    def impatient(self) -> Client:
        """Return a client of the same servers without retries, for polls."""
        other = copy(self)
        other._timeout_s, other._retries = min(self._timeout_s, POLL_S), 0
        other.outages = Outages(self._name, 0.0)
        return other

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The servers at present."""
        return self.pool.endpoints

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
            endpoint: One of the endpoints; by default the least busy.
            retries: Replaces the client's own number.

        Raises:
            BackendError: No connection, a timeout, an HTTP error, a redirect, or an answer that is
                not a JSON object; after retries, the last error.
            UnavailableError: A quota is spent, or the servers were away for too long.
        """
        left = self._retries if retries is None else retries
        attempt = outages = 0
        while True:
            with self._turn(endpoint) as turn:
                place, started = turn.endpoint, time.monotonic()
                try:
                    return self._once(place, path, body)
                except _Fleeting as found:
                    failure = found
                    (turn.too_many if found.is_busy else turn.failed)()
            if self._met_outage(place, failure, started):
                outages += 1
                if outages > MOST_OUTAGES:
                    raise failure.error
                continue
            if attempt == left:
                raise failure.error
            pause(_wait_s(attempt, failure.wait_s))
            attempt += 1

    @contextmanager
    def _turn(self, endpoint: Endpoint | None) -> Iterator[Turn]:
        """Yield a turn at the endpoint, or at the least busy one; waits while all are away."""
        with ExitStack() as held:
            turn: Turn | None = None
            while turn is None:
                if endpoint is not None:
                    self.outages.wait(lambda: (endpoint,))
                    turn = Turn(endpoint)
                else:
                    self.outages.wait(lambda: self.endpoints, self.look)
                    with suppress(AllAway), self.outages.clocked():
                        turn = held.enter_context(self.pool.turn())
            yield turn

    def _met_outage(self, place: Endpoint, failure: _Fleeting, started: float) -> bool:
        """Say whether a request failed because its server is away."""
        if failure.is_busy or place not in self.endpoints:
            return False
        late, asked_s = failure.is_late, failure.wait_s
        away = self.outages.examine(
            place, failure.error, started=started, late=late, asked_s=asked_s
        )
        if away:
            self.pool.forgive(place)
        return away

    def _once(self, place: Endpoint, path: str, body: Mapping[str, Any] | None) -> Answer:
        url = place.url + path + self._query
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
                on_silence=partial(self._report_silence, place),
                proxy=self._keys.proxy(),
            )
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            took_long = isinstance(error, httpcore.TimeoutException)
            why = f"no answer in {self._timeout_s:g} s" if took_long else shown(first_line(error))
            failed = self._failed(f"cannot be asked: {why}", url)
            raise _Fleeting(failed, is_late=took_long) from None
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
        self._silent.discard(place)
        self._check_status(received, received.status, url, secrets)
        value, replaced = self._object(received.content, url, secrets)
        if any(len(k) >= SECRET_CHARACTERS and k.encode() in received.content for k in secrets):
            raise self._failed("sent the key back, so its answer is not kept", url)
        inside = status_inside(value)
        if inside is not None:
            self._check_status(received, inside, url, secrets)
        server = excerpt(received.headers.get("server", "").encode(), secrets)
        return Answer(value, server, replaced)

    def _report_silence(self, place: Endpoint) -> None:
        """Report a request without any sign of life; once until the server answers again."""
        if place not in self._silent:
            self._silent.add(place)
            say(
                f"{self._name}: {place.url} has sent nothing for {SILENCE_S / 60:g} minutes to a "
                f"request, which ends after {self._timeout_s:g} s (`timeout_s`) and is then tried "
                "again (`retries`)"
            )

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

    def _check_status(
        self, received: Received, status: int, url: str, secrets: Sequence[str]
    ) -> None:
        if 200 <= status < 300:
            return
        if received.location is not None:
            host = excerpt(_host(url, received.location).encode(), secrets)
            raise self._failed(f"redirects to {host!r} (HTTP {status}), which is not followed", url)
        said = excerpt(received.content, secrets)
        error = Refused(f"{self._name} answered HTTP {status}: {said}", status=status, where=url)
        if is_spent(status, received.content):
            raise UnavailableError(
                f"the quota or the balance of {self._name} is spent (HTTP {status}): {said}",
                where=url,
                fix="raise the quota or pay at the service, and run the same command again: "
                "answers so far are kept",
            )
        if status == TOO_MANY or status >= 500:
            asked = wait_asked(received.headers, received.content)
            raise _Fleeting(error, asked, is_busy=status == TOO_MANY)
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
