"""Pipelines that tests call: some of LangChain, one of nobody's, and one that goes wrong.

The process of a pipeline imports this module as a user's; what it is asked is appended to a file.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from langchain_core.documents import Document
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.runnables import Runnable, RunnableLambda

FACTS = {"gout": "Gout is urate in a joint.", "croup": "Croup is a barking cough.", "tea": "Tea."}
HERE = "tests.models.runnable.pipelines"


def found(question: str) -> list[Document]:
    """Return the fact that the question names, then the others."""
    first = sorted(FACTS, key=lambda name: name not in question.lower())
    return [Document(FACTS[name], metadata={"id": f"d-{name}"}) for name in first]


def search(log: str = "") -> Runnable[Any, Any]:
    """Return a pipeline of LangChain that notes what it is asked."""

    def answer(question: str) -> dict[str, Any]:
        if log:
            with Path(log).open("a") as lines:
                lines.write(json.dumps([os.getpid(), question]) + "\n")
        return {"question": question, "context": found(question)}

    return RunnableLambda(answer)


def talk() -> Runnable[Any, Any]:
    """Return a pipeline with two calls of a model, of which one reports its tokens."""
    usage = UsageMetadata(input_tokens=11, output_tokens=3, total_tokens=14)
    replies = [AIMessage("gout", usage_metadata=usage), AIMessage("croup")]
    model = GenericFakeChatModel(messages=iter(replies * 9))

    def answer(question: str) -> list[Document]:
        return found(str(model.invoke(question).content) + str(model.invoke(question).content))

    return RunnableLambda(answer)


def talk_back() -> Runnable[Any, Any]:
    """Return a pipeline that answers by itself, from passages that it found."""
    usage = UsageMetadata(input_tokens=11, output_tokens=3, total_tokens=14)
    replies = [AIMessage("It is gout.", usage_metadata=usage)] * 9
    model = GenericFakeChatModel(messages=iter(replies))
    return RunnableLambda(lambda asked: {"context": found(asked), "answer": model.invoke(asked)})


class Bare:
    """An object with ``invoke``, and nothing of LangChain."""

    def invoke(self, value: Any) -> list[Any]:
        return [{"page_content": json.dumps(value), "metadata": {"title": "What came"}}, "a text"]


app = Bare()


class Wrong:
    """Goes wrong where the question says so; other questions are answered."""

    def __init__(self, at_start: str = "") -> None:
        self._do(at_start)

    def invoke(self, question: str) -> Any:
        return self._do(question.split()[0]) or found(question)

    def _do(self, what: str) -> Any:
        if what == "raises":
            raise RuntimeError("no server at that address\nand more")
        if what == "hangs":
            time.sleep(600)
        if what == "exits":
            sys.stdout.write("the last words\n")
            sys.stdout.flush()
            sys.exit(7)
        if what == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "leaves" and os.fork():  # what lives on holds the socket and the output
            os._exit(9)
        if what == "leaves":
            time.sleep(600)
        if what == "prints":
            sys.stdout.write('{"passages": []}' + "x" * 100_000)
        if what == "huge":
            return ["x" * (1 << 27)]
        return {"number": 3, "halves": ["a \ud800 b"], "says": "It is croup."}.get(what)


def once_broken(log: str, mended: str) -> Runnable[Any, Any]:
    """Return a pipeline that fails at croup until a file is there."""

    def answer(question: str) -> list[Document]:
        with Path(log).open("a") as lines:
            lines.write(question + "\n")
        if "croup" in question and not Path(mended).exists():
            raise RuntimeError("the server is away")
        return found(question)

    return RunnableLambda(answer)


def other_text() -> Runnable[Any, Any]:
    """Return a pipeline that cuts a passage and keeps its id."""
    return RunnableLambda(lambda _: [Document("Gout is", metadata={"id": "d-gout"})])


def no_pipeline() -> str:
    """Return something without ``invoke``."""
    return "a text"
