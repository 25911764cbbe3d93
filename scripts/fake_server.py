#!/usr/bin/env python
"""Serve a model on loopback with the manners of a vendor, and with its faults if that is asked for.

The model's numbers follow from a rule; with ``--facts`` it also knows answers (fakes/rule.py).

    python scripts/fake_server.py vllm --port 8000
    python scripts/fake_server.py openai --fail 429-ms --fail-after 5 --fail-times 3
    python scripts/fake_server.py llama.cpp --facts facts.jsonl --latency 50
    python scripts/fake_server.py --list
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from scripts.fakes.failures import FAILURES, Failing
from scripts.fakes.manners import SERVED
from scripts.fakes.rule import RuleModel, read_facts
from scripts.fakes.vendors import VENDORS
from scripts.fakes.wire import Answer, Asked


class Backlog(ThreadingHTTPServer):
    """A server at which many can connect at once; with five, as usual, others are reset."""

    request_queue_size = 256
    daemon_threads = True


class FakeServer:
    """An HTTP server on loopback, in a thread of its own within a ``with``.

    Args:
        answer: Answers a request, as ``Vendor.answer`` or ``Failing.answer``.
        port: Its port; 0 for any that is free.
        latency_s: Seconds before every answer.

    Attributes:
        requests: All requests, in order.
        origin: Its address without a path.
    """

    def __init__(
        self, answer: Callable[[Asked], Answer], *, port: int = 0, latency_s: float = 0.0
    ) -> None:
        self.requests: list[Asked] = []
        self._answer = answer
        self._latency_s = latency_s
        self._ending = threading.Event()
        self._server = Backlog(("127.0.0.1", port), self._handler())
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"

    def serve(self) -> None:
        """Answer requests until the process is interrupted."""
        self._server.serve_forever(poll_interval=0.02)

    def __enter__(self) -> FakeServer:
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()

    def _found(self, asked: Asked) -> Answer:
        self.requests.append(asked)
        time.sleep(self._latency_s)
        answer = self._answer(asked)
        self._ending.wait(answer.silent_s)
        return answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                self._reply({})

            def do_POST(self) -> None:
                size = int(self.headers.get("content-length", 0))
                self._reply(json.loads(self.rfile.read(size) or b"{}"))

            def _reply(self, body: dict[str, Any]) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                try:
                    self._send(outer._found(Asked(self.path, body, headers)))
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def _send(self, answer: Answer) -> None:
                raw = answer.content
                data = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
                size = len(data) if answer.claimed is None else answer.claimed
                self.send_response_only(answer.status)
                named = {"content-type": "application/json", "content-length": str(size)}
                for name, value in (named | answer.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
                self.wfile.flush()
                self.close_connection = answer.claimed is not None

            def log_message(self, format: str, *args: object) -> None:
                """Write nothing."""

        return Handler


def main() -> int:
    """Serve until interrupted; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("vendor", nargs="?", choices=sorted(VENDORS))
    parser.add_argument("--list", action="store_true", help="print vendors and failures")
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")
    parser.add_argument("--latency", type=float, default=0.0, metavar="MS")
    parser.add_argument("--model", default=SERVED, help=f"default: {SERVED}")
    parser.add_argument("--context", type=int, default=4096, metavar="TOKENS")
    parser.add_argument("--key", default="", help="the key that requests must have")
    parser.add_argument("--facts", type=Path, help="answers that the model knows, as JSON lines")
    parser.add_argument("--fail", choices=sorted(FAILURES), metavar="KIND", help="see --list")
    parser.add_argument("--fail-after", type=int, default=0, metavar="N")
    parser.add_argument("--fail-times", type=int, default=0, metavar="N", help="default: always")
    parser.add_argument("--fail-on", default="", metavar="TEXT", help="only prompts with this text")
    given = parser.parse_args()
    if given.list:
        print("vendors:", *sorted(VENDORS))
        print("failures:", *sorted(FAILURES))
        return 0
    if given.vendor is None:
        parser.error("name a vendor, or --list")
    model = RuleModel(facts=read_facts(given.facts) if given.facts else ())
    vendor = VENDORS[given.vendor](model, given.model, given.context, given.key)
    answer = vendor.answer
    if given.fail:
        failing = Failing(vendor, given.fail, given.fail_after, given.fail_times, given.fail_on)
        answer = failing.answer
    server = FakeServer(answer, port=given.port, latency_s=given.latency / 1000)
    print(f"{given.vendor}: {server.origin}{vendor.base}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
