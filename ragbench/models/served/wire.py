"""One HTTP exchange, bounded as a whole: in seconds, in bytes, and to one connection of its own.

A client's usual timeouts bound each read, so that a server that sends a byte of a header now and
then, or interim replies (1xx), is waited for without end. Here every read and write of an exchange
ends at one moment. A connection serves one exchange, so that a second reply that a server sends
along cannot pass for the reply to the next question.
"""

from __future__ import annotations

import math
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpcore

CONNECT_S = 10.0
SILENCE_S = 300.0  # without a byte, after which it is reported
HEAD_BYTES = 1 << 20  # of headers, interim replies included
WRITE_BYTES = 1 << 14  # so that a server that reads slowly is noticed between two writes
SocketOptions = Iterable[Any] | None


class TooLarge(Exception):
    """The server sent more bytes than are read."""


class Encoded(Exception):
    """The server compressed its answer, which was not asked for; the argument says how."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy: its address, and user and password if it wants them."""

    url: str
    login: tuple[str, str] | None

    @property
    def secrets(self) -> list[str]:
        """The password, and the form in which it is sent."""
        if self.login is None:
            return []
        sent = b64encode(":".join(self.login).encode()).decode()
        return [text for text in (self.login[1], sent) if text]


@dataclass(frozen=True, slots=True)
class Received:
    """A server's answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def location(self) -> str | None:
        """Target of a redirect; None if it is none."""
        return self.headers.get("location") if 300 <= self.status < 400 else None


def exchange(
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None,
    seconds: float,
    most_bytes: int,
    tls: ssl.SSLContext,
    on_silence: Callable[[], None] = lambda: None,
    proxy: Proxy | None = None,
) -> Received:
    """Return the answer to a GET, or to a POST of a body, over a new connection.

    Args:
        url: An address in normal form.
        headers: Headers of the request.
        body: Body to post.
        seconds: Time for the whole exchange, from connecting to the last byte.
        most_bytes: Maximum length of the answer's body.
        tls: Certificates to trust.
        on_silence: Called once if the server sends no byte for ``SILENCE_S``.
        proxy: Proxy to ask; never one of the environment, which is not read.

    Raises:
        TooLarge: The headers or the body are longer than allowed.
        Encoded: The answer has a ``content-encoding``; its body is not read.
        httpcore.TimeoutException: The time is up.
        httpcore.NetworkError: The connection failed, or the proxy refused it.
        httpcore.ProtocolError: The answer is not HTTP.
    """
    target = httpcore.URL(url)
    bounded = _Bounded(time.monotonic() + seconds, on_silence)
    with (
        _connected(target, tls, bounded, proxy) as connection,
        connection.stream(
            "GET" if body is None else "POST",
            target,
            headers=[(name, value) for name, value in headers.items()],
            content=body,
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), seconds)},
        ) as response,
    ):
        found = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in response.headers
        }
        encoding = found.get("content-encoding", "").strip().lower()
        if encoding not in ("", "identity"):
            raise Encoded(encoding)
        bounded.allow(most_bytes + HEAD_BYTES)
        parts, size = [], 0
        for part in response.iter_stream():
            size += len(part)
            if size > most_bytes:
                raise TooLarge
            parts.append(part)
        return Received(response.status, found, b"".join(parts))


@contextmanager
def _connected(
    target: httpcore.URL, tls: ssl.SSLContext, bounded: _Bounded, proxy: Proxy | None
) -> Iterator[httpcore.HTTPConnection | httpcore.ConnectionPool]:
    """Yield what sends one request: a connection of its own, or one through a proxy."""
    if proxy is None:
        origin = httpcore.Origin(target.scheme, target.host, target.port or target.origin.port)
        with httpcore.HTTPConnection(
            origin, ssl_context=tls, network_backend=bounded
        ) as connection:
            yield connection
        return
    try:
        with httpcore.HTTPProxy(
            proxy.url,
            proxy.login,
            ssl_context=tls,
            proxy_ssl_context=tls if proxy.url.startswith("https:") else None,
            network_backend=bounded,
        ) as through:
            yield through
    except httpcore.ProxyError as error:
        raise httpcore.ConnectError(f"the proxy refuses the connection: {error}") from None


class _Bounded(httpcore.NetworkBackend):
    """Connects for one exchange, until one moment and up to a number of bytes."""

    def __init__(self, until: float, on_silence: Callable[[], None]) -> None:
        self._until = until
        self._on_silence: Callable[[], None] | None = on_silence
        self._last_sign = time.monotonic()
        self._bytes = HEAD_BYTES
        self._inner = httpcore.SyncBackend()

    def allow(self, more: int) -> None:
        """Let the server send more bytes."""
        self._bytes += more

    def spend(self, count: int) -> None:
        """Count received bytes; TooLarge if they are more than allowed."""
        self._last_sign = time.monotonic()
        self._bytes -= count
        if self._bytes < 0:
            raise TooLarge

    def left(self, late: type[httpcore.TimeoutException]) -> float:
        """Return the seconds that are left; raises ``late`` if there are none."""
        seconds = self._until - time.monotonic()
        if seconds <= 0:
            raise late("the time for the exchange is up")
        return seconds

    def before_silence(self) -> float:
        """Return the seconds until the server's silence is reported; infinite once it was."""
        if self._on_silence is None:
            return math.inf
        return max(0.001, self._last_sign + SILENCE_S - time.monotonic())

    def report_silence(self) -> None:
        """Report, once, a server that has sent nothing for long."""
        if self._on_silence is not None and time.monotonic() >= self._last_sign + SILENCE_S:
            report, self._on_silence = self._on_silence, None
            report()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: SocketOptions = None,
    ) -> httpcore.NetworkStream:
        """Return a bounded connection."""
        seconds = min(CONNECT_S, self.left(httpcore.ConnectTimeout))
        made = self._inner.connect_tcp(host, port, seconds, local_address, socket_options)
        return _BoundedStream(made, self)


class _BoundedStream(httpcore.NetworkStream):
    """A connection whose reads and writes all end at one moment."""

    def __init__(self, inner: httpcore.NetworkStream, bounds: _Bounded) -> None:
        self._inner = inner
        self._bounds = bounds

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return bytes that have arrived."""
        while True:
            seconds = min(self._bounds.left(httpcore.ReadTimeout), self._bounds.before_silence())
            try:
                found = self._inner.read(max_bytes, seconds)
            except httpcore.ReadTimeout:
                self._bounds.report_silence()
                continue
            self._bounds.spend(len(found))
            return found

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes, some at a time."""
        for start in range(0, len(buffer), WRITE_BYTES):
            seconds = self._bounds.left(httpcore.WriteTimeout)
            self._inner.write(buffer[start : start + WRITE_BYTES], seconds)

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Return the connection under TLS."""
        seconds = self._bounds.left(httpcore.ConnectTimeout)
        inner = self._inner.start_tls(ssl_context, server_hostname, seconds)
        return _BoundedStream(inner, self._bounds)

    def get_extra_info(self, info: str) -> Any:
        """Return a fact of the connection, such as its socket."""
        return self._inner.get_extra_info(info)
