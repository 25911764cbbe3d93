"""A proxy: taken where the config names one, never from the environment; its login is secret."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragbench.base.endpoint import parse
from ragbench.base.errors import BackendError, PrerequisiteError, UsageError
from ragbench.experiment.config.config import load_config
from ragbench.models.served import http
from ragbench.models.served.http import Client
from ragbench.models.served.server import ServerModel
from tests.models.loopback import MODEL, Loopback, Sent, chat, loopback, spec
from tests.models.served.test_wire import peer

FAR = "http://models.far.example/v1"  # no such host: only a proxy can answer for it
LOGIN = "clerk:pass-0123456789"
BASIC = "Y2xlcms6cGFzcy0wMTIzNDU2Nzg5"  # printf clerk:pass-0123456789 | base64
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """A forward proxy, which gets the whole address as its path."""
    monkeypatch.setattr(http, "pause", lambda _: None)
    monkeypatch.setenv("PROXY_LOGIN", LOGIN)
    with loopback() as running:
        listed = {"data": [{"id": MODEL, "max_model_len": 4096}]}
        running.answers = {
            f"{FAR}/models": lambda _: Sent(listed),
            f"{FAR}/chat/completions": lambda _: Sent(chat("Through the proxy.")),
        }
        yield running


def address(proxy: Loopback) -> str:
    return proxy.url.removesuffix("/v1")


def test_a_named_proxy_gets_every_request(proxy: Loopback) -> None:
    keys = {"url": FAR, "proxy": address(proxy), "proxy_auth": "env:PROXY_LOGIN"}
    model = ServerModel(spec(proxy, **keys))
    assert model.served.context == 4096
    reply = model.generate('[{"role":"user","content":"Hi"}]', limit=9)
    assert reply.text == "Through the proxy."
    asked = [request for request in proxy.requests if request.path.startswith(FAR)]
    assert len(asked) >= 2
    for request in asked:
        assert request.headers["proxy-authorization"] == f"Basic {BASIC}"
        assert request.headers["host"] == "models.far.example"


def test_a_proxy_of_the_environment_is_not_taken(
    proxy: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PROXIES:
        monkeypatch.setenv(name, address(proxy))
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with loopback() as server:
        model = ServerModel(spec(server))
        assert model.served.id == MODEL
        assert server.requests
    with pytest.raises(BackendError, match="cannot be asked"):
        Client("m", [parse(FAR)], timeout_s=5, retries=0, key_env=None).ask("/models")
    assert proxy.requests == []


def client(proxy: str, url: str = FAR) -> Client:
    return Client(
        "m",
        [parse(url)],
        timeout_s=5,
        retries=0,
        key_env=None,
        proxy=proxy,
        proxy_auth="env:PROXY_LOGIN",
    )


def test_the_login_is_in_no_message_and_in_no_answer(proxy: Loopback) -> None:
    """As a proxy may write it into its error page, in the clear or as it is sent."""
    proxy.script(
        f"{FAR}/models",
        Sent({"message": f"407: no {LOGIN} and no Basic {BASIC}"}, 407),
        Sent({"data": [BASIC]}),
    )
    asking = client(address(proxy))
    for expected in (r"407: no clerk:\*\*\* and no Basic \*\*\*", "sent the key back"):
        with pytest.raises(BackendError, match=expected) as caught:
            asking.ask("/models")
        assert "pass-0123456789" not in str(caught.value)
        assert BASIC not in str(caught.value)


def test_a_proxy_that_refuses_a_tunnel_sees_no_path_and_no_prompt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROXY_LOGIN", LOGIN)
    seen: list[bytes] = []

    def refusing(connection: socket.socket, _: threading.Event) -> None:
        seen.append(connection.recv(1 << 16))
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    with peer(refusing) as url:
        asking = client(url.removesuffix("/v1"), "https://models.far.example/v1")
        with pytest.raises(BackendError, match="the proxy refuses the connection: 407"):
            asking.ask("/chat/completions", {"prompt": "SECRET"})
    (told,) = seen
    assert told.startswith(b"CONNECT models.far.example:443 HTTP/1.1\r\n")
    assert f"Proxy-Authorization: Basic {BASIC}".encode() in told
    assert b"SECRET" not in told
    assert b"completions" not in told


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_tunnel_carries_https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_LOGIN", LOGIN)
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "2"),
            *("-subj", "/CN=models.far.example"),
            *("-addext", "subjectAltName=DNS:models.far.example"),
        ],
        check=True,
        capture_output=True,
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    asked: list[bytes] = []

    def tunnel(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with serving.wrap_socket(connection, server_side=True) as inner:
            asked.append(inner.recv(1 << 16))
            inner.sendall(b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"ok": "A"}')

    with peer(tunnel) as url:
        answer = client(url.removesuffix("/v1"), "https://models.far.example/v1").ask("/models")
    assert answer.value == {"ok": "A"}
    assert asked[0].startswith(b"GET /v1/models HTTP/1.1\r\n")
    assert b"roxy" not in asked[0]  # the login is the proxy's alone


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ("proxy: 'http://clerk:pass-0123456789@p.example:3128'", "a proxy is http://HOST:PORT"),
        ("proxy: 'http://p.example:3128/path'", "without path"),
        ("proxy: 'socks5://p.example:1080'", "a proxy is http://HOST:PORT"),
        ("proxy: 'http://p.example', proxy_auth: 'clerk:pass-0123456789'", "`proxy_auth` does"),
        ("proxy: 'http://p.example', proxy_auth: 'env:pass-0123456789'", "`proxy_auth` does"),
    ],
)
def test_a_config_with_a_login_is_refused_without_repeating_it(
    home: Path, keys: str, what: str
) -> None:
    path = home / "c.yaml"
    path.write_text(
        f"name: c\nmodels:\n  - {{name: m, backend: server, url: '{FAR}', model: x, {keys}}}\n"
        "tasks: [mcq]\narms: [closed-book]\n"
    )
    with pytest.raises(UsageError) as caught:
        load_config(str(path))
    assert what in caught.value.what
    assert "pass-0123456789" not in str(caught.value)
    assert "env:PROXY_LOGIN" in caught.value.fix
    assert "c.yaml:3" in caught.value.where


@pytest.mark.parametrize("value", ["", "clerk", ":pass"])
def test_a_login_that_is_none_is_an_error(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_LOGIN", value)
    with pytest.raises(PrerequisiteError, match="PROXY_LOGIN is not") as caught:
        client("http://127.0.0.1:9").ask("/models")
    assert caught.value.where == "models: m: proxy_auth"
