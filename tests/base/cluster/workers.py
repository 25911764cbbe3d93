"""Workers in this process, which start late or die when told to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from threading import Lock
from typing import Any

from ragbench.base.cluster.host import Hello, Host
from ragbench.base.cluster.pool import LostError, Pool, Worker


class Echo:
    """An object for workers to hold."""

    def double(self, number: int, delay_s: float = 0.0) -> int:
        time.sleep(delay_s)
        return 2 * number


ECHO = "tests.base.cluster.workers:Echo.double"


class Here(Worker):
    """A worker in this process.

    Args:
        address: What it says of its node.
        dies_after: Number of calls after which it is lost; None for never.
        looks: Number of looks until it is ready.
        fails: Whether it dies before it is ready.
        version: What it says of ragbench; its own if empty.
    """

    def __init__(
        self,
        address: str = "10.0.0.1",
        *,
        dies_after: int | None = None,
        looks: int = 0,
        fails: bool = False,
        version: str = "",
    ) -> None:
        self._host = Host({}, address=address)
        self._dies_after, self._looks, self._fails = dies_after, looks, fails
        self._version = version
        self.asked = 0
        self.is_stopped = False
        self._lock = Lock()

    def ready(self) -> Hello | None:
        if self._fails:
            raise LostError("no module named ragbench")
        self._looks -= 1
        hello = self._host.hello()
        found = replace(hello, version=self._version) if self._version else hello
        return None if self._looks >= 0 else found

    def ask(self, method: str, arguments: tuple[Any, ...]) -> Any:
        assert self._lock.acquire(blocking=False), "a worker was asked twice at a time"
        try:
            self.asked += 1
            if self._dies_after is not None and self.asked > self._dies_after:
                raise LostError("its node is gone")
            return self._host.call(method, arguments)
        finally:
            self._lock.release()

    def stop(self) -> None:
        self.is_stopped = True


def pool_of(
    workers: Iterable[Here],
    size: int,
    *,
    check: Callable[[Hello], None] = lambda hello: None,
    patience_s: float = 0.3,
) -> Pool:
    """Return a pool that starts these workers, one after the other."""
    queue = iter(workers)
    return Pool(lambda: next(queue), size, check=check, patience_s=patience_s)
