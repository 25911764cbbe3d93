"""Servers that misbehave below HTTP: an exchange ends in time, and is one question's alone."""

from __future__ import annotations

import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import pytest

from ragbench.base.endpoint import parse
from ragbench.base.errors import BackendError
from ragbench.models.served import http, wire
from ragbench.models.served.http import Client
from ragbench.models.served.wire import exchange
from tests.models.loopback import Sent, loopback

Peer = Callable[[socket.socket, threading.Event], None]
OK = b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"ok": "A"}'


@contextmanager
def peer(answer: Peer) -> Iterator[str]:
    """Yield the address of a server that answers each connection with raw bytes."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)

        def serve() -> None:
            while not stop.is_set():
                try:
                    connection, _ = listening.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(5)
                    try:
                        answer(connection, stop)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        finally:
            stop.set()
            thread.join(6)


def client(url: str, timeout_s: float = 0.4) -> Client:
    return Client("m", [parse(url)], timeout_s=timeout_s, retries=0, key_env=None)


def forever(first: bytes, part: bytes, wait_s: float) -> Peer:
    def answer(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(1 << 16)
        connection.sendall(first)
        while not stop.is_set():
            connection.sendall(part)
            stop.wait(wait_s)

    return answer


@pytest.mark.parametrize(
    ("first", "part", "wait_s"),
    [
        (b"HTTP/1.1 200 OK\r\nx-a: ", b"a", 0.05),  # a header that never ends
        (b"HTTP/1.1 200 OK\r\n", b"x-a: a\r\n", 0.05),  # headers that never end
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n", 0.05),  # interim replies
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.05),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\na\r\n", 0.05),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"a", 0.05),
        (b"", b"", 0.05),
    ],
)
def test_an_exchange_ends_in_time(first: bytes, part: bytes, wait_s: float) -> None:
    """Each part comes in time, and the whole never."""
    with peer(forever(first, part, wait_s)) as url:
        started = monotonic()
        with pytest.raises(BackendError, match=r"no answer in 0\.4 s"):
            client(url).ask("/models")
        assert monotonic() - started < 3


@pytest.mark.parametrize(
    ("first", "part"),
    [
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000),
        (b"HTTP/1.1 200 OK\r\n", b"x-a: a\r\n" * 1000),
    ],
)
def test_what_comes_before_a_body_is_bounded(first: bytes, part: bytes) -> None:
    """A flood ends by its bytes, long before its time."""
    with peer(forever(first, part, 0)) as url:
        started = monotonic()
        with pytest.raises(BackendError, match=r"more than|cannot be asked"):
            client(url, timeout_s=60).ask("/models")
        assert monotonic() - started < 20


def test_silence_is_reported_once_and_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then is a sign of life; the answer after the silence is read."""

    def late(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(1 << 16)
        for byte in OK[:12]:
            connection.sendall(bytes([byte]))
            stop.wait(0.05)
        counts.append(len(reports))
        stop.wait(1.0)
        connection.sendall(OK[12:])

    monkeypatch.setattr(wire, "SILENCE_S", 0.5)
    reports: list[float] = []
    counts: list[int] = []
    before = threading.active_count()
    with peer(late) as url:
        received = exchange(
            f"{url}/models",
            headers={"host": "127.0.0.1"},
            body=None,
            seconds=30,
            most_bytes=100,
            tls=ssl.create_default_context(),
            on_silence=lambda: reports.append(threading.active_count()),
        )
    assert received.content == b'{"ok": "A"}'
    assert counts == [0]
    assert len(reports) == 1
    assert reports[0] <= before + 1  # the peer's thread; none for the request


def test_a_server_that_does_not_read_is_a_timeout() -> None:
    def deaf(connection: socket.socket, stop: threading.Event) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stop.wait(5)

    with peer(deaf) as url:
        started = monotonic()
        with pytest.raises(BackendError, match=r"no answer in 0\.4 s"):
            client(url).ask("/completions", {"prompt": "x" * (32 << 20)})
        assert monotonic() - started < 4


@pytest.mark.parametrize("encoding", ["zstd", "gzip", "br", "deflate", "identity, gzip", "x"])
def test_a_compressed_answer_is_refused_before_its_body_is_read(encoding: str) -> None:
    """The body does not even come: what is not read cannot decompress into gigabytes."""

    def answer(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(1 << 16)
        head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: 131000\r\n\r\n"
        connection.sendall(head.encode())
        stop.wait(5)

    message = rf"content-encoding '{encoding}', which was not asked for"
    with peer(answer) as url, pytest.raises(BackendError, match=message):
        client(url, timeout_s=4).ask("/models")


def test_the_encoding_of_an_error_and_of_a_redirect_is_not_decoded_either() -> None:
    bomb = zlib.compress(b" " * (1 << 20))
    for status in (200, 302, 400, 500):
        with loopback() as server:
            headers = {"content-encoding": "deflate", "location": "/elsewhere"}
            server.script("/v1/models", Sent(bomb, status, headers))
            with pytest.raises(BackendError, match="content-encoding 'deflate'"):
                client(server.url, 10).ask("/models")


def test_identity_is_no_encoding() -> None:
    with loopback() as server:
        server.script("/v1/models", Sent({"ok": 1}, headers={"content-encoding": "Identity"}))
        assert client(server.url, 10).ask("/models").value == {"ok": 1}


def test_a_second_reply_is_not_the_reply_to_the_next_question() -> None:
    """On a connection that is kept, every later question would get the reply before its own."""

    def two(connection: socket.socket, _: threading.Event) -> None:
        number = len(asked)
        asked.append(connection.recv(1 << 16))
        own = OK.replace(b"A", str(number).encode())
        connection.sendall(own + OK.replace(b"A", b"X"))

    asked: list[bytes] = []
    with peer(two) as url:
        asking = client(url, 10)
        assert [asking.ask("/models").value["ok"] for _ in range(3)] == ["0", "1", "2"]
    assert all(b"connection: close" in request.lower() for request in asked)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nlocation: http://[::1\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nlocation: //xn--\xff\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nlocation: http://xn--a/\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}",
        b"SSH-2.0-OpenSSH\r\n",
        b"\x00" * 64,
        b"HTTP/1.1 429 \r\nretry-after: Mon, 99 Jan 99999 00:00 GMT\r\ncontent-length: 0\r\n\r\n",
    ],
)
def test_broken_http_is_an_error(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def send(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(1 << 16)
        connection.sendall(answer)

    monkeypatch.setattr(http, "pause", lambda _: None)
    with peer(send) as url, pytest.raises(BackendError):
        client(url, 5).ask("/models")


@pytest.mark.parametrize("host", ["a..b", "a" * 70])
def test_a_host_that_cannot_be_looked_up_is_an_error(host: str) -> None:
    with pytest.raises(BackendError, match="cannot be asked"):
        client(f"http://{host}:1/v1").ask("/models")


def test_an_ipv6_address_is_asked() -> None:
    def answer() -> None:
        connection, _ = listening.accept()
        with connection:
            seen.append(connection.recv(1 << 16))
            connection.sendall(OK)

    seen: list[bytes] = []
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listening:
        port = listening.getsockname()[1]
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        assert client(f"http://[::1]:{port}/v1", 5).ask("/models").value == {"ok": "A"}
        thread.join(5)
    assert f"host: [::1]:{port}".encode() in seen[0].lower()
