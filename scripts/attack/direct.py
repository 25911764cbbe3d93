"""Replies of models and answers of servers, which are read without the command line."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from typing import Any

import mutate
from seeds import Target

TARGETS = [
    Target("reply of a model", (), (), weight=30),
    Target("answer of a server", (), (), weight=20),
]
SECONDS = 3
PARTS = (
    *(
        "The answer is ",
        "the correct option is ",
        "A",
        "B",
        "C",
        "D",
        "Z",
        ".",
        ")",
        "**",
        "(",
        "\n",
    ),
    *(
        "<think>",
        "</think>",
        "Final answer:",
        '{"answer_choice": "',
        '"}',
        "not ",
        "unless ",
        "wrong",
    ),
    *("option ", "scurvy", "Vitamin C", "vitamin c", " or ", " and ", "```json\n", "\\boxed{", "}"),
    *(
        "Die Antwort ist ",
        "falsche ",
        "second best ",
        "*" * 500,
        "a" * 1000,
        "\0",
        "\ud800",
        "İ",
        "ß",
    ),
    *("I cannot answer", "Error communicating with OpenAI", "A" * 300, "(" * 3000, "\u0130" * 50),
)
CHAT: dict[str, Any] = {
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "A.", "role": "assistant"}}],
    "usage": {"completion_tokens": 3, "prompt_tokens": 9},
}  # fmt: skip
TEXT: dict[str, Any] = {
    "choices": [{"index": 0, "finish_reason": "stop", "text": " A"}],
    "usage": {"completion_tokens": 2, "prompt_tokens": 7},
}
LOGPROBS = {
    "tokens": ["Yes", " A", "."], "token_logprobs": [None, -1.5, -2.0],
    "text_offset": [0, 3, 5], "top_logprobs": None,
}  # fmt: skip
LISTED = {"object": "list", "data": [{"id": "m", "max_model_len": 4096, "root": "m"}]}
HEAD = "HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n"


class Server:
    """Sends the same bytes to every request."""

    def __init__(self) -> None:
        self.answer = b""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            try:
                connection.settimeout(1)
                data = b""
                while b"\r\n\r\n" not in data:
                    data += connection.recv(65536)
                connection.sendall(self.answer)
            except OSError:
                pass
            connection.close()


_server: list[Server] = []


def case(_: object, target: Target, seed: str) -> tuple[str, str]:
    """Read one damaged reply or answer; return it, and what went wrong."""
    from ragbench.base.errors import RagbenchError

    draw = random.Random(seed)
    read = _reply if target.kind.startswith("reply") else _answer
    started, problem, what = time.process_time(), "", ["?"]
    try:
        read(draw, what)
    except RagbenchError:
        pass
    except Exception as error:
        problem = f"{type(error).__name__}: {str(error)[:200]}"
    if not problem and (took := time.process_time() - started) > SECONDS:
        problem = f"slow: {took:.1f} s"
    return what[0][:400], problem


def _reply(draw: random.Random, what: list[str]) -> None:
    from ragbench.base.records import Question
    from ragbench.tasks.replies import reply_readers

    text = "".join(draw.choice(PARTS) for _ in range(draw.choice((1, 3, 8, 30))))
    if draw.random() < 0.5:
        kind, data = mutate.damage(text.encode("utf-8", "surrogatepass"), draw)
        text = data.decode("utf-8", "surrogateescape" if kind == "flip" else "replace")
    if draw.random() < 0.05:
        text *= 2000
    options = tuple(
        draw.sample(("scurvy", "Vitamin C", "A", "yes", "no", "a (b", "İ", "x" * 300), 4)
    )
    question = Question(id="q", text="Q?", options=options, answer=1, query="Q?", gold_doc_ids=())
    name = draw.choice([n for n in reply_readers.names()])
    what[0] = f"{name}: {text!r}"
    reply_readers.get(name)(text, question, draw.choice(("stop", "length", "unknown", "none")))


def _answer(draw: random.Random, what: list[str]) -> None:
    from ragbench.base.endpoint import parse
    from ragbench.models.served.asking import Asker
    from ragbench.models.served.http import Client
    from ragbench.models.served.served import ask_served

    if not _server:
        _server.append(Server())
    server = _server[0]
    ask = draw.choice(("chat", "text", "echo", "models"))
    body = json.loads(json.dumps({"chat": CHAT, "text": TEXT, "echo": TEXT, "models": LISTED}[ask]))
    if ask == "echo":
        body["choices"][0]["logprobs"] = LOGPROBS
    kind, data = mutate.damage(json.dumps(body).encode(), draw)
    head = HEAD.format(status=draw.choice((200, 200, 200, 400, 500, 302)), size=len(data)).encode()
    if draw.random() < 0.2:
        _, head = mutate.damage(head, draw)
    server.answer = head + data
    what[0] = f"{ask}: {kind}: {server.answer[:300]!r}"
    client = Client("m", [parse(server.url)], timeout_s=0.5, retries=0, key_env=None)
    asker = Asker(client, "m", is_chat=True, where="models: m")
    if ask == "chat":
        found = asker.chat([{"role": "user", "content": "A?"}], "", 16)
        assert isinstance(found.text, str) and len(found.text) < 10_000
        assert found.text.encode("utf-8") is not None
    elif ask == "text":
        asker.text("A?", 16)
    elif ask == "echo":
        numbers = asker.echo("Yes A.")
        assert all(n is None or -100_000 <= n <= 0 for n in numbers), numbers
    else:
        ask_served(client, "m", where="models: m", probe=asker.one_token)
