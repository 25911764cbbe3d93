"""JSON over HTTP: what is tried again, what is refused, and what never leaves."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest

from ragbench.base.endpoint import parse
from ragbench.base.errors import BackendError, PrerequisiteError, UnavailableError, UsageError
from ragbench.models.served import http, wire
from ragbench.models.served.http import Client, Refused, excerpt
from tests.models.loopback import Loopback, Sent, loopback

KEY = "sk-0123456789abcdef"
OK = Sent({"ok": True})


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the client waits, noted in place of being waited."""
    noted: list[float] = []
    monkeypatch.setattr(http, "pause", noted.append)
    return noted


def client(*servers: Loopback | str, **keys: Any) -> Client:
    urls = [parse(s if isinstance(s, str) else s.url) for s in servers]
    keys = {"timeout_s": 10.0, "retries": 3, "key_env": None, **keys}
    return Client("m", urls, **keys)


def test_a_server_that_fails_and_mends_is_asked_again(server: Loopback, waits: list[float]) -> None:
    server.script("/v1/models", Sent({}, 500), Sent({}, 503), OK)
    assert client(server).ask("/models").value == {"ok": True}
    assert len(server.requests) == 3
    assert 0.25 <= waits[0] <= 0.5 <= waits[1] <= 1.0


def test_tries_are_bounded(server: Loopback, waits: list[float]) -> None:
    server.script("/v1/models", Sent({"error": {"message": "out of memory"}}, 500))
    with pytest.raises(BackendError, match="m answered HTTP 500: out of memory"):
        client(server).ask("/models")
    assert len(server.requests) == 4
    assert len(waits) == 3


def test_waits_double_and_end_at_a_minute(server: Loopback, waits: list[float]) -> None:
    server.script("/v1/models", Sent({}, 502))
    with pytest.raises(Refused):
        client(server, retries=10).ask("/models")
    bounds = [min(0.5 * 2**n, 60.0) for n in range(10)]
    assert all(bound / 2 <= wait <= bound for wait, bound in zip(waits, bounds, strict=True))


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422])
def test_a_request_that_is_wrong_is_not_made_again(
    server: Loopback, waits: list[float], status: int
) -> None:
    server.script("/v1/models", Sent({"detail": "no"}, status), OK)
    with pytest.raises(Refused, match=f"HTTP {status}: no") as caught:
        client(server).ask("/models")
    assert (caught.value.status, len(server.requests), waits) == (status, 1, [])


@pytest.mark.parametrize(
    ("header", "asked", "waited"),
    [
        ("retry-after", "3", 3.0),
        ("retry-after", "0.25", 0.25),
        ("retry-after", "86400", 60.0),
        ("retry-after", "0", 0.0),
        ("retry-after-ms", "1500", 1.5),
        ("retry-after-ms", "9e9", None),
    ],
)
def test_a_wait_that_is_asked_for_is_kept_up_to_a_minute(
    server: Loopback, waits: list[float], header: str, asked: str, waited: float | None
) -> None:
    server.script("/v1/models", Sent({}, 429, {header: asked}), OK)
    assert client(server).ask("/models").value == {"ok": True}
    if waited is None:  # the client's own first wait
        assert 0.25 <= waits[0] <= 0.5
    else:
        assert waits == [waited]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, {"code": "insufficient_quota", "message": "You exceeded your current quota"}),
        (402, {"message": "Insufficient Balance"}),
        (400, {"message": "Your credit balance is too low to access the API"}),
    ],
)
def test_a_spent_quota_is_not_waited_for(
    server: Loopback, waits: list[float], status: int, error: dict[str, str]
) -> None:
    server.script("/v1/models", Sent({"error": error}, status), OK)
    with pytest.raises(UnavailableError, match="the quota or the balance of m is spent") as caught:
        client(server).ask("/models")
    assert (len(server.requests), waits) == (1, [])
    assert error["message"] in caught.value.what
    assert caught.value.exit_code == 5


def test_an_error_that_comes_with_200_is_the_error_that_it_names(
    server: Loopback, waits: list[float]
) -> None:
    """As gateways answer whose server behind them fails."""
    away = Sent({"error": {"code": 502, "message": "upstream failed"}})
    server.script("/v1/models", away, OK)
    assert client(server).ask("/models").value == {"ok": True}
    server.script("/v1/models", Sent({"error": {"code": 400, "message": "no such thing"}}))
    with pytest.raises(Refused, match="HTTP 400: no such thing"):
        client(server).ask("/models")
    assert (len(server.requests), len(waits)) == (3, 1)


def test_a_silent_server_is_reported_once_and_again_after_an_answer(
    server: Loopback,
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(wire, "SILENCE_S", 0.05)
    monkeypatch.setattr(http, "SILENCE_S", 300.0)
    hang, goes = Sent(OK.content, wait=threading.Event()), Sent({}, 500)
    server.script("/v1/models", hang, hang, goes, hang, OK)
    assert client(server, timeout_s=0.2).ask("/models", retries=4).value == {"ok": True}
    line = (
        f"m: {server.url} has sent nothing for 5 minutes to a request, which ends after 0.2 s "
        "(`timeout_s`) and is then tried again (`retries`)"
    )
    assert capsys.readouterr().err.splitlines() == [line, line]


def test_a_server_that_hangs_is_a_timeout(server: Loopback, waits: list[float]) -> None:
    hang = threading.Event()
    server.script("/v1/models", Sent({}, wait=hang))
    started = monotonic()
    with pytest.raises(BackendError, match=r"m cannot be asked: no answer in 0\.2 s"):
        client(server, timeout_s=0.2, retries=1).ask("/models")
    hang.set()
    assert monotonic() - started < 5
    assert len(server.requests) == 2


def test_an_answer_that_drips_is_a_timeout(waits: list[float]) -> None:
    """Each byte comes in time, and the whole never."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            peer, _ = listening.accept()
            stop = monotonic() + 5
            with peer:
                peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
                try:
                    while monotonic() < stop:
                        peer.sendall(b" ")
                        threading.Event().wait(0.05)
                except OSError:
                    return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        started = monotonic()
        with pytest.raises(BackendError, match=r"no answer in 0\.3 s"):
            client(url, timeout_s=0.3, retries=0).ask("/models")
        assert monotonic() - started < 3
        thread.join(5)


def test_nobody_listens(waits: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(BackendError, match=r"cannot be asked: .*refused"):
        client(url).ask("/models")
    assert len(waits) == 3


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (Sent(b"<html><h1>Bad   gateway</h1>"), "not a JSON object: <html><h1>Bad gateway</h1>"),
        (Sent(b""), "not a JSON object"),
        (Sent(b'{"choices": [{"te'), "not a JSON object"),
        (Sent([1, 2]), "not a JSON object"),
        (Sent(b"[" * 100_000), "not a JSON object"),
        (Sent(b"\xff\xfe\x00"), "not a JSON object"),
        (Sent(b'{"a": 1, "a": 2}'), "cannot be trusted: the key 'a' is repeated"),
        (Sent(b'{"a": {"b": [{"c": 1, "c": 1}]}}'), "the key 'c' is repeated"),
    ],
)
def test_what_is_no_json_object_is_an_error(server: Loopback, sent: Sent, message: str) -> None:
    server.script("/v1/models", sent)
    with pytest.raises(BackendError, match=message):
        client(server).ask("/models")
    assert len(server.requests) == 1


def test_a_body_that_breaks_off_is_asked_again(server: Loopback, waits: list[float]) -> None:
    server.script("/v1/models", Sent(b'{"ok": tr', claimed=900), OK)
    assert client(server).ask("/models").value == {"ok": True}
    server.script("/v1/models", Sent(b'{"ok": tr', claimed=900))
    with pytest.raises(BackendError, match="cannot be asked"):
        client(server).ask("/models")


def test_the_size_of_an_answer_is_bounded(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MAX_RESPONSE_BYTES", 1000)
    server.script("/v1/models", Sent({"long": "x" * 2000}))
    with pytest.raises(BackendError, match="more than 1,000 bytes"):
        client(server).ask("/models")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(server: Loopback, status: int) -> None:
    with loopback() as other:
        target = {"location": f"{other.url}/models"}
        server.script("/v1/models", Sent({}, status, target))
        with pytest.raises(BackendError, match=rf"redirects to '127\.0\.0\.1' \(HTTP {status}\)"):
            client(server).ask("/models", {"prompt": "a secret"})
        assert other.requests == []
    far = Sent({}, status, {"location": "https://evil.example.org/v1/models"})
    server.script("/v1/models", far)
    with pytest.raises(BackendError, match=r"'evil\.example\.org'"):
        client(server).ask("/models")


def test_addresses_are_asked_in_turn_and_one_stands_in_for_another(waits: list[float]) -> None:
    with loopback() as first, loopback() as second:
        both = client(first, second)
        for _ in range(4):
            both.ask("/models")
        assert (len(first.requests), len(second.requests)) == (2, 2)
        first.script("/v1/models", Sent({}, 500))
        for _ in range(4):
            both.ask("/models")
        both.ask("/models", endpoint=second_endpoint(both))
        assert len(second.requests) == 7


def second_endpoint(both: Client) -> Any:
    return both.endpoints[1]


def test_the_key_goes_to_the_server_and_into_no_message(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_KEY", f" {KEY}\n")
    keyed = client(server, key_env="SERVER_KEY", retries=0)
    keyed.ask("/models")
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    for sent in (
        Sent({"error": {"message": f"wrong key {KEY}"}}, 401),
        Sent(f"<p>{KEY}</p>".encode()),
        Sent({"choices": KEY}),
        Sent({}, 302, {"location": f"https://{KEY}.example.org/"}),
        Sent({}, 500, {"server": KEY}),
    ):
        server.script("/v1/models", sent)
        with pytest.raises(BackendError) as caught:
            keyed.ask("/models")
        assert KEY not in str(caught.value) + repr(caught.value)
    server.script("/v1/models", Sent({}, 401))
    with pytest.raises(Refused) as refused:
        keyed.ask("/models")
    assert "api_key_env" in refused.value.fix


@pytest.mark.parametrize(("value", "state"), [(None, "is not set"), (" ", "is not set")])
def test_a_variable_without_a_key(
    server: Loopback, monkeypatch: pytest.MonkeyPatch, value: str | None, state: str
) -> None:
    monkeypatch.delenv("SERVER_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("SERVER_KEY", value)
    with pytest.raises(PrerequisiteError, match=f"SERVER_KEY {state}"):
        client(server, key_env="SERVER_KEY").ask("/models")
    assert server.requests == []


def test_a_key_that_no_header_can_hold_is_not_repeated(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_KEY", f"{KEY}\r\nhost: elsewhere")
    with pytest.raises(PrerequisiteError, match="cannot be a key") as caught:
        client(server, key_env="SERVER_KEY").ask("/models")
    assert KEY not in str(caught.value)


def test_a_key_in_the_place_of_a_variables_name_is_not_repeated(server: Loopback) -> None:
    with pytest.raises(UsageError, match="not the name of an environment variable") as caught:
        client(server, key_env=KEY)
    assert KEY not in str(caught.value)


def test_proxies_of_the_environment_are_not_used(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    with loopback() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        client(server).ask("/models")
        assert (len(server.requests), proxy.requests) == (1, [])


def test_an_excerpt_is_one_short_printable_line() -> None:
    assert excerpt(b"\x1b[31mred\x07\n\ttext") == "[31mred text"
    assert len(excerpt(b"a" * 1000)) == 200
    assert excerpt(b'{"error": {"message": "too long"}}') == "too long"
    assert excerpt(b'{"detail": [1, 2]}') == '{"detail": [1, 2]}'
    assert excerpt(b'{"message": "no"}') == "no"
    fastapi = b'{"detail": [{"loc": ["body"], "msg": "field required", "input": "a secret"}]}'
    assert excerpt(fastapi) == "field required"
