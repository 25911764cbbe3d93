"""The process of a pipeline: JSON lines in and out over a socket that nothing else uses.

What the pipeline prints goes to the process's standard output, and disturbs nothing. The process
ends when its parent closes the socket, even in the middle of a call.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ragbench.base.errors import RagbenchError, first_line
from ragbench.models.runnable.call import CallSpec
from ragbench.models.runnable.replies import input_of, passages_of, text_of

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackHandler
    from langchain_core.outputs import LLMResult

UNUSABLE, RAISED, USELESS = "unusable", "raised", "useless"
MOST_OF_MESSAGE = 500  # characters


@runtime_checkable
class Pipeline(Protocol):
    """Anything with ``invoke``."""

    def invoke(self, value: Any, /) -> Any:
        """Return what the pipeline makes of its input."""


@dataclass(slots=True)
class Usage:
    """Calls of language models in one call of a pipeline; tokens are of those that reported any."""

    model_calls: int = 0
    reported_calls: int = 0
    sent_tokens: int = 0
    written_tokens: int = 0


def main(number: int) -> None:
    """Serve the socket of a file number: first the keys of the runnable, then its questions."""
    peer = socket.socket(fileno=number)
    peer.set_inheritable(False)  # else a process that the pipeline starts would hold it open
    lines: SimpleQueue[dict[str, Any]] = SimpleQueue()
    threading.Thread(target=_listen, args=(peer, lines), daemon=True).start()
    spec = CallSpec.model_validate(lines.get())
    # Python takes compiled code of the same second and size for that of a file that has changed.
    sys.dont_write_bytecode = True
    try:
        pipeline = made_by(spec)
    except RagbenchError as error:
        _send(peer, {"fault": UNUSABLE, "detail": error.what, "fix": error.fix})
        return
    except Exception as error:  # whatever the user's code raises
        _send(peer, {"fault": RAISED, "detail": _message(error)})
        return
    _send(peer, {})
    while True:
        _send(peer, called(pipeline, lines.get()["question"], spec))


def _listen(peer: socket.socket, lines: SimpleQueue[dict[str, Any]]) -> None:
    """Queue what the parent sends; end this process and those that it started once it is gone."""
    with peer.makefile("rb") as stream:
        for line in stream:
            lines.put(json.loads(line))
    os.killpg(0, signal.SIGKILL)


def _send(peer: socket.socket, value: Mapping[str, Any]) -> None:
    peer.sendall(json.dumps(value).encode("ascii") + b"\n")


def made_by(spec: CallSpec) -> Pipeline:
    """Return the pipeline that the factory is, or returns.

    Raises:
        UsageError: There is none.
    """
    found = spec.imported()
    if isinstance(found, Pipeline) and not isinstance(found, type):
        if spec.options:
            raise spec.unusable("it is an object with `invoke`, which takes no `options`")
        return found
    made = found(**spec.options)
    if not isinstance(made, Pipeline):
        raise spec.unusable(f"it returned a {type(made).__name__}, which has no `invoke`")
    return made


def called(pipeline: Pipeline, question: Any, spec: CallSpec) -> dict[str, Any]:
    """Return what is read of a pipeline's answer, and its model calls; else the fault.

    The question is a text or the turns of a chat.
    """
    from langchain_core.runnables import Runnable
    from langsmith import tracing_context

    usage, value = Usage(), input_of(question, spec.input)
    try:
        with tracing_context(enabled=False):
            if isinstance(pipeline, Runnable):
                returned = pipeline.invoke(value, {"callbacks": [counter(usage)]})
            else:
                returned = pipeline.invoke(value)
    except Exception as error:  # whatever the user's code raises
        return {"fault": RAISED, "detail": _message(error)}
    try:
        read = passages_of if spec.reads == "passages" else text_of
        return {spec.reads: read(returned, spec.key), **asdict(usage)}
    except ValueError as error:
        return {"fault": USELESS, "detail": str(error)[:MOST_OF_MESSAGE]}


def _message(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"[:MOST_OF_MESSAGE]


def counter(usage: Usage) -> BaseCallbackHandler:
    """Return the handler that counts the calls of language models.

    LangChain's own handler does not count calls, and leaves out replies that name no model.
    """
    from langchain_core.callbacks import BaseCallbackHandler

    lock = threading.Lock()

    class Counter(BaseCallbackHandler):
        def on_llm_start(self, *_: Any, **__: Any) -> None:
            with lock:
                usage.model_calls += 1

        def on_chat_model_start(self, *_: Any, **__: Any) -> None:
            with lock:
                usage.model_calls += 1

        def on_llm_end(self, response: LLMResult, **_: Any) -> None:
            if tokens := reported(response):
                with lock:
                    usage.reported_calls += 1
                    usage.sent_tokens += tokens[0]
                    usage.written_tokens += tokens[1]

    return Counter()


def reported(response: LLMResult) -> tuple[int, int] | None:
    """Return the tokens sent and written that a reply reports; None if it reports none."""
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration

    first = next((reply for row in response.generations for reply in row), None)
    if isinstance(first, ChatGeneration) and isinstance(first.message, AIMessage):
        told = first.message.usage_metadata
        if told is not None:
            return told["input_tokens"], told["output_tokens"]
    tokens = (response.llm_output or {}).get("token_usage")
    if isinstance(tokens, Mapping):
        pair = tokens.get("prompt_tokens"), tokens.get("completion_tokens")
        if isinstance(pair[0], int) and isinstance(pair[1], int):
            return pair[0], pair[1]
    return None


if __name__ == "__main__":
    main(int(sys.argv[1]))
