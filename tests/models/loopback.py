"""A real HTTP server on loopback that answers, or misbehaves, as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ragbench.models.spec import ModelSpec

MODEL = "owner/served"


@dataclass(frozen=True)
class Request:
    """What the server was asked; the body is empty for a GET."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]


@dataclass(frozen=True)
class Sent:
    """What the server answers: JSON of an object, or bytes as they are.

    Attributes:
        content: The body.
        status: The HTTP status.
        headers: Beside type and length.
        claimed: The length that is claimed, if not the true one.
        wait: Set by the test when a server that hangs may go on.
    """

    content: object
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    claimed: int | None = None
    wait: threading.Event | None = None


class Backlog(ThreadingHTTPServer):
    """A server at which many can connect at once; with five, as usual, others are reset."""

    request_queue_size = 256
    daemon_threads = True


class Loopback:
    """The server; ``answers`` maps a path to what is sent for a request.

    Args:
        port: By default a free one.

    Attributes:
        requests: All that came, in order.
        most_at_once: The most requests that were in the works at the same time.
    """

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self.answers: dict[str, Callable[[Request], Sent]] = {
            "/v1/models": lambda _: Sent({"data": [{"id": MODEL, "max_model_len": 4096}]}),
            "/v1/chat/completions": lambda _: Sent(chat("Yes.")),
            "/v1/completions": lambda _: Sent(text(" yes")),
        }
        self._server = Backlog(("127.0.0.1", port), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def asked(self, path: str) -> list[Request]:
        """Return the requests of one path."""
        return [request for request in self.requests if request.path == path]

    def script(self, path: str, *answers: Sent) -> None:
        """Let a path give these answers one after the other, the last for ever."""
        left = list(answers)
        lock = threading.Lock()

        def answer(_: Request) -> Sent:
            with lock:
                return left.pop(0) if len(left) > 1 else left[0]

        self.answers[path] = answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server_version, sys_version = "loopback/1", ""
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                size = int(self.headers.get("content-length", 0))
                self._answer(json.loads(self.rfile.read(size)))

            def _answer(self, body: dict[str, Any]) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.path, body, headers)
                with outer._lock:
                    outer.requests.append(request)
                    outer._at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer._at_once)
                try:
                    missing = Sent({"detail": "Not Found"}, 404)
                    known = outer.answers.get(self.path)
                    answer = known(request) if known else missing
                    if answer.wait is not None:
                        answer.wait.wait(30)
                    self._send(answer)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                finally:
                    with outer._lock:
                        outer._at_once -= 1

            def _send(self, answer: Sent) -> None:
                raw = isinstance(answer.content, bytes)
                data = answer.content if raw else json.dumps(answer.content).encode()
                assert isinstance(data, bytes)
                size = len(data) if answer.claimed is None else answer.claimed
                self.send_response(answer.status)
                self.send_header("content-length", str(size))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
                self.wfile.flush()
                self.close_connection = answer.claimed is not None

            def log_message(self, format: str, *args: object) -> None:
                """Write nothing."""

        return Handler

    def __enter__(self) -> Loopback:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def loopback() -> Iterator[Loopback]:
    """Yield a server that knows one model and says yes to everything."""
    with Loopback() as server:
        yield server


def chat(
    content: object, *, finish: object = "stop", size: int = 9, **message: Any
) -> dict[str, Any]:
    """Return an answer of ``/chat/completions``."""
    said = {"role": "assistant", "content": content, **message}
    choice = {"index": 0, "message": said, "finish_reason": finish}
    return {"choices": [choice], "usage": {"completion_tokens": 3, "prompt_tokens": size}}


def text(written: object, *, finish: object = "stop", **choice: object) -> dict[str, Any]:
    """Return an answer of ``/completions``."""
    return {
        "choices": [{"index": 0, "text": written, "finish_reason": finish, **choice}],
        "usage": {"completion_tokens": 2, "prompt_tokens": 7},
    }


def spec(server: Loopback, **keys: object) -> ModelSpec:
    """Return an entry for the server's model."""
    entry = {"name": "m", "backend": "server", "url": server.url, "model": MODEL}
    return ModelSpec.model_validate({**entry, "retries": 2, "timeout_s": 10, **keys})
