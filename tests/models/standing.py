"""A server in a process of its own, which a test can kill.

It is ``python -m tests.models.standing``, knows one model, and replies to a question with a letter
that follows from its text.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

from tests.models.loopback import MODEL, Loopback, Request, Sent, chat

REPOSITORY = Path(__file__).parents[2]
DELAY_S = 0.02
CHAT = "/v1/chat/completions"


class Standing:
    """The server's process, on a port that stays its own.

    Attributes:
        url: Its address.
    """

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/v1"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, root: str = "/weights") -> None:
        """Start it, and wait until it listens; ``root`` is where its weights are from."""
        command = [sys.executable, "-m", "tests.models.standing", str(self._port), root]
        self._process = subprocess.Popen(command, cwd=REPOSITORY)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self._port), 5).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.02)
        raise TimeoutError("the server does not listen")

    def kill(self) -> None:
        """Kill it as the system does for memory: nothing is finished, connections break."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


def reply_to(request: Request) -> Sent:
    """Return a letter that follows from the last turn."""
    time.sleep(DELAY_S)
    asked = request.body["messages"][-1]["content"]
    return Sent(chat(f"The answer is {'ABC'[sha256(asked.encode()).digest()[0] % 3]}."))


def serve(port: int, root: str) -> None:
    """Answer until the process is killed."""
    with Loopback(port) as server:
        listed = {"id": MODEL, "root": root, "max_model_len": 4096}
        server.script("/v1/models", Sent({"data": [listed]}))
        server.answers[CHAT] = reply_to
        signal.pause()


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
