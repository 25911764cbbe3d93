"""What the process of a pipeline is started with."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ragbench.base.usercode.factory import FactoryKeys

Reads = Literal["passages", "text"]
CHAT = "messages"  # the input key of a chat


class PipelineKeys(FactoryKeys):
    """Keys that name a pipeline and say how it is called.

    The factory is an object with ``invoke``, such as a LangChain runnable or a compiled LangGraph
    app, or a function that takes the ``options`` and returns one. It runs in a process of its own.

    Attributes:
        input: Key under which the pipeline takes the question; without it, the question is its
            whole input. ``messages`` is a chat with the question as its only turn.
        timeout_s: Seconds after which a question is given up.
    """

    use: ClassVar[str] = "is an object with `invoke`, or takes the options and returns one"

    input: str = ""
    timeout_s: float = Field(120, gt=0, le=86400)

    @property
    def declare_reach(self) -> str:
        """How the config says where the code sends text."""
        return (
            "if its terms allow the runnable to have it, write `servers: []` beside `factory` if "
            "the code sends nothing, or the addresses that it sends text to"
        )

    def call(self, reads: Reads, key: str) -> CallSpec:
        """Return what the process is started with."""
        return CallSpec(
            factory=self.factory,
            options=self.options,
            trust_code=self.trust_code,
            input=self.input,
            timeout_s=self.timeout_s,
            reads=reads,
            key=key,
        )


class CallSpec(PipelineKeys):
    """A pipeline, and what is read of what it returns.

    Attributes:
        reads: Whether passages or a text are read.
        key: Key of these in a mapping; empty to find them.
    """

    reads: Reads
    key: str = ""
